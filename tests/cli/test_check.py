import shutil

import pytest

from .conftest import run_cli


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


def test_error_check_of_a_messy_folder(messy):
    result = run_cli("check", messy)
    assert result.exit_code == 1
    for message in ("x.png is 32x32 pixels but its image", "y.png is not an image", "z.png has no mask"):
        assert message in result.output.replace("\n", " ")
