import csv

import numpy as np
import pytest
from PIL import Image

from dichoseg import SyntheticDataset, load_model
from dichoseg.training.run_folder import RunFolder, validation_sheet
from dichoseg.untrusted import UnusableFileError

DATA = SyntheticDataset(3, size=64)


def row(epoch):
    return {
        "epoch": epoch,
        "loss": 2.0 / epoch,
        "bce/main": 1.0 / epoch,
        "bce/side_1": 1.0 / epoch,
        "learning_rate": 0.1,
        "val_loss": 2.0,
        "quick_mae": 0.2,
        "quick_max_f": 0.5,
    }


def test_value_what_a_run_leaves(small_isnet, tmp_path):
    run = RunFolder(tmp_path / "runs/a")
    assert not run.path.exists(), "a run that never starts leaves nothing"
    run.write(small_isnet, [row(1)], improved=True, train_data=DATA, val_data=DATA)
    run.write(small_isnet, [row(1), row(2)], improved=False, train_data=DATA, val_data=DATA)
    assert sorted(item.name for item in run.path.iterdir()) == ["best", "curves.png", "history.csv", "last", "sheets"]
    assert sorted(item.name for item in (run.path / "sheets").iterdir()) == ["epoch_0001.jpg", "epoch_0002.jpg"]
    lines = csv.DictReader((run.path / "history.csv").read_text().splitlines())
    assert [float(line["loss"]) for line in lines] == [2.0, 1.0]
    with Image.open(run.path / "curves.png") as curves:
        assert curves.size == (1200, 456)
    assert load_model(run.path / "last").preprocessing == small_isnet.preprocessing
    for folder, epochs in (("last", "2 epochs"), ("best", "1 epoch")):
        card = (run.path / folder / "README.md").read_text()
        assert f"3 images with masks, {epochs}." in card
        assert "On 3 validation images, by quick metrics" in card
        assert "| `quick_mae` | 0.2000 |" in card
        assert "Terms of the loss: `bce/main`, `bce/side`." in card


def test_value_sheet_shows_the_same_images_spread_over_the_set(small_isnet):
    sheets = [np.array(validation_sheet(small_isnet, DATA, rows=2)) for _ in range(2)]
    assert (sheets[0] == sheets[1]).all()
    first, last = DATA[0].image, DATA[2].image
    for top, image in ((22 + 8 + 22, first), (22 + 8 + 22 + 192 + 8 + 22, last)):
        shown = sheets[0][top : top + 192, 8 : 8 + 192].reshape(64, 3, 64, 3, 3).mean(axis=(1, 3)) / 255
        assert np.abs(shown - image.permute(1, 2, 0).numpy()).mean() < 0.05
    assert small_isnet.training, "the model stays as it is"


def test_value_a_gt_encoder_may_be_there_before(tmp_path):
    (tmp_path / "gt_encoder").mkdir()
    (tmp_path / ".DS_Store").touch()
    RunFolder(tmp_path)


def test_error_folder_in_use(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"already holds something \(notes.txt\); wanted a new folder"):
        RunFolder(tmp_path)
    with pytest.raises(FileExistsError, match="notes.txt is a file"):
        RunFolder(tmp_path / "notes.txt")


def test_error_names_what_is_not_the_run_s(tmp_path):
    for name in ("plan.json", "broken_batch.pt", "history.csv", "notes.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(FileExistsError, match=r"\(history.csv\); wanted a new folder for this run"):
        RunFolder(tmp_path)
    RunFolder(tmp_path, resume=True)  # notes, logs and predictions may lie there


def test_error_run_whose_state_was_removed(tmp_path):
    run = RunFolder(tmp_path)
    assert not run.can_resume()
    (tmp_path / "history.csv").write_text("epoch\n1\n")  # killed before the state of its first epoch was written
    assert not run.can_resume()
    (tmp_path / "history.csv").write_text("epoch\n1\n2\n")
    with pytest.raises(ValueError, match="without state.pt"):
        run.can_resume()
    (tmp_path / "state.pt").write_text("")
    assert run.can_resume()


def test_error_a_run_that_began_meanwhile(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.alone(resume=False):
        (tmp_path / "run/history.csv").touch()
    with pytest.raises(FileExistsError, match=r"already holds something \(history.csv\)"), folder.alone(resume=False):
        raise AssertionError
    with folder.alone(resume=True):
        pass


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000])
def test_error_plan(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UnusableFileError, match=r"plan.json cannot be read"):
        RunFolder(tmp_path, resume=True).read_plan()
