import json
import os
import re
from contextlib import nullcontext

import pytest
import torch
from PIL import Image

from dichoseg import cli, create_model, evaluate, load_model, save_model
from dichoseg.data import open_folders
from dichoseg.training import is_uncalibrated

from .conftest import TINY, run_cli


def test_value_train_then_predict(data):
    out = data / "run"
    arguments = ("train", data, "--out", out, "--encoder", "timm:test_resnet", "--decoder", "deconv",
                 "--size", 64, "--epochs", 1, "--batch-size", 2, "--workers", 0, "--val-fraction", 0.2,
                 "--loss", "bce", "--loss", "edge_bce:0.5", "--augmentation", "gpu")  # fmt: skip
    result = run_cli(*arguments)
    assert "model in" in result.output
    assert load_model(out).preprocessing.size == 64
    result = run_cli("predict", out, data / "train/im", "--out", data / "masks")
    assert result.exit_code == 0, result.output
    assert len(list((data / "masks").iterdir())) == 5


def test_error_one_line_and_exit_code(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["dichoseg", "train", str(tmp_path), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: no images and masks in {tmp_path}")
    assert os.listdir(tmp_path) == []


def test_value_two_stages_in_one_command(data):
    out = data / "run"
    arguments = ("train", data, "--out", out, *TINY, "--val-fraction", 0.4, "--gt-encoder", "train",
                 "--gt-encoder-epochs", 1, "--loss", "edge_bce:0.5",
                 "--augmentation", "isnet", "--augmentation", "blur_patches",
                 "--cpu-augmentation", "dis_tuning")  # fmt: skip
    result = run_cli(*arguments)
    assert result.exit_code == 0, result.output
    assert sorted(item.name for item in out.iterdir()) == [
        "best", "curves.png", "gt_encoder", "history.csv", "last", "plan.json", "scores.json", "sheets", "state.pt",
        "worst.csv", "worst.jpg",
    ]  # fmt: skip
    header = (out / "history.csv").read_text().splitlines()[0].split(",")
    assert {"bce/main", "bce/side_1", "edge_bce/main", "gt_encoder/feature_1", "val_loss"} <= set(header)
    scores = json.loads((out / "scores.json").read_text())
    assert scores["last"] == evaluate(load_model(out / "last"), open_folders(data, val_fraction=0.4)[1])
    card = (out / "last/README.md").read_text()
    assert "On 2 validation images at the size of their masks." in card
    assert f"| `mae` | {scores['last']['mae']:.4f} |" in card
    assert run_cli("predict", out, data / "train/im", "--out", data / "masks").exit_code == 0

    again = data / "again"
    result = run_cli("train", data, "--out", again, *TINY, "--gt-encoder", out / "gt_encoder")
    assert result.exit_code == 0, result.output
    assert sorted(item.name for item in again.iterdir()) == [
        "curves.png", "history.csv", "last", "plan.json", "state.pt",
    ]  # fmt: skip


def test_value_several_sizes_stopped_and_resumed(data, monkeypatch):
    monkeypatch.setattr("dichoseg.training.session.stoppable", lambda enabled: nullcontext(lambda: True))
    out = data / "run"
    result = run_cli("train", data, "--sizes", 64, "96x96", "--out", out, *TINY, "--epochs", 2)
    assert result.exit_code == 130, result.output
    monkeypatch.undo()
    result = run_cli("train", "--resume", out)
    assert result.exit_code == 0, result.output
    assert json.loads((out / "plan.json").read_text())["settings"]["sizes"] == [[64, 64], [96, 96]]
    assert load_model(out).preprocessing.size == 64


def test_value_overfit_batches(data):
    result = run_cli("train", data, "--out", data / "run", *TINY, "--overfit-batches", 1, "--best", "mba")
    assert result.exit_code == 0, result.output
    assert not (data / "run/scores.json").exists()


def test_error_best_is_checked_before_training(data):
    for best, message in (("mbaa", "did you mean 'mba'"), ("mba", "is a validation score, which needs val_data")):
        result = run_cli("train", data, "--out", data / "run", *TINY, "--best", best)
        assert message in str(result.exception)
    assert not (data / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cpu-augmentation", "dis-tunning"), "did you mean 'dis_tuning'"),
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


def test_error_gt_encoder_whose_training_did_not_end(data):
    (data / "run/gt_encoder/run").mkdir(parents=True)
    result = run_cli("train", data, "--out", data / "run", *TINY, "--gt-encoder", "train")
    assert "holds a GT encoder whose training did not end; remove it" in str(result.exception)


def test_error_folder_in_use_is_refused_before_the_data_is_read(data):
    (data / "run").mkdir()
    (data / "run/notes.txt").write_text("mine")
    result = run_cli("train", data, "--out", data / "run", *TINY)
    assert "already holds something (notes.txt)" in str(result.exception)
    assert "5 pairs" not in result.output


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


def test_value_folded_weights_are_calibrated_or_frozen(data):
    from dichoseg.batch_norm import identity_statistics

    model = create_model("isnet", encoder="timm:test_resnet")
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.load_state_dict(identity_statistics(norm.running_var, norm.eps), strict=False)
    save_model(model, data / "folded")
    result = run_cli("train", data, "--out", data / "run", *TINY, "--weights", data / "folded")
    assert result.exit_code == 0, result.output
    assert "calibrated on 3 training images" in result.output
    assert not is_uncalibrated(load_model(data / "run"))
    arguments = ("--weights", data / "folded", "--freeze-batch-norm")
    result = run_cli("train", data, "--out", data / "frozen", *TINY, *arguments)
    assert result.exit_code == 0, result.output
    assert "calibrated" not in result.output
    kept = load_model(data / "frozen").decoder.stages[0].entry.norm
    assert torch.equal(kept.running_mean, torch.zeros_like(kept.running_mean))


def test_value_weights_say_which_network(data):
    save_model(create_model("isnet", encoder="timm:test_resnet"), data / "mine")
    arguments = ("--size", 64, "--epochs", 1, "--batch-size", 3, "--workers", 0, "--weights", data / "mine")
    result = run_cli("train", data, "--out", data / "run", *arguments)
    assert result.exit_code == 0, result.output
    assert load_model(data / "run").recipe == {"name": "isnet", "encoder": "timm:test_resnet"}
    assert load_model(data / "run").preprocessing.size == 64


def test_value_fine_tuning_scores_the_base_and_averages(data, caplog):
    options = ("--epochs", 1, "--batch-size", 2, "--workers", 0, "--val-fraction", 0.4, "--no-check")
    first, second = data / "first", data / "second"
    assert run_cli("train", data, "--out", first, *TINY, *options).exit_code == 0
    assert not (first / "base").exists()
    result = run_cli("train", data, "--out", second, "--weights", first, *options)
    assert result.exit_code == 0, result.output
    assert "base: val_loss" in caplog.text
    assert "average with 50% of the base: val_loss" in caplog.text
    assert list(json.loads((second / "scores.json").read_text())) == ["base", "last", "best"]
    result = run_cli("train", data, "--out", data / "third", "--weights", first, *options, "--base", "ignore")
    assert result.exit_code == 0, result.output
    assert not (data / "third/base").exists()


def test_value_predicted_edges_are_supervised(data):
    arguments = ("train", data, "--out", data / "run", *TINY, "--decoder", "edge_guided")
    # in bfloat16, a CPU's gradient of a 7x7 convolution of two pixels may be anything
    result = run_cli(*arguments, "--edge-loss", "balanced_bce:0.5", "--precision", "float32")
    assert result.exit_code == 0, result.output
    header = (data / "run/history.csv").read_text().splitlines()[0].split(",")
    assert {"bce/main", "predicted_edges/edge"} <= set(header)
    recipe = json.loads((data / "run/last/config.json").read_text())["recipe"]
    assert recipe == {"name": "isnet", "encoder": "timm:test_resnet", "decoder": "edge_guided"}


def test_error_edge_loss_without_edges(data):
    result = run_cli("train", data, "--out", data / "run", *TINY, "--edge-loss", "balanced_bce")
    assert "EdgeSupervision needs a model that predicts edges" in str(result.exception)
    assert not (data / "run").exists()


def test_value_stopped_training_says_how_to_go_on(data, monkeypatch):
    monkeypatch.setattr("dichoseg.training.session.stoppable", lambda enabled: nullcontext(lambda: True))
    out = data / "run"
    result = run_cli("train", data, "--out", out, *TINY, "--epochs", 2)
    assert result.exit_code == 130
    assert f"dichoseg train --resume {out} continues" in result.output
    monkeypatch.undo()
    assert run_cli("train", "--resume", out).exit_code == 0


def test_value_stopped_gt_encoder_goes_on(data, monkeypatch):
    monkeypatch.setattr("dichoseg.training.session.stoppable", lambda enabled: nullcontext(lambda: True))
    out = data / "run"
    result = run_cli("train", data, "--out", out, *TINY, "--gt-encoder", "train", "--gt-encoder-epochs", 2)
    assert result.exit_code == 130
    assert "the training of the GT encoder was stopped; its state is saved" in result.output
    monkeypatch.undo()
    result = run_cli("train", "--resume", out)
    assert result.exit_code == 0, result.output
    assert (out / "last").is_dir()


def test_value_what_optimisation_offers(data):
    out = data / "run"
    result = run_cli("train", data, "--out", out, *TINY, "--val-fraction", 0.4, "--epochs", 9, "--patience", 1,
                     "--freeze-encoder", "--checkpoint-activations", "--precision", "float16", "--schedule", "step",
                     "--warmup", 1, "--ema", 0.5, "--learning-rate", 0, "--tensorboard")  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = (out / "history.csv").read_text().splitlines()
    assert len(rows) == 3  # names, the first epoch, and one that is no better
    assert next((out / "tensorboard").iterdir()).name.startswith("events.out")
    assert "validation" in result.stdout


def test_value_encoder_rate(data, monkeypatch):
    rates = []
    make = torch.optim.AdamW

    def spy(groups, **arguments):
        optimizer = make(groups, **arguments)
        rates.extend(group["lr"] for group in optimizer.param_groups)
        return optimizer

    monkeypatch.setattr(torch.optim, "AdamW", spy)
    result = run_cli("train", data, "--out", data / "run", *TINY, "--encoder-rate", 0.1, "--learning-rate", 0.01)
    assert result.exit_code == 0, result.output
    assert rates == pytest.approx([0.01, 0.001])


@pytest.mark.parametrize(("option", "value"), [("--ema", 2), ("--encoder-rate", 0), ("--accumulate", 0)])
def test_error_numbers_of_optimization(data, option, value):
    result = run_cli("train", data, "--out", data / "run", *TINY, option, value)
    assert re.search(rf"{option.strip('-').replace('-', '.')}.*{value}", str(result.exception))
    assert not (data / "run").exists()


def test_error_patience_without_validation(data):
    result = run_cli("train", data, "--out", data / "run", *TINY, "--patience", 2)
    assert "--patience needs validation data" in str(result.exception)


def test_value_several_processes_speak_once(data, torchrun):
    out = data / "run"
    arguments = ("train", data, "--out", out, *TINY, "--batch-size", 1, "--val-fraction", 0.4, "--size", 96,
                 "--gt-encoder", "train", "--gt-encoder-epochs", 1)  # fmt: skip
    output, errors = torchrun(2, "-m", "dichoseg", *arguments)
    assert errors.count("images to train on") == 1
    assert output.count("model in") == 1
    assert output.count("validation") == 1
    for name in ("last/model.safetensors", "gt_encoder/model.safetensors", "scores.json", "plan.json", "state.pt"):
        assert (out / name).exists()
    assert len((out / "history.csv").read_text().splitlines()) == 2


def test_error_resumed_with_another_option(data):
    out = data / "run"
    command = ("train", data, "--out", out, "--resume", out, *TINY)
    assert run_cli(*command).exit_code == 0
    plan = (out / "plan.json").read_bytes()
    result = run_cli(*command, "--loss", "iou")
    assert re.search("the objective was .*BCELoss.*IoULoss", str(result.exception))
    assert (out / "plan.json").read_bytes() == plan
    assert run_cli(*command, "--workers", 1).exit_code == 0
    (out / "plan.json").write_text("[]")
    assert "plan.json cannot be read" in str(run_cli("train", "--resume", out).exception)


def test_value_resume_needs_only_the_folder(data, monkeypatch):
    from dichoseg.training import session

    out = data / "run"
    real, calls = session.save_state, []

    def killed_at_the_second(*arguments):
        real(*arguments)
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("killed")

    arguments = ("train", data, *TINY, "--epochs", 3, "--seed", 4, "--loss", "edge_bce:0.5", "--no-check")
    assert run_cli(*arguments, "--out", data / "whole").exit_code == 0
    monkeypatch.setattr(session, "save_state", killed_at_the_second)
    assert "killed" in str(run_cli(*arguments, "--out", out).exception)
    assert "already holds something" in str(run_cli(*arguments, "--out", out).exception)
    result = run_cli("train", "--resume", out)
    assert result.exit_code == 0, result.output
    expected, resumed = (load_model(folder / "last").state_dict() for folder in (data / "whole", out))
    assert all(torch.equal(value, resumed[key]) for key, value in expected.items())


def test_value_stopped_overfitting(data, monkeypatch):
    monkeypatch.setattr("dichoseg.training.session.stoppable", lambda enabled: nullcontext(lambda: True))
    result = run_cli("train", data, "--out", data / "run", *TINY, "--overfit-batches", 2, "--batch-size", 2)
    assert result.exit_code == 130, result.output


def test_value_a_run_that_ended_early_stays_ended(data):
    out = data / "run"
    command = ("train", data, "--out", out, "--resume", out, *TINY, "--epochs", 5, "--val-fraction", 0.4)
    assert run_cli(*command, "--patience", 1, "--learning-rate", 0).exit_code == 0
    assert run_cli(*command, "--learning-rate", 0).exit_code == 0, "without --patience, too"


def test_error_numbers_are_refused_before_the_data_is_read(data):
    (data / "train/im").rename(data / "train/gone")
    for option in ("--epochs", "--batch-size", "--gt-encoder-epochs"):
        result = run_cli("train", data, "--out", data / "run", *TINY, option, 0)
        assert f"{option[2:].replace('-', '_')} must be" in str(result.exception)
    assert "--val-fraction" in str(run_cli("train", data, "--out", data / "run", *TINY, "--val-fraction", 2).exception)


def test_value_a_command_that_failed_is_replaced(data):
    out = data / "run"
    command = ("train", data, "--out", out, "--resume", out, *TINY, "--mask-suffix=", "--epochs", 2)
    assert "warmup" in str(run_cli(*command, "--warmup", 500).exception)
    assert run_cli(*command, "--warmup", 1).exit_code == 0
    assert run_cli("train", "--resume", out).exit_code == 0


def test_error_resume_where_there_is_no_run(data):
    assert "no run of `dichoseg train` in" in str(run_cli("train", "--resume", data / "none").exception)
    assert "wanted DATA or --from, and --out; or --resume" in str(run_cli("train", data).exception)
    result = run_cli("train", data, "--out", data / "a", "--resume", data / "b")
    assert "two folders" in str(result.exception)
    result = run_cli("train", "--resume", data / "a", "--epochs", 3)
    assert "--resume takes all options from the run" in str(result.exception)


def test_value_final_table_shows_the_metric_of_best(data):
    result = run_cli("train", data, "--out", data / "run", *TINY, "--val-fraction", 0.4, "--best", "mba")
    assert result.exit_code == 0, result.output
    assert "mba" in result.stdout
    assert "mba" in json.loads((data / "run/scores.json").read_text())["last"]
