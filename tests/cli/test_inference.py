import json
import shutil

import numpy as np
from PIL import Image

from dichoseg import GTEncoder, cli, save_model

from .conftest import RUNNER, run_cli


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
