import os

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dichoseg import SyntheticDataset, cli, load_model, save_model

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
    ("loss", "message"), [("edge_bc", "did you mean 'edge_bce'"), ("bce:x", "the weight a number")]
)
def test_error_loss_names(loss, message):
    with pytest.raises(ValueError, match=message):
        cli._objective([loss], None)


def test_value_list():
    result = RUNNER.invoke(cli.app, ["list", "--check"])
    assert result.exit_code == 0
    assert "isnet_deconv_gt_encoder" in result.output
