import json
import shutil

import pytest

from dichoseg import load_model
from dichoseg.batch_norm import is_frozen
from dichoseg.cli.continuing import check_validation, defaults_for, defaults_from, stored_options
from dichoseg.data import open_folders

from .conftest import TINY, run_cli


@pytest.mark.parametrize("arguments", [["train", "data", "--out", "runs/a"], ["train", "--from"], ["train", "--plan"]])
def test_value_no_defaults_without_a_run_or_a_proposal(arguments):
    assert defaults_for(arguments) is None


def test_error_two_sources_of_defaults():
    with pytest.raises(ValueError, match="--from and --plan exclude each other"):
        defaults_for(["train", "--from", "runs/a", "--plan=proposal.json"])


@pytest.fixture
def first(data):
    """A run on three pairs, with two to validate on."""
    arguments = ("train", data, "--out", data / "first", *TINY, "--val-fraction", 0.4, "--loss", "iou", "--epochs", 2)
    assert run_cli(*arguments).exit_code == 0
    return data / "first"


def add(data, folder, *names, image=None):
    """Make a folder of pairs of these names: copies of a training pair, but for one pixel, or of one image."""
    training, validation = open_folders(data, val_fraction=0.4)
    for part in ("im", "gt"):
        (data / folder / part).mkdir(parents=True, exist_ok=True)
    files = {name: paths for name, *paths in (*training.files, *validation.files)}
    paths = files[image] if image else training.files[0][1:]
    for name in names:
        for part, path in zip(("im", "gt"), paths, strict=True):
            target = data / folder / part / f"{name}{path.suffix}"
            shutil.copy(path, target)
    return data / folder


def test_value_options_and_best_weights_of_the_run_are_defaults(first):
    before, defaults = stored_options(first), defaults_from(first)
    assert defaults.network.weights == str(first / "best")
    assert (defaults.network.encoder, defaults.network.size, defaults.out) == (None, 64, None)
    for part in ("data", "epochs", "objective", "augmentation", "folders", "seed"):
        assert getattr(defaults, part) == getattr(before, part)
    assert defaults_for(["train", f"--from={first}"]) == defaults_for(["train", "--from", str(first)]) == defaults
    assert defaults.objective.loss == ("iou",)
    assert defaults_for(["train", "--from", str(first), "--loss", "mae"]).objective.loss == ()


def test_value_frozen_batch_norms_stay_frozen(data, first):
    frozen = ("train", data, "--out", data / "frozen", *TINY, "--val-fraction", 0.4, "--freeze-batch-norm")
    assert run_cli(*frozen, "--weights", first / "best").exit_code == 0
    result = run_cli("train", "--from", data / "frozen", "--epochs", 1, "--out", data / "second")
    assert result.exit_code == 0, result.output
    assert is_frozen(load_model(data / "second"))


def test_value_more_pairs_twice(data, first):
    training, _ = open_folders(data, val_fraction=0.4)
    old = training.files[1][0]
    two, three = add(data, "two", old, "new"), add(data, "three", "newer")
    arguments = ("train", "--from", first, "--more", two, "--epochs", 1, "--out", data / "second")
    result = run_cli(*arguments)
    assert result.exit_code == 0, result.output
    assert "two: 1 pairs replace those of the same name, 1 are added" in result.output
    assert "4 images to train on, 2 to validate on" in result.output
    assert (data / "second/scores.json").exists()
    settings = [json.loads((run / "plan.json").read_text())["settings"] for run in (first, data / "second")]
    assert len({each["the validation samples"] for each in settings}) == 1
    assert [each["epochs"] for each in settings] == [2, 1]
    assert [each["the objective"] for each in settings] == [settings[0]["the objective"]] * 2

    result = run_cli("train", "--from", data / "second", "--more", three, "--out", data / "third", "--learning-rate", 0)
    assert result.exit_code == 0, result.output
    assert "5 images to train on" in result.output
    second, third = (load_model(data / run).state_dict() for run in ("second", "third/best"))
    assert all((second[name] == value).all() for name, value in third.items() if name.endswith("weight")), "it goes on"
    assert stored_options(data / "third").folders.more == (two, three)
    command = json.loads((data / "third/plan.json").read_text())["command"]
    assert not [argument for argument in command if argument.startswith("--from")]


def test_value_resume_needs_only_the_folder(data, first):
    two = add(data, "two", "new")
    arguments = ("train", "--from", first, "--more", two, "--out", data / "second", "--resume", data / "second")
    assert run_cli(*arguments).exit_code == 0
    history = (data / "second/history.csv").read_text()
    for again in (("train", "--resume", data / "second"), arguments):
        result = run_cli(*again)
        assert result.exit_code == 0, result.output
        assert (data / "second/history.csv").read_text() == history
    (two / "im" / "new.jpg").rename(two / "im" / "newer.jpg")
    (two / "gt" / "new.png").rename(two / "gt" / "newer.png")
    assert "the samples was" in str(run_cli("train", "--resume", data / "second").exception)


def test_value_the_gt_encoder_of_the_run_is_used_again(data):
    arguments = ("train", data, "--out", data / "first", *TINY, "--val-fraction", 0.4, "--gt-encoder", "train",
                 "--gt-encoder-epochs", 1)  # fmt: skip
    assert run_cli(*arguments).exit_code == 0
    result = run_cli("train", "--from", data / "first", "--more", add(data, "two", "new"), "--out", data / "second")
    assert result.exit_code == 0, result.output
    assert not (data / "second/gt_encoder").exists()
    assert "gt_encoder/feature_1" in (data / "second/history.csv").read_text().splitlines()[0]


def test_error_validation_images_among_more_pairs(data, first):
    validation = open_folders(data, val_fraction=0.4)[1]
    held_out, second = (name for name, *_ in validation.files)
    add(data, "two", held_out, image=held_out)
    two = add(data, "two", "renamed", image=second)
    result = run_cli("train", "--from", first, "--more", two, "--out", data / "second", "--no-check")
    message = str(result.exception)
    assert message.startswith(f"2 images of {two} are validation images: ")
    assert f"{two}/im/renamed.jpg shows the same as {validation.files[1][1]}" in message
    assert not (data / "second").exists()


def test_value_another_image_of_a_validation_image_s_name(data, first):
    name = open_folders(data, val_fraction=0.4)[1].files[0][0]
    result = run_cli("train", "--from", first, "--more", add(data, "two", name), "--out", data / "second")
    assert result.exit_code == 0, result.output
    assert f"make sure that {name} show other objects than the validation images of that name" in result.output


def test_error_another_validation_set(data, first):
    for options in (("--seed", 1), ("--val-fraction", 0.2)):
        result = run_cli("train", "--from", first, "--out", data / "second", *options)
        assert f"the validation set is not that of {first}" in str(result.exception)
    assert not (data / "second").exists()
    with pytest.raises(ValueError, match="is not that of"):
        check_validation(first, None)


def test_error_more_without_a_run(data):
    result = run_cli("train", "--more", data, "--out", data / "second")
    assert f"--more {data} adds to the data of a run: give --from RUN, or DATA" in str(result.exception)
    result = run_cli("train", "--from", data, "--more", data, "--out", data / "second")
    assert f"no run of `dichoseg train` in {data}" in str(result.exception)


def test_error_nothing_in_the_folder(data, first):
    arguments = ("train", "--from", first, "--out", data / "second", "--more", data / "two")
    assert "two does not exist" in str(run_cli(*arguments).exception)
    for part in ("im", "gt"):
        (data / "two" / part).mkdir(parents=True)
    assert f"no images in {data / 'two/im'}" in str(run_cli(*arguments).exception)


def test_error_run_that_cannot_be_followed(data, first):
    assert "no best weights to continue from, because no epoch" in _refusal(first, missing="best")
    assert f"dichoseg train --resume {first} finishes it" in _refusal(first, missing="scores.json")
    assert run_cli("train", data, "--out", data / "blind", *TINY).exit_code == 0
    assert "trained without validation data" in str(run_cli("train", "--from", data / "blind").exception)
    assert run_cli("train", data, "--out", data / "try", *TINY, "--overfit-batches", 1).exit_code == 0
    assert "trained without validation data" in str(run_cli("train", "--from", data / "try").exception)


def _refusal(run, *, missing):
    (run / missing).rename(run / "away")
    result = run_cli("train", "--from", run, "--more", run, "--out", run.with_name("second"))
    (run / "away").rename(run / missing)
    return str(result.exception)
