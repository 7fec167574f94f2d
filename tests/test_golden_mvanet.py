"""MVANet against reference values of the authors' own code."""

import gzip
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dichoseg import create_model
from dichoseg.models.mvanet import MVANET

GOLDEN = Path(__file__).parent / "golden/architectures"
KEYS = json.loads(gzip.decompress((GOLDEN / "mvanet_keys.json.gz").read_bytes()))["mvanet"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The model read from a file with the authors' keys, filled by a function of key and shape."""
    sys.path.insert(0, str(GOLDEN))
    try:
        spec = importlib.util.spec_from_file_location("mvanet_fill", GOLDEN / "mvanet_fill.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(GOLDEN))
        sys.modules.pop("fill", None)
    state = {}
    for key, shape, dtype in KEYS:
        integers = torch.zeros(shape, dtype=torch.int64)
        value = integers if dtype == "int64" else torch.from_numpy(np.array(module.fill_mvanet(key, shape)))
        state[key] = value
    file = tmp_path_factory.mktemp("mvanet") / "Model_80.pth"
    torch.save(state, file)
    return create_model("mvanet", weights=file).eval()


def test_value_published_network(model):
    assert sum(parameter.numel() for parameter in model.parameters()) == 94_139_021
    wanted = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN / "mvanet_384x384.npz").items()}
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
