"""Published networks and losses against reference values of the authors' own code."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dichoseg import create_model
from dichoseg.blocks import resize
from dichoseg.losses import DeepSupervision, IntermediateSupervision
from dichoseg.models.weights import published_key

GOLDEN = Path(__file__).parent / "golden/architectures"
NETWORKS = {
    "isnet": ("isnet_dis", "isnet_dis_96x96", 2e-5),
    "isnet_gt_encoder": ("isnet_gt_encoder", "isnet_gt_encoder_96x96", 2e-5),
    "isnet_deconv": ("deconv_disnet", "deconv_disnet_128x128", 5e-5),
    "isnet_deconv_gt_encoder": ("deconv_gt_encoder", "deconv_gt_encoder_128x128", 2e-5),
}


def fill(name, shape):
    spec = importlib.util.spec_from_file_location("fill", GOLDEN / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill(name, shape)


def filled_model(name, folder, counters=True):
    keys = json.loads((GOLDEN / "keys.json").read_text())[NETWORKS[name][0]]
    state = {
        key: torch.from_numpy(np.asarray(fill(key, shape)))
        for key, shape, _ in keys
        if counters or "num_batches" not in key
    }
    path = folder / f"{name}.pth"
    torch.save(state, path)
    return create_model(name, weights=path)


@pytest.mark.parametrize("name", NETWORKS)
def test_value_published_network(name, tmp_path):
    _, file, tolerance = NETWORKS[name]
    model = filled_model(name, tmp_path, counters=name != "isnet").eval()
    golden = np.load(GOLDEN / f"{file}.npz")
    image = torch.from_numpy(golden["x"])
    with torch.no_grad():
        prediction = model(image)
        answer = model.logits(image)
    maps = [prediction.logits, *(resize(side, tuple(image.shape[-2:])) for side in prediction.side_logits)]
    if name != "isnet_deconv":  # its published code returns logits
        maps = [logits.sigmoid() for logits in maps]
    names = [key for key in golden.files if key.startswith("d")]
    for logits, key in zip(maps, names, strict=True):
        assert float((logits - torch.from_numpy(golden[key])).abs().max()) <= tolerance
    for feature, key in zip(prediction.features, [key for key in golden.files if key[0] == "f"], strict=False):
        torch.testing.assert_close(feature, torch.from_numpy(golden[key]), rtol=1e-5, atol=2e-5)
    assert torch.equal(answer, prediction.logits)


@pytest.mark.parametrize("case", ["isnet_dis__gt_encoder_none", "isnet_dis__gt_encoder_eval", "isnet_gt_encoder"])
def test_value_training_loss_and_gradients(case, tmp_path):
    golden = json.loads((GOLDEN / "train.json").read_text())[case]
    inputs = np.load(GOLDEN / "train_inputs.npz")
    image, mask = (torch.from_numpy(inputs[key]).double() for key in ("image", "mask"))
    name = "isnet_gt_encoder" if case == "isnet_gt_encoder" else "isnet"
    model = filled_model(name, tmp_path).double().train()
    prediction = model(mask if name == "isnet_gt_encoder" else image)
    terms = DeepSupervision(torch.nn.BCEWithLogitsLoss()).terms(prediction, mask)
    assert [float(term.detach()) for term in terms.values()] == pytest.approx(golden["bce_terms"], rel=1e-7)
    if case.endswith("eval"):
        gt_encoder = filled_model("isnet_gt_encoder", tmp_path).double()
        features = IntermediateSupervision(gt_encoder).terms(prediction, mask)
        assert [float(term.detach()) for term in features.values()] == pytest.approx(golden["mse_terms"], rel=1e-7)
        terms |= features
    loss = sum(terms.values())
    assert float(loss.detach()) == pytest.approx(golden["loss"], rel=1e-7)
    loss.backward()
    gradients = {key: parameter.grad.norm().item() for key, parameter in model.named_parameters()}
    total = sum(norm**2 for norm in gradients.values()) ** 0.5
    assert total == pytest.approx(golden["grad_norm_total"], rel=1e-7)
    for key, norm in golden["grad_norms"].items():
        assert gradients[published_key(key)] == pytest.approx(norm, rel=1e-7, abs=1e-9 * total), key


def test_value_parameter_counts():
    counts = {name: sum(p.numel() for p in create_model(name).parameters()) for name in NETWORKS}
    assert counts == {
        "isnet": 44_046_790,
        "isnet_gt_encoder": 6_877_734,
        "isnet_deconv": 44_939_725,
        "isnet_deconv_gt_encoder": 7_770_662,
    }
