import dataclasses
import io
import logging
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import GTEncoder, cli, predict, save_model
from dichoseg.cli.hints import with_options
from dichoseg.data.finding import images_and_others
from dichoseg.inference.predictor import to_uint8
from dichoseg.photographs import planning
from dichoseg.weights import catalogue
from dichoseg.weights.cache import own_path
from dichoseg.weights.catalogue import DEFAULT

from ..export.conftest import with_contrast
from ..web import plain_server
from .conftest import run_cli


def test_error_bad_file_in_predict(small_isnet, tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's, so that the log is shown as it is to a user
    save_model(small_isnet, tmp_path / "m")
    (tmp_path / "bad.png").write_text("x")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "good.png")
    result = run_cli(
        "predict", tmp_path / "bad.png", tmp_path / "good.png", "--model", tmp_path / "m", "--out", tmp_path / "o"
    )
    assert result.exit_code == 1
    assert result.stderr.count("bad.png is not an image that can be read\n") == result.output.count("bad.png") == 1
    assert result.stdout.endswith("; 1 failed\n")
    assert (tmp_path / "o/good.png").exists()


def test_error_predict_into_the_photographs(data, small_isnet):
    save_model(small_isnet, data / "model")
    Image.new("RGB", (64, 64)).save(data / "photo.png")
    before = (data / "photo.png").read_bytes()
    result = run_cli("predict", data / "photo.png", "--model", data / "model", "--out", data)
    assert "photo.png is a photograph that is read and would be overwritten" in str(result.exception)
    assert (data / "photo.png").read_bytes() == before


def test_error_predict_with_a_gt_encoder(data, small_isnet):
    save_model(GTEncoder.like(small_isnet), data / "gt")
    result = run_cli("predict", data / "train/im", "--model", data / "gt", "--out", data / "masks")
    assert "this is a GT encoder, which takes masks" in str(result.exception)


def test_value_predict_options(data, small_isnet, monkeypatch):
    save_model(small_isnet, data / "m")
    monkeypatch.setitem(sys.modules, "pymatting", None)
    arguments = (
        "predict",
        data / "train/im",
        "--model",
        data / "m",
        "--out",
        data / "o",
        "--device",
        "cpu",
        "--threads",
        1,
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        result = run_cli(*arguments, "--cutout", "--background", "#00ff00", "--format", "jpg", "--size", 32)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert result.exit_code == 0, result.output
    assert re.search(r"^5 written to .*/o, [0-9.]+ images/s$", result.output, re.MULTILINE)
    names = sorted(path.name for path in (data / "train/im").iterdir())
    assert sorted(path.name for path in (data / "o").iterdir()) == names
    (data / "o" / names[0]).unlink()
    result = run_cli(*arguments, "--format", "jpg", "--resume", "--threshold", 0.5, "--crop")
    assert re.search(r"1 written to .* images/s; 4 skipped \(already written\)", result.output)
    assert "1.5" in str(run_cli(*arguments, "--threshold", 1.5).exception)
    assert "a jpg file has no alpha channel" in str(run_cli(*arguments, "--cutout", "--format", "jpg").exception)


def test_value_predict_options_are_the_functions(data, small_isnet, monkeypatch):
    seen = {}

    def write_results(predictor, plan, *, progress):
        assert progress
        seen.update(
            dataclasses.asdict(plan.rendering),
            sources=sorted(path for path, _ in plan.remaining),
            size=predictor.model.preprocessing.size,
            threads_of_torch=torch.get_num_threads(),
        )
        raise KeyboardInterrupt

    monkeypatch.setattr("dichoseg.photographs.job.write_results", write_results)
    save_model(small_isnet, data / "m")
    arguments = ("predict", data / "train/im", "--model", data / "m", "--out", data / "o")
    before = torch.get_num_threads()
    options = (
        "--cutout --background red --format webp --resume --threshold 0.25 --crop --size 96 --threads 3"
        " --margin 7 --quality 80 --keep-colors --drop-exif"
    )
    result = run_cli(*arguments, *options.split())
    assert torch.get_num_threads() == before
    assert seen == {
        "cutout": True, "background": "red", "format": "webp", "threshold": 0.25, "crop": True, "estimate": True,
        "margin": 7, "quality": 80, "keep_colors": True, "drop_exif": True, "both": False, "keep_kind": False,
        "threads": 3, "size": 96, "threads_of_torch": 3, "sources": sorted((data / "train/im").iterdir()),
    }  # fmt: skip
    assert result.exit_code == 130
    assert "stopped; finished results are kept, and --resume continues from there" in result.output
    run_cli(*arguments)
    assert seen["size"] == 64
    assert seen["threads_of_torch"] == before


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("", {"device": torch.device("cpu"), "precision": "auto", "flips": False, "sharpen": False, "normalize": None}),
        ("--device meta", {"device": torch.device("meta")}),
        ("--precision float32", {"precision": "float32"}),
        ("--precision bfloat16", {"precision": "bfloat16"}),
        ("--flips", {"flips": True}),
        ("--sharpen", {"sharpen": True, "detail": None}),
        ("--detail views", {"detail": "views"}),
        ("--normalize", {"normalize": "minmax"}),
    ],
)
def test_value_predict_options_are_the_predictors(data, small_isnet, monkeypatch, options, wanted):
    seen = {}

    def predictor(model, **options):
        seen.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("dichoseg.inference.Predictor", predictor)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr("dichoseg.runtime.memory.keep_memory", lambda: seen.update(kept=True))
    save_model(small_isnet, data / "m")
    result = run_cli("predict", data / "train/im", "--model", data / "m", "--out", data / "o", *options.split())
    assert result.exit_code == 130, result.exception
    assert wanted.items() <= seen.items()
    assert seen["kept"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("none.jpg --out o", "no photograph or folder at none.jpg"),
        ("train/im --out o --cutout --format jpg", "a jpg file has no alpha channel"),
        ("train/im --out o --cutout --background whitish", "background must be a color such as white .* got 'whitish'"),
        ("train/im --out o --background white", "background is for cut-outs only"),
        ("train/im --out train/im --format jpg", "is a photograph that is read and would be overwritten"),
        ("train/im --out photo.png", "photo.png takes the result of one photograph; got the folder train/im"),
        ("photo.png --out photo.png/o", "photo.png is a file; wanted a folder for the results"),
        (
            "photo.png --out cut.tiff",
            "out must end in .png, .webp, .jpg, .jpeg, .avif, .gif, or be a folder; got cut.tiff",
        ),
        ("photo.png --out o --format tiff", "format must be one of png, webp, jpg, avif, gif; got 'tiff'"),
        ("photo.png --out cut.png --format jpeg", "format='jpg' is not that of out, cut.png"),
        ("photo.png --detail most", "detail must be one of blend, views, borders; got 'most'"),
        ("photo.png --out cut.png --format jpg", "format='jpg' is not that of out, cut.png"),
        ("photo.png - --out o", "'-' is one photograph, from standard input; got photo.png as well"),
        ("train/im --out o --device foo", "device must be one such as cpu, cuda, cuda:1 or mps; got 'foo'$"),
        ("train/im --out o --device fpga", "torch cannot use device fpga here: [^\n]+$"),
    ],
)
def test_error_predict_before_a_model_is_loaded(data, monkeypatch, options, message):
    Image.new("RGB", (9, 9)).save(data / "photo.png")
    monkeypatch.setattr("dichoseg.weights.load_model", lambda name, **options: pytest.fail("half a minute of loading"))
    monkeypatch.chdir(data)
    result = run_cli("predict", *options.split(), "--model", "m")
    assert isinstance(result.exception, ValueError | OSError)
    assert re.search(message, str(result.exception))
    assert not (data / "o").exists()


def test_error_predict_into_a_folder_that_cannot_be_made(data, small_isnet, monkeypatch):
    save_model(small_isnet, data / "m")

    def mkdir(path, *arguments, **options):
        raise FileNotFoundError(2, "No such file or directory", str(path))  # as below /proc

    monkeypatch.setattr("pathlib.Path.mkdir", mkdir)
    result = run_cli("predict", data / "train/im", "--model", data / "m", "--out", data / "o")
    assert "No such file or directory" in str(result.exception)
    assert str(data / "o") in str(result.exception)


def test_value_predict_tells_what_is_passed_over_once(data, small_isnet, caplog, monkeypatch):
    save_model(small_isnet, data / "m")
    (data / "train/im/p.cr2").write_text("")
    listed = []
    monkeypatch.setattr(planning, "images_and_others", lambda path: listed.append(path) or images_and_others(path))
    result = run_cli("predict", data / "train/im", "--model", data / "m", "--out", data / "o", "--device", "cpu")
    assert result.stdout.endswith("; 1 ignored (not photographs)\n")
    assert len([message for message in caplog.messages if ".cr2 files (1)" in message]) == 1
    assert listed == [data / "train/im"]


@pytest.fixture
def models(monkeypatch, small_isnet):
    """Sources of the models that were loaded."""
    sources = []

    def load(source, **options):
        sources.append(source if isinstance(source, str) else source.name)
        return small_isnet

    monkeypatch.setattr("dichoseg.weights.load_model", load)
    return sources


def test_value_predict_without_options(data, models, monkeypatch):
    monkeypatch.chdir(data)
    Image.new("RGB", (9, 9)).save("photo.jpg")
    for _ in range(2):  # its own result is replaced
        result = run_cli("predict", "photo.jpg")
        assert (result.stdout, result.stderr, result.exit_code) == ("photo.mask.png\n", "", 0)
    assert run_cli("predict", "photo.jpg", "--cutout", "--format", "webp").stdout == "photo.cutout.webp\n"
    assert run_cli("predict", "photo.jpg", "--out", "cut.webp").stdout.startswith("1 written to cut.webp, ")
    assert models == ["isnet-general-use"] * 4
    with Image.open("photo.cutout.webp") as cutout, Image.open("cut.webp") as mask:
        assert (cutout.mode, mask.format, mask.size) == ("RGBA", "WEBP", (9, 9))
    Image.new("L", (9, 9)).save("photo.mask.png")
    result = run_cli("predict", "photo.jpg")
    assert "photo.mask.png was not written by dichoseg" in str(result.exception)


def test_value_predict_downloads_the_default_once(data, tiny_weights, monkeypatch):
    own_path(tiny_weights).unlink()
    Image.new("RGB", (9, 9)).save("photo.jpg")
    with plain_server(data) as address:
        record = dataclasses.replace(tiny_weights, addresses=(f"{address}/authors.pth",))
        monkeypatch.setitem(catalogue._BY_NAME, DEFAULT, record)
        result = run_cli("predict", "photo.jpg")
    assert result.stdout == "photo.mask.png\n"
    assert result.stderr.splitlines() == [
        f"downloading tiny (5 MB) from {address}/authors.pth; license: mit (its author), commercial use: unstated",
        f"tiny is in {own_path(record)}",
    ]
    mask = np.array(Image.open("photo.mask.png"))
    monkeypatch.setenv("DICHOSEG_OFFLINE", "1")
    again = run_cli("predict", "photo.jpg", "--precision", "float32")
    assert (again.stdout, again.stderr) == ("photo.mask.png\n", "")
    assert np.abs(mask.astype(int) - np.array(Image.open("photo.mask.png"))).max() <= 3
    assert np.array_equal(to_uint8(predict("photo.jpg")), np.array(Image.open("photo.mask.png")))


def test_value_predict_the_former_order(data, models, monkeypatch):
    monkeypatch.chdir(data)
    Image.new("RGB", (9, 9)).save("photo.jpg")
    for model in ("u2net", "name/model"):
        result = run_cli("predict", model, "photo.jpg", "--out", "o")
        assert f"goes in 0.4; write: dichoseg predict photo.jpg --model {model}" in result.stderr
        assert result.exit_code == 0, result.exception
    assert models == ["u2net", "name/model"]
    assert run_cli("predict", "photo.jpg", "train/im/00000.jpg", "--out", "o").stderr == ""


def test_error_predict_a_model_without_photographs(data, small_isnet, monkeypatch):
    monkeypatch.chdir(data)
    save_model(small_isnet, "m")
    assert "m is a model: wanted photographs, and `--model m`" in str(run_cli("predict", "m").exception)
    assert "no photograph or folder at a/photo" in str(run_cli("predict", "a/photo").exception)


def test_value_predict_in_a_pipe(data, small_isnet):
    save_model(small_isnet, data / "m")
    content = next((data / "train/im").iterdir()).read_bytes()
    arguments = ["predict", "-", "--model", data / "m", "--cutout", "--out"]
    command = [sys.executable, "-c", "from dichoseg.cli import main; main()", *arguments]
    done = subprocess.run([*command, "-"], input=content, capture_output=True)
    with Image.open(io.BytesIO(done.stdout)) as cutout:
        assert (cutout.format, cutout.mode, cutout.size) == ("PNG", "RGBA", (64, 64))
    done = subprocess.run([*command, data / "cut.png"], input=b"no image", capture_output=True, text=False)
    assert done.returncode == 1
    assert b"-: the image of 8 bytes is not an image that can be read" in done.stderr
    assert not (data / "cut.png").exists()


def test_error_predict_from_or_to_a_terminal(data, models, monkeypatch):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: True))
    assert "standard input is a terminal" in str(run_cli("predict", "-", "--out", "a.png").exception)
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: False))
    monkeypatch.setattr("sys.stdout", types.SimpleNamespace(isatty=lambda: True))
    with pytest.raises(ValueError, match="standard output is a terminal"):
        cli.run(["predict", "-"])


def test_value_runtime(data, small_isnet, monkeypatch):
    monkeypatch.setenv("DICHOSEG_HOME", str(data / "home"))
    save_model(small_isnet, data / "m")
    arguments = ("predict", data / "train/im", "--model", data / "m", "--precision", "float32")
    assert run_cli(*arguments, "--out", data / "a").exit_code == 0
    result = run_cli(*arguments, "--out", data / "b", "--runtime", "onnxruntime")
    assert result.exit_code == 0, result.output
    for path in (data / "a").iterdir():
        first, second = (np.asarray(Image.open(data / name / path.name), np.int16) for name in "ab")
        assert np.abs(first - second).max() <= 1
    assert list((data / "home/exported").glob("*.onnx"))
    refused = run_cli(*arguments, "--out", data / "c", "--runtime", "onnxruntime", "--device", "cuda")
    assert "device='cuda' needs runtime='torch'" in str(refused.exception)


def test_value_8_bits(data, small_isnet, monkeypatch):
    monkeypatch.setenv("DICHOSEG_HOME", str(data / "home"))
    save_model(with_contrast(small_isnet), data / "model")
    photographs = data / "train/im"
    for index in range(3):
        shutil.copy(next(photographs.iterdir()), photographs / f"more{index}.jpg")
    arguments = ("predict", photographs, "--model", data / "model", "--precision", "int8", "--calibration", photographs)
    result = run_cli(*arguments, "--out", data / "a")
    assert result.exit_code == 0, result.output
    differences = [
        np.abs(np.asarray(Image.open(data / f"a/{path.stem}.png")) / 255 - predict(path, small_isnet)).mean()
        for path in photographs.iterdir()
    ]
    assert 1e-4 < np.mean(differences) < 0.015  # the gate allows 0.01, and masks are rounded
    refused = with_options(str(run_cli(*arguments, "--out", data / "b", "--runtime", "torch").exception))
    assert "precision='int8' (--precision) needs runtime='onnxruntime' (--runtime)" in refused


def test_error_a_network_in_place_of_photographs(data):
    message = str(run_cli("predict", "isnet", "photo.png").exception)
    assert message.startswith(
        "isnet is a network without weights; wanted photographs, and --model; did you mean isnet-"
    )
    assert str(run_cli("predict").exception).startswith("wanted photographs, or folders of them, as in")


@pytest.mark.parametrize("again", [(), ("--resume",)])
def test_value_max_pixels_is_for_results_too(small_isnet, tmp_path, monkeypatch, again):
    save_model(small_isnet, tmp_path / "m")
    (tmp_path / "in").mkdir()
    Image.new("RGB", (60, 50)).save(tmp_path / "in/a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # twice as many are refused
    arguments = ("predict", tmp_path / "in", "--model", tmp_path / "m", "--max-pixels", 4000)
    for options in ((), again):
        result = run_cli(*arguments, *options)
        assert result.exit_code == 0, result.output
        assert (tmp_path / "in/a.mask.png").exists()
