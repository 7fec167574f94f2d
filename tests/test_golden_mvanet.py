"""MVANet against reference values of the authors' own code."""

import pytest
import torch

from dichoseg import create_model
from dichoseg.models.mvanet import MVANET

from .golden_files import authors_keys, authors_state, filler, golden

KEYS = authors_keys("mvanet")["mvanet"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model read from a file with the authors' keys, filled by a function of key and shape."""
    state = authors_state(KEYS, filler("mvanet").fill_mvanet)
    file = tmp_path_factory.mktemp("mvanet") / "Model_80.pth"
    torch.save(state, file)
    return create_model("mvanet", weights=file).eval()


def test_value_published_network(model):
    assert sum(parameter.numel() for parameter in model.parameters()) == 94_139_021
    wanted = golden("mvanet_384x384")
    with torch.no_grad():
        prediction = model(wanted["x"])
        both = model.logits(torch.cat([wanted["x"].flip(3), wanted["x"]]))
    found = {"final": prediction.logits}
    found |= {f"side{number}": maps for number, maps in enumerate(prediction.side_logits, start=1)}
    found |= {f"glb{number}": maps for number, maps in enumerate(prediction.extras["distant_logits"], start=1)}
    for key, maps in found.items():
        torch.testing.assert_close(maps, wanted[key], rtol=0, atol=5e-4)
    for number, gate in enumerate(prediction.extras["gates"], start=1):
        torch.testing.assert_close(gate, wanted[f"tok{number}"], rtol=0, atol=2e-5)
    torch.testing.assert_close(both[1:], wanted["final"], rtol=0, atol=5e-4)


def test_value_every_module_of_the_authors():
    assert set(MVANET.names) == {
        key.rpartition(".")[0] for key, _, dtype in KEYS if "relative_position_index" not in key
    }
