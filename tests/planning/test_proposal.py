import dataclasses
import json

import pytest
from PIL import Image

from dichoseg import SyntheticDataset, fit, save_model
from dichoseg.data import open_folders
from dichoseg.planning import Proposal, propose
from dichoseg.untrusted import UnusableFileError


def write(folder, pairs, *, empty=False):
    """Write drawn pairs in the layout of DIS5K."""
    for part in ("im", "gt"):
        (folder / part).mkdir(parents=True)
    scenes = SyntheticDataset(pairs, size=64)
    for image, mask, name in (scenes[index] for index in range(pairs)):
        Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(folder / f"im/{name}.png")
        Image.fromarray((mask[0] * (0 if empty else 255)).byte().numpy()).save(folder / f"gt/{name}.png")
    return folder


@pytest.fixture
def saved(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data", 6)


@pytest.fixture
def image_per_second(monkeypatch):
    """A machine that trains on one image a second."""
    monkeypatch.setattr("dichoseg.planning.proposal.fit", lambda *_, **__: [{"images_per_second": 1.0}])


def test_value_a_proposal_survives_its_file_and_trains(data, saved, tmp_path):
    proposal = propose(data, weights=saved)
    assert proposal.recipe.size == 64
    assert 0 < proposal.memory_gb < 8
    assert 0 < proposal.seconds < 600
    proposal.save(tmp_path / "proposal.json")
    again = Proposal.load(tmp_path / "proposal.json")
    assert again == proposal
    assert f"epochs                  {proposal.recipe.epochs}" in str(again)
    assert "6 pairs" in str(again)
    model, arguments = dataclasses.replace(again, recipe=dataclasses.replace(again.recipe, epochs=1)).build()
    training, validation = open_folders(data, val_fraction=proposal.recipe.val_fraction)
    history = fit(model, training, val_data=validation, **arguments)
    assert [row["epoch"] for row in history] == [0, 1]


def test_value_every_value_has_a_reason_or_is_a_consequence(data, saved):
    proposal = propose(data, weights=saved)
    unexplained = {field.name for field in dataclasses.fields(proposal.recipe)} - proposal.reasons.keys()
    assert unexplained <= {"objective"}


def test_value_unusable_pairs_are_noted_and_left_out(data, saved):
    first = sorted((data / "gt").iterdir())[0]
    first.write_bytes(b"no picture")
    proposal = propose(data, weights=saved)
    assert "unreadable file: 1" in proposal.notes
    assert "1 pairs cannot be used, and must be fixed or left out before the run" in proposal.notes


def test_value_problems_of_the_validation_set_are_noted(saved, data, image_per_second):
    validation = write(data / "val", 2)
    next((validation / "gt").iterdir()).write_bytes(b"no picture")
    data.joinpath("train").mkdir()
    for part in ("im", "gt"):
        (data / part).rename(data / "train" / part)
    notes = propose(data, weights=saved).notes
    assert "validation set: unreadable file: 1" in notes
    assert any(note.startswith("in both sets") for note in notes), "scenes repeat"


def test_value_the_weights_are_not_changed(data, saved):
    before = (saved / "model.safetensors").read_bytes()
    propose(data, weights=saved)
    assert (saved / "model.safetensors").read_bytes() == before


def test_error_other_data_or_weights(data, saved, tmp_path):
    proposal = propose(data, weights=saved)
    training, _ = open_folders(data)
    proposal.check(training, saved)
    other, _ = open_folders(write(tmp_path / "other", 3))
    with pytest.raises(ValueError, match=r"made for other data, 6 pairs.*got 3 pairs"):
        proposal.check(other)
    with pytest.raises(ValueError, match=r"made for the weights .*; got u2net"):
        proposal.check(training, "u2net")


def test_error_too_few_pairs(saved, tmp_path):
    with pytest.raises(ValueError, match=r"needs 2 usable pairs at least.*got 1 of 1"):
        propose(write(tmp_path / "one", 1), weights=saved)


def test_error_data_that_are_no_files(saved):
    with pytest.raises(TypeError, match="train_data must be a folder or a FolderDataset"):
        propose(SyntheticDataset(3, size=64), weights=saved)


def test_error_masks_that_are_all_empty(saved, tmp_path):
    with pytest.raises(ValueError, match="the masks of all 3 pairs are empty"):
        propose(write(tmp_path / "empty", 3, empty=True), weights=saved)


def test_error_memory(data, saved):
    with pytest.raises(ValueError, match=r"nothing fits 0\.001 GB"):
        propose(data, weights=saved, memory_gb=0.001)


def test_value_time_of_training_and_scores(data, saved, image_per_second):
    proposal = propose(data, weights=saved)
    assert proposal.recipe.held_back(6) == 1
    # The base, 10 epochs and an average are scored on an image, and 3 models at the end.
    assert proposal.seconds == pytest.approx(10 * 5 + 0.35 * 15)


def test_value_hours_limit_the_epochs(data, saved, image_per_second):
    unlimited = propose(data, weights=saved)
    limited = propose(data, weights=saved, hours=36 / 3600)
    assert limited.recipe == dataclasses.replace(unlimited.recipe, epochs=6)  # 7 take 39 seconds
    assert limited.seconds == pytest.approx(6 * 5 + 0.35 * 11)
    assert "30 images seen, repetitions included, as many as fit into 0.01 hours" in limited.reasons["epochs"]
    assert propose(data, weights=saved, hours=100).recipe == unlimited.recipe


def test_error_hours(data, saved, image_per_second):
    with pytest.raises(ValueError, match=r"one epoch with its scores takes about 1 min; got hours=0\.001"):
        propose(data, weights=saved, hours=0.001)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format_version": 99}'])
def test_error_a_file_that_is_no_proposal(tmp_path, content):
    path = tmp_path / "proposal.json"
    path.write_text(content)
    with pytest.raises(UnusableFileError, match=r"proposal\.json is not a proposal"):
        Proposal.load(path)


def test_error_a_proposal_with_an_unknown_value(data, saved, tmp_path):
    path = tmp_path / "proposal.json"
    propose(data, weights=saved).save(path)
    content = json.loads(path.read_text())
    content["recipe"]["momentum"] = 0.9
    path.write_text(json.dumps(content))
    with pytest.raises(UnusableFileError, match="momentum"):
        Proposal.load(path)
