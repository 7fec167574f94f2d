import json
import math
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from dichoseg import GTEncoder, Prediction, SyntheticDataset, cli, evaluate, load_model, save_model
from dichoseg.data import open_folders
from dichoseg.losses import WeightedSum

RUNNER = CliRunner()


@pytest.fixture
def data(tmp_path):
    for part in ("train/im", "train/gt"):
        (tmp_path / part).mkdir(parents=True)
    for image, mask, name in (SyntheticDataset(5, size=64)[index] for index in range(5)):
        Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(tmp_path / f"train/im/{name}.jpg")
        Image.fromarray((mask[0] * 255).byte().numpy()).save(tmp_path / f"train/gt/{name}.png")
    return tmp_path


def test_value_train_then_predict(data):
    out = data / "run"
    arguments = ["train", str(data), "--out", str(out), "--encoder", "timm:test_resnet", "--decoder", "deconv",
                 "--size", "64", "--epochs", "1", "--batch-size", "2", "--workers", "0", "--val-fraction", "0.2",
                 "--loss", "bce", "--loss", "edge_bce:0.5", "--augmentation", "gpu"]  # fmt: skip
    result = RUNNER.invoke(cli.app, arguments, catch_exceptions=False)
    assert "model in" in result.output
    assert load_model(out).preprocessing.size == 64
    result = RUNNER.invoke(cli.app, ["predict", str(out), str(data / "train/im"), "--out", str(data / "masks")])
    assert result.exit_code == 0, result.output
    assert len(list((data / "masks").iterdir())) == 5


def test_error_one_line_and_exit_code(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["dichoseg", "train", str(tmp_path), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: no images and masks in {tmp_path}")
    assert os.listdir(tmp_path) == []


def test_error_bad_file_in_predict(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "m")
    (tmp_path / "bad.png").write_text("x")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "good.png")
    result = RUNNER.invoke(
        cli.app,
        [
            "predict",
            str(tmp_path / "m"),
            str(tmp_path / "bad.png"),
            str(tmp_path / "good.png"),
            "--out",
            str(tmp_path / "o"),
        ],
    )
    assert result.exit_code == 1
    assert "bad.png" in result.output
    assert (tmp_path / "o/good.png").exists()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("edge_bc", "did you mean 'edge_bce'"),
        ("bce:x", "the weight a number"),
        ("bce:-1", "a finite number above 0; got 'bce:-1'"),
        ("bce:nan", "a finite number above 0"),
    ],
)
def test_error_loss_names(loss, message):
    with pytest.raises(ValueError, match=message):
        cli._loss_parts([loss])


def test_value_an_edge_loss_alone_gets_company(capsys):
    prediction = Prediction(torch.zeros(1, 1, 8, 8), (torch.zeros(1, 1, 4, 4),))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    terms = WeightedSum(**cli._loss_parts(["edge_bce:0.5"])).terms(prediction, mask)
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {"bce/main": math.log(2), "bce/side_1": math.log(2), "edge_bce/main": 0.5 * math.log(2)}
    )
    assert "bce is added" in capsys.readouterr().err
    terms = WeightedSum(**cli._loss_parts(["bce:2"])).terms(prediction, mask)
    assert set(terms) == {"bce/main", "bce/side_1"}


def run_cli(*arguments):
    return RUNNER.invoke(cli.app, [str(argument) for argument in arguments])


TINY = ("--encoder", "timm:test_resnet", "--size", 64, "--epochs", 1, "--batch-size", 3, "--workers", 0)


def test_value_two_stages_in_one_command(data):
    out = data / "run"
    arguments = ("train", data, "--out", out, *TINY, "--val-fraction", 0.4, "--gt-encoder", "train",
                 "--gt-encoder-epochs", 1, "--loss", "edge_bce:0.5",
                 "--augmentation", "isnet", "--augmentation", "blur_patches",
                 "--cpu-augmentation", "dis-tuning")  # fmt: skip
    result = run_cli(*arguments)
    assert result.exit_code == 0, result.output
    assert sorted(item.name for item in out.iterdir()) == [
        "best", "curves.png", "gt_encoder", "history.csv", "last", "scores.json", "sheets",
    ]  # fmt: skip
    header = (out / "history.csv").read_text().splitlines()[0].split(",")
    assert {"bce/main", "bce/side_1", "edge_bce/main", "gt_encoder/feature_1", "val_loss"} <= set(header)
    scores = json.loads((out / "scores.json").read_text())
    assert scores["last"] == evaluate(load_model(out / "last"), open_folders(data, val_fraction=0.4)[1])
    assert run_cli("predict", out, data / "train/im", "--out", data / "masks").exit_code == 0

    again = data / "again"
    result = run_cli("train", data, "--out", again, *TINY, "--gt-encoder", out / "gt_encoder")
    assert result.exit_code == 0, result.output
    assert sorted(item.name for item in again.iterdir()) == ["curves.png", "history.csv", "last"]


def test_value_overfit_batches(data):
    result = run_cli("train", data, "--out", data / "run", *TINY, "--overfit-batches", 1)
    assert result.exit_code == 0, result.output
    assert not (data / "run/scores.json").exists()


def test_value_check_lists_and_draws(data, monkeypatch):
    shutil.copytree(data / "train", data / "val")
    result = run_cli("check", data, "--preview", data / "sheet.jpg")
    assert result.exit_code == 0, result.output
    assert "training set: 5 pairs, images 64x64" in result.output
    assert "in both sets (5)" in result.output
    assert (data / "sheet.jpg").stat().st_size > 1000
    assert (data / "sheet_validation.jpg").stat().st_size > 1000
    monkeypatch.chdir(data)
    assert run_cli("check", data, "--preview").exit_code == 0
    assert (data / "preview.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cpu-augmentation", "dis-tunning"), "did you mean 'dis-tuning'"),
        (("--gt-encoder", "nowhere"), "no model at nowhere"),
        (("--device", "gpu7"), "gpu7"),
        (("--loss", "edge"), "no 'edge' in dichoseg.losses"),
    ],
)
def test_error_options_are_refused_before_the_data_is_read(data, arguments, message):
    (data / "train/im").rename(data / "train/gone")
    result = run_cli("train", data, "--out", data / "run", *TINY, *arguments)
    assert message in str(result.exception)
    assert not (data / "run").exists()


@pytest.mark.parametrize(
    ("place", "message"), [("sheet", "is a .png, .jpg or .webp file"), ("no/s.png", "no folder no")]
)
def test_error_preview_that_cannot_be_written(data, place, message):
    assert message in str(run_cli("check", data, "--preview", place).exception)


def test_error_preview_that_would_overwrite_the_data(data):
    photograph = min((data / "train/im").iterdir())
    before = photograph.read_bytes()
    assert "belongs to the data and would be overwritten" in str(
        run_cli("check", data, "--preview", photograph).exception
    )
    assert "which was not asked for" in str(run_cli("check", data, photograph).exception)
    assert photograph.read_bytes() == before


def test_error_predict_into_the_photographs(data, small_isnet):
    save_model(small_isnet, data / "model")
    Image.new("RGB", (64, 64)).save(data / "photo.png")
    before = (data / "photo.png").read_bytes()
    result = run_cli("predict", data / "model", data / "photo.png", "--out", data)
    assert "photo.png is a photograph that is read and would be overwritten" in str(result.exception)
    assert (data / "photo.png").read_bytes() == before


def test_error_predict_with_a_gt_encoder(data, small_isnet):
    save_model(GTEncoder.like(small_isnet), data / "gt")
    result = run_cli("predict", data / "gt", data / "train/im", "--out", data / "masks")
    assert "this is a GT encoder, which takes masks" in str(result.exception)


def test_error_gt_encoder_whose_training_did_not_end(data):
    (data / "run/gt_encoder/run").mkdir(parents=True)
    result = run_cli("train", data, "--out", data / "run", *TINY, "--gt-encoder", "train")
    assert "holds a GT encoder whose training did not end; remove it" in str(result.exception)


def test_value_skip_broken_without_the_check(messy):
    (messy / "train/im/y.png").unlink()
    (messy / "train/gt/y.png").unlink()
    result = run_cli("train", messy, "--out", messy / "run", *TINY, "--skip-broken", "--no-check", "--resize-masks")
    assert result.exit_code == 0, result.output
    assert "6 images to train on" in result.output


def test_error_folder_in_use_is_refused_before_the_data_is_read(data):
    (data / "run").mkdir()
    (data / "run/notes.txt").write_text("mine")
    result = run_cli("train", data, "--out", data / "run", *TINY)
    assert "already holds something (notes.txt)" in str(result.exception)
    assert "5 pairs" not in result.output


@pytest.fixture
def messy(data):
    """Eight pairs of which one cannot be read and one mask has another size, and an image without mask."""
    for name in "xyz":
        Image.new("RGB", (64, 64)).save(data / f"train/im/{name}.png")
    for name in "xy":
        Image.new("L", (32, 32), 255).save(data / f"train/gt/{name}.png")
    (data / "train/im/y.png").write_text("no picture")
    return data


def test_error_check_of_a_messy_folder(messy):
    result = run_cli("check", messy)
    assert result.exit_code == 1
    for message in ("x.png is 32x32 pixels but its image", "y.png is not an image", "z.png has no mask"):
        assert message in result.output.replace("\n", " ")


def test_error_train_refuses_what_it_cannot_use(messy, monkeypatch, capsys):
    arguments = ["dichoseg", "train", messy, "--out", messy / "run", *TINY]
    monkeypatch.setattr("sys.argv", [str(argument) for argument in arguments])
    with pytest.raises(SystemExit):
        cli.main()
    shown = capsys.readouterr().err
    assert "error: 3 files or pairs of the training set cannot be used, as listed above" in shown
    assert not (messy / "run").exists()


def test_value_train_leaves_broken_pairs_out_when_asked(messy):
    result = run_cli("train", messy, "--out", messy / "run", *TINY, "--skip-broken", "--resize-masks")
    assert result.exit_code == 0, result.output
    assert "training set: 6 pairs remain; left out, as listed above: y, z" in result.output
    assert "6 images to train on" in result.output


def test_value_what_is_broken_is_left_out_before_the_split(messy):
    arguments = (*TINY, "--skip-broken", "--resize-masks", "--val-fraction", 0.5)
    result = run_cli("train", messy, "--out", messy / "run", *arguments)
    assert result.exit_code == 0, result.output
    assert "3 images to train on, 3 to validate on" in result.output


def test_value_label_ids_and_folder_names(data):
    (data / "train/im").rename(data / "train/photos")
    (data / "train/gt").rename(data / "train/labels")
    for path in (data / "train/labels").iterdir():
        with Image.open(path) as mask:
            ids = mask.point(lambda value: 7 if value > 127 else 2)
        ids.save(path)
    where = ("--images", "photos", "--masks", "labels")
    assert "label ids (5)" in run_cli("check", data, *where).output
    result = run_cli("check", data, *where, "--foreground", 7)
    assert result.exit_code == 0, result.output
    result = run_cli("train", data, "--out", data / "run", *TINY, *where, "--foreground", 7)
    assert result.exit_code == 0, result.output


def test_error_folder_with_one_pair_has_nothing_to_validate(data):
    for part in ("im", "gt"):
        for path in sorted((data / "train" / part).iterdir())[1:]:
            path.unlink()
    result = run_cli("train", data, "--out", data / "run", *TINY, "--val-fraction", 0.1)
    assert "a split needs a fraction between 0 and 1 and two pairs; got 0.1 and 1" in str(result.exception)


def test_value_list():
    result = RUNNER.invoke(cli.app, ["list", "--check"])
    assert result.exit_code == 0
    assert "isnet_deconv_gt_encoder" in result.output


def test_value_evaluate_folders_side_by_side(data):
    for part in ("a", "b"):
        shutil.copytree(data / "train/gt", data / part)
    arguments = ("evaluate", data / "a", data / "b", data / "train/gt", "--workers", 0, "--skeletons", data / "s")
    result = run_cli(*arguments, "--out", data / "scores")
    assert result.exit_code == 0, result.output
    assert "b less a, with 95 % intervals over 5 images" in result.output
    assert json.loads((data / "scores/scores.json").read_text())["scores"]["a"]["all"]["max_f"] == 1
    assert "wanted one folder of predictions or more" in str(run_cli("evaluate", data / "a").exception)
    (data / "a/extra.png").write_bytes(min((data / "a").iterdir()).read_bytes())
    assert "extra.png has no mask in" in str(run_cli(*arguments).exception)
    assert run_cli(*arguments, "--allow-missing", "--metrics", "fast").exit_code == 0
