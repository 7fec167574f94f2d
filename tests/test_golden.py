"""Published networks and losses against reference values of the authors' own code."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dichoseg import Target, create_model
from dichoseg.blocks import resize
from dichoseg.objectives import DeepSupervision, IntermediateSupervision
from dichoseg.weights.matching import published_records

GOLDEN = Path(__file__).parent / "golden/architectures"
# our name: their name, tolerance, parameters, GMACs at 320 and 1024 pixels
NETWORKS = {
    "isnet": ("isnet_dis", 2e-5, 44_046_790, 15.59, 159.7),
    "isnet_gt_encoder": ("isnet_gt_encoder", 2e-5, 6_877_734, 2.30, 23.5),
    "isnet_deconv": ("deconv_disnet", 5e-5, 44_939_725, 18.62, 190.7),
    "isnet_deconv_gt_encoder": ("deconv_gt_encoder", 2e-5, 7_770_662, 5.33, 54.5),
    "u2net": ("u2net", 2e-5, 44_009_869, 58.60, 600.0),
    "u2netp": ("u2netp", 2e-5, 1_131_181, 19.76, 202.3),
    # less 32,768 of a convolution that the published file holds and nothing uses
    "egnet_resnet50": ("egnet_resnet50", 3e-4, 111_692_618 - 32_768, 244.03, 2460.4),
    "egnet_vgg16": ("egnet_vgg16", 1e-4, 108_068_426 - 32_768, 245.00, 2508.8),
}


def fill(name, shape):
    spec = importlib.util.spec_from_file_location("fill", GOLDEN / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill(name, shape)


def filled_model(name, folder):
    """A published network from a file of the kind in which its authors publish it."""
    counters = name not in ("u2net", "u2netp")
    keys = json.loads((GOLDEN / "keys.json").read_text())[NETWORKS[name][0]]
    state = {
        key: torch.from_numpy(np.asarray(fill(key, shape)))
        for key, shape, _ in keys
        if counters or "num_batches" not in key
    }
    path = folder / f"{name}.pth"
    content = {"state_dict": {f"net.{key}": value for key, value in state.items()}, "epoch": 338}
    torch.save(content if name == "isnet_deconv" else state, path, _use_new_zipfile_serialization=counters)
    return create_model(name, weights=path)


@pytest.mark.parametrize("name", NETWORKS)
def test_value_published_network(name, tmp_path):
    file, tolerance, *_ = NETWORKS[name]
    model = filled_model(name, tmp_path).eval()
    size = 128 if "deconv" in name else 96
    golden = np.load(GOLDEN / f"{file}_{size}x{size}.npz")
    image = torch.from_numpy(golden["x"])
    with torch.no_grad():
        prediction = model(image)
        answer = model.logits(image)
    maps = [prediction.logits, *(resize(side, tuple(image.shape[-2:])) for side in prediction.side_logits)]
    names = [key for key in golden.files if key.startswith("d")]
    if "egnet" in name:
        maps = [*prediction.edge_logits, *prediction.side_logits[4:], *prediction.side_logits[:4], prediction.logits]
        names = [key for key in golden.files if key != "x"]
        assert names[0].startswith("edge")
        assert names[1].startswith("sal1")
        assert names[-1].startswith("sal2")
    elif name != "isnet_deconv":  # its published code returns logits, as EGNet's
        maps = [logits.sigmoid() for logits in maps]
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
    terms = DeepSupervision(torch.nn.BCEWithLogitsLoss()).terms(prediction, Target(mask))
    assert [float(term.detach()) for term in terms.values()] == pytest.approx(golden["bce_terms"], rel=1e-7)
    if case.endswith("eval"):
        gt_encoder = filled_model("isnet_gt_encoder", tmp_path).double()
        features = IntermediateSupervision(gt_encoder).terms(prediction, Target(mask))
        assert [float(term.detach()) for term in features.values()] == pytest.approx(golden["mse_terms"], rel=1e-7)
        terms |= features
    loss = sum(terms.values())
    assert float(loss.detach()) == pytest.approx(golden["loss"], rel=1e-7)
    loss.backward()
    gradients = {key: parameter.grad.norm().item() for key, parameter in model.named_parameters()}
    total = sum(norm**2 for norm in gradients.values()) ** 0.5
    assert total == pytest.approx(golden["grad_norm_total"], rel=1e-7)
    names = dict(published_records())[name].names
    for key, norm in golden["grad_norms"].items():
        module, _, leaf = key.rpartition(".")
        assert gradients[f"{names[module]}.{leaf}"] == pytest.approx(norm, rel=1e-7, abs=1e-9 * total), key


@pytest.mark.parametrize("name", NETWORKS)
def test_value_parameters_and_multiply_adds(name):
    _, _, parameters, at_320, at_1024 = NETWORKS[name]
    with torch.device("meta"):
        model = create_model(name).eval()
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    # EGNet's batch norms are frozen: their weights and biases are no parameters, and counted all the same
    assert sum(value.numel() for key, value in model.state_dict().items() if not key.endswith(statistics)) == parameters
    channels = 1 if model.preprocessing.source == "mask" else 3
    for size, wanted, digits in ((320, at_320, 2), (1024, at_1024, 1)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, channels, size, size, device="meta"))
        assert round(counter.get_total_flops() / 2e9, digits) == wanted
