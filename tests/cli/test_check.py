import shutil

import pytest
from PIL import Image

from .conftest import run_cli


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


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


def test_value_preview_shows_draws_of_the_training_set(data):
    shutil.copytree(data / "train", data / "val")
    options = ("--augmentation", "isnet", "--augmentation", "blur_patches", "--draws", 2, "--size", 64, "--rows", 3)
    result = run_cli("check", data, "--preview", data / "sheet.png", *options)
    assert result.exit_code == 0, result.output
    height = 60 + 3 * 222
    assert size_of(data / "sheet.png") == (8 + 6 * 200, height)
    assert size_of(data / "sheet_validation.png") == (8 + 4 * 200, height), "nobody augments what validates"
    workers = run_cli("check", data, "--preview", data / "cpu.png", "--cpu-augmentation", "dis_tuning", "--size", 64)
    assert workers.exit_code == 0, workers.output
    assert size_of(data / "cpu.png")[0] == 8 + 7 * 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--augmentation", "isnet"), "--augmentation is about the contact sheet of --preview"),
        (("--size", 64), "--size is about the contact sheet of --preview"),
        (("--preview", "--draws", 2), "--draws needs --augmentation or --cpu-augmentation; got neither"),
        (("--preview", "--augmentation", "isnett"), "no 'isnett' in dichoseg.augmentations; did you mean 'isnet'?"),
        (("--preview", "--cpu-augmentation", "isnett"), "no augmentation preset 'isnett'; did you mean 'isnet'?"),
    ],
)
def test_error_preview_options(data, options, message, monkeypatch):
    monkeypatch.chdir(data)
    assert message in str(run_cli("check", data, *options).exception)
    assert not (data / "preview.png").exists()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("sheet", "is a .png, .jpg or .webp file"),
        ("no/s.png", "no folder no"),
        ("folder.png", "folder.png is a folder; wanted the name of a file"),
    ],
)
def test_error_preview_that_cannot_be_written(data, place, message, monkeypatch):
    monkeypatch.chdir(data)
    (data / "folder.png").mkdir()
    assert message in str(run_cli("check", data, "--preview", place).exception)


def test_error_preview_that_would_overwrite_the_data(data):
    photograph = min((data / "train/im").iterdir())
    before = photograph.read_bytes()
    assert "belongs to the data and would be overwritten" in str(
        run_cli("check", data, "--preview", photograph).exception
    )
    assert "which was not asked for" in str(run_cli("check", data, photograph).exception)
    assert photograph.read_bytes() == before


def test_error_check_of_a_messy_folder(messy):
    result = run_cli("check", messy)
    assert result.exit_code == 1
    for message in ("x.png is 32x32 pixels but its image", "y.png is not an image", "z.png has no mask"):
        assert message in result.output.replace("\n", " ")
