import json

import pytest
import torch

from dichoseg import fit, load_model, save_model
from dichoseg.cli.continuing import defaults_for
from dichoseg.data import open_folders
from dichoseg.planning import Proposal

from .conftest import run_cli


@pytest.fixture
def planned(data, small_isnet):
    """A data set, and the proposal of a short run on it."""
    save_model(small_isnet, data / "model")
    result = run_cli("plan", data, "--weights", data / "model", "--out", data / "proposal.json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "size                    64" in result.stdout
    assert f"--plan {data / 'proposal.json'} --device cpu --out RUN" in result.stdout
    content = json.loads((data / "proposal.json").read_text())
    content["recipe"]["epochs"] = 1
    (data / "proposal.json").write_text(json.dumps(content))
    return data, data / "proposal.json"


def test_value_train_takes_the_proposal_as_python_does(planned):
    data, path = planned
    result = run_cli("train", data, "--plan", path, "--out", data / "run", "--workers", 0, "--device", "cpu")
    assert result.exit_code == 0, result.output
    proposal = Proposal.load(path)
    model, arguments = proposal.build()
    training, validation = open_folders(data, val_fraction=proposal.recipe.val_fraction)
    fit(model, training, val_data=validation, device="cpu", **arguments)
    trained = load_model(data / "run/best").state_dict()
    assert all(torch.equal(value, trained[key]) for key, value in model.state_dict().items())
    assert "--plan" not in str(json.loads((data / "run/plan.json").read_text())["command"])


def test_value_given_options_replace_proposed_ones(planned):
    data, path = planned
    options = defaults_for(["train", str(data), "--plan", str(path)])
    assert (options.epochs, options.batch_size, options.network.size) == (1, 4, 64)
    assert (options.objective.loss, options.network.freeze_batch_norm) == (("bce", "iou"), True)
    given = ("--size=32", "--loss", "mae", "--batch-size", 2, "--no-freeze-batch-norm", "--workers", 0)
    result = run_cli("train", data, "--plan", path, "--out", data / "run", "--device", "cpu", *given)
    assert result.exit_code == 0, result.output
    stored = json.loads((data / "run/plan.json").read_text())
    assert "--loss=mae" in stored["command"]
    assert "--loss=bce" not in stored["command"]
    assert {"--size=32", "--batch-size=2", "--epochs=1"} <= set(stored["command"])
    assert "--freeze-batch-norm" not in stored["command"]


def test_value_an_own_validation_set_replaces_the_proposed_fraction(planned):
    _, path = planned
    arguments = ["train", "data", "--plan", str(path)]
    assert defaults_for(arguments).folders.val_fraction == 0.2
    assert defaults_for([*arguments, "--val", "other"]).folders.val_fraction is None
    assert defaults_for([*arguments, "--val-fraction=0.5"]).folders.val is None


def test_error_a_proposal_for_other_data_or_weights(planned):
    data, path = planned
    (data / "train/im").joinpath("more.jpg").write_bytes(next((data / "train/im").iterdir()).read_bytes())
    (data / "train/gt").joinpath("more.png").write_bytes(next((data / "train/gt").iterdir()).read_bytes())
    result = run_cli("train", data, "--plan", path, "--out", data / "run")
    assert "was made for other data, 5 pairs" in str(result.exception)
    assert not (data / "run").exists()
    (data / "train/im/more.jpg").unlink()
    (data / "train/gt/more.png").unlink()
    result = run_cli("train", data, "--plan", path, "--weights", "u2netp", "--out", data / "run")
    assert "was made for the weights" in str(result.exception)


def test_error_a_file_that_is_there(planned):
    data, path = planned
    before = path.read_bytes()
    result = run_cli("plan", data, "--weights", data / "model", "--out", path)
    assert "is there already" in str(result.exception)
    assert path.read_bytes() == before


def test_error_a_file_that_is_missing(data):
    result = run_cli("train", data, "--plan", data / "none.json", "--out", data / "run")
    assert "none.json" in str(result.exception)
