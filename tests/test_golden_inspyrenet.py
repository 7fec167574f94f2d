"""InSPyReNet and its parts against reference values of the authors' own code."""

import json

import numpy as np
import pytest
import torch
from timm.layers import DropPath

from dichoseg import Target, create_model, load_model
from dichoseg.blocks import resize, spatial_size
from dichoseg.losses import BorderBCELoss, PixelIoULoss
from dichoseg.models.inspyrenet import names_of
from dichoseg.objectives.inspyrenet import inspyrenet
from dichoseg.pyramid import blend, ellipse, expand, reconstruct, reduce, transition

from . import golden_files
from .golden_files import GOLDEN, authors_keys, authors_state, filler

KEYS = authors_keys("inspyrenet")
TRAINING = json.loads((GOLDEN / "inspyrenet_train.json").read_text())["float64"]
NETWORKS = {"swinb": ("swin_b", 90_721_443), "res2net50": ("res2net50", 28_104_339)}


def golden(name):
    return golden_files.golden(f"inspyrenet_{name}")


def close(found, wanted, tolerance):
    torch.testing.assert_close(found, wanted.to(found.dtype), rtol=0, atol=tolerance)


@pytest.fixture(scope="module")
def fill():
    """The rule of the parameters: a function of the authors' key and the shape."""
    return filler("inspyrenet").fill_inspyrenet


@pytest.fixture(scope="module", params=NETWORKS)
def published(request, fill, tmp_path_factory):
    """Name of a network, and the model read from a file with the authors' keys."""
    name = request.param
    state = authors_state(KEYS[f"inspyrenet_{name}"], fill)
    file = tmp_path_factory.mktemp(name) / "latest.pth"
    torch.save(state, file)
    model = create_model("inspyrenet", backbone=NETWORKS[name][0], base_size=(384, 384), weights=file)
    return name, model.eval(), file


def test_value_published_network(published):
    name, model, _ = published
    assert sum(parameter.numel() for parameter in model.parameters()) == NETWORKS[name][1]
    wanted = golden(f"{name}_96x96")
    with torch.no_grad():
        close(model.encoder(wanted["x"][:1])[4], wanted["f5"], 1e-4)
        prediction = model(wanted["x"])
    for key, found in zip(["d0", "d1", "d2", "d3"], (prediction.logits, *prediction.side_logits), strict=True):
        close(found, wanted[key], 1e-4)
    for key, found in zip(["p0", "p1", "p2"], prediction.extras["details"], strict=True):
        close(found, wanted[key], 1e-4)


def test_value_blended(published):
    name, model, _ = published
    wanted = golden(f"{name}_blend_160x224")
    with torch.no_grad():
        low, high = model.logits(wanted["x_low"]), model(wanted["x"])
    close(low, wanted["low_d0"], 1e-4)
    coarsest = resize(low, spatial_size(high.side_logits[-1]))
    levels = blend(coarsest, high.extras["details"][::-1])
    close(levels[0], wanted["d3"], 1e-4)
    close(levels[-1], wanted["d0"], 1e-4)


def test_value_every_module_of_the_authors(published):
    name, _, _ = published
    modules = {key.rpartition(".")[0] for key, _, dtype in KEYS[f"inspyrenet_{name}"] if dtype != "int64"}
    assert set(names_of(NETWORKS[name][0])) == modules


def test_error_file_without_its_size(published):
    _, _, file = published
    with pytest.raises(ValueError, match=r"base_size.*\(384, 384\)"):
        load_model(file)


def test_gradient_training(published):
    name, model, _ = published
    inputs, maps = golden("train_inputs"), golden(f"train_{name}_maps")
    model.double().train()
    for module in model.modules():
        if isinstance(module, DropPath):
            module.eval()
    prediction = model(inputs["x"].double())
    close(prediction.logits.detach(), maps["d0"], 1e-6)
    close(prediction.side_logits[-1].detach(), maps["d3"], 1e-6)
    wanted = TRAINING[f"inspyrenet_{name}"]
    objective = inspyrenet()
    terms = objective.terms(prediction, Target(inputs["y"].double()))
    for theirs, ours in (("wbce", "bce"), ("iou", "iou")):
        found = [float(terms[f"{ours}/{output}"].detach()) for output in ("main", "side_1", "side_2", "side_3")]
        assert found == pytest.approx([wanted["terms"][f"{theirs}_d{level}"] for level in range(4)], rel=1e-7)
    for level in (1, 2, 3):
        found = float(terms[f"consistency/consistency_{level}"].detach())
        assert found == pytest.approx(wanted["terms"][f"consistency_d{level}"], rel=1e-7)
    loss = sum(terms.values())
    assert float(loss.detach()) == pytest.approx(wanted["loss"], rel=1e-7)
    loss.backward()
    gradients = {key: float(parameter.grad.norm()) for key, parameter in model.named_parameters()}
    names = names_of(NETWORKS[name][0])
    for key, norm in wanted["grad_norms"].items():
        if norm > 1e-9:
            module, _, leaf = key.rpartition(".")
            assert gradients[f"{names[module]}.{leaf}"] == pytest.approx(norm, rel=1e-5), key


def test_value_wide_res2net(fill):
    wanted = golden("res2net50_backbone_64x1088")
    encoder = create_model("inspyrenet", backbone="res2net50").encoder.eval()
    encoder.load_state_dict(
        {
            f"backbone.{key}": torch.from_numpy(np.array(fill(f"backbone.{key}", value.shape)))
            for key, value in encoder.backbone.state_dict().items()
        }
    )
    with torch.no_grad():
        features = encoder(wanted["x"])
    close(features[3][:, :16], wanted["f4"], 1e-4)
    close(features[4][:, :16], wanted["f5"], 1e-4)


def test_value_pyramid_operations():
    ops = golden("ops")
    close(reduce(ops["x"]), ops["reduce"], 1e-6)
    close(reduce(ops["p"]), ops["reduce_odd"], 1e-6)
    close(expand(ops["x"]), ops["expand"], 1e-6)
    close(reconstruct(ops["x"], ops["p"]), ops["reconstruct"], 1e-6)


@pytest.mark.parametrize("width", [5, 9, 17])
def test_value_transition(width):
    ops = golden("ops")
    assert ellipse(width) == ops[f"ellipse{width}"].sum(dim=1).tolist()
    assert torch.equal(transition(ops[f"transition{width}_in"].sigmoid(), width), ops[f"transition{width}"].float())


def test_value_losses():
    ops = golden("ops")
    logits, mask = ops["loss_logits"].double(), ops["loss_mask"].double()
    close(BorderBCELoss()(logits, mask), ops["wbce"], 1e-12)
    close(PixelIoULoss()(logits, mask), ops["iou"], 1e-12)
