"""BiRefNet and its parts against reference values of the authors' own code."""

import json

import numpy as np
import pytest
import torch
from timm.layers import DropPath
from torch import nn

from dichoseg import Target, create_model
from dichoseg.blocks import patch_stack
from dichoseg.deformable import ASPP, ASPPBlock, DeformConv2d
from dichoseg.models.birefnet import _block_names, names_of
from dichoseg.objectives import DeepSupervision
from dichoseg.objectives.birefnet import birefnet
from dichoseg.objectives.gradient import GradientSupervision, image_gradients

from . import golden_files
from .golden_files import GOLDEN, authors_keys, filler

KEYS = authors_keys("birefnet")
TRAINING = json.loads((GOLDEN / "birefnet_train.json").read_text())["float64"]
NETWORKS = {
    "swin_v1_t_96x96": ("swin_v1_t", {"backbone": "swin_t"}, 2e-3, 44_313_720),
    "swin_v1_t_96x160": ("swin_v1_t", {"backbone": "swin_t"}, 2e-3, 44_313_720),
    "swin_v1_t_columns_96x160": ("swin_v1_t", {"backbone": "swin_t", "patch_order": "columns"}, 2e-3, 44_313_720),
    "swin_v1_l_96x128": ("swin_v1_l", {}, 2e-3, 220_176_498),
    "pvt_v2_b2_96x96": ("pvt_v2_b2", {"backbone": "pvt_v2_b2"}, 1e-3, 39_665_678),
    "resnet50_96x96": ("resnet50", {"backbone": "resnet50"}, 2e-2, 54_798_334),
    "pvt_v2_b0_aspp_residual_add_96x96": (
        "pvt_v2_b0_aspp_residual_add",
        {"backbone": "pvt_v2_b0", "deformable": False, "residual": True, "joining": "add"},
        1e-3,
        9_695_822,
    ),
}


@pytest.fixture(scope="module")
def fill():
    """The rule of the parameters: a function of the authors' key and the shape."""
    return filler("birefnet").fill


def golden(name):
    return golden_files.golden(f"birefnet_{name}")


def filled(fill, keys, names, network, *, front=""):
    """Fill a network by the authors' keys."""
    state = {}
    for key, shape, _ in keys:
        value = fill(f"{front}{key}", shape)
        if value is not None:
            module, _, leaf = key.rpartition(".")
            state[".".join(filter(None, [names[module], leaf]))] = torch.from_numpy(np.array(value))
    network.load_state_dict(state)
    return network.eval()


def lite(fill):
    return filled(fill, KEYS["birefnet_swin_v1_t"], names_of("swin_t"), create_model("birefnet_lite"))


@pytest.mark.parametrize("name", NETWORKS)
def test_value_published_network(name, fill):
    file, recipe, tolerance, parameters = NETWORKS[name]
    options = {key: recipe[key] for key in ("deformable", "residual") if key in recipe}
    names = names_of(recipe.get("backbone", "swin_l"), **options)
    model = filled(fill, KEYS[f"birefnet_{file}"], names, create_model("birefnet", **recipe))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    wanted = golden(name)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(wanted["x"]), wanted["logits"], rtol=0, atol=tolerance)
        prediction = model.double()(wanted["x"].double())
    torch.testing.assert_close(prediction.logits, wanted["logits64"].double(), rtol=0, atol=1e-5)
    maps = zip(["m2", "m3", "m4"], prediction.side_logits, strict=True)
    gradients = zip(["gdt_pred2", "gdt_pred3", "gdt_pred4"], prediction.extras["gradient_logits"], strict=True)
    for key, value in (*maps, *gradients):
        if key in wanted:  # float32 there
            torch.testing.assert_close(value.float(), wanted[key], rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["swin_v1_t", "swin_v1_s", "swin_v1_l", "pvt_v2_b0", "pvt_v2_b1", "pvt_v2_b2"])
def test_value_every_module_of_the_authors_in_their_order(name):
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key, _, _ in KEYS[f"birefnet_{name}"]))
    assert list(names_of(name.replace("v1_", ""))) == modules


@pytest.mark.parametrize("name", ["pvt_v2_b5", "resnet50"])
def test_value_every_module_of_the_authors(name):
    assert set(names_of(name)) == {key.rpartition(".")[0] for key, _, _ in KEYS[f"birefnet_{name}"]}


PARTS = {
    "deform3": lambda: DeformConv2d(6, 10, kernel_size=3),
    "deform7": lambda: DeformConv2d(6, 4, kernel_size=7),
    "aspp_deformable": lambda: ASPP(16, 16),
    "aspp": lambda: ASPP(16, 16, deformable=False),
    "basic_block": lambda: ASPPBlock(24, 20),
    "residual_block": lambda: ASPPBlock(24, 20, residual=True),
    "simple_convs": lambda: nn.Sequential(nn.Conv2d(12, 64, 3, padding=1), nn.Conv2d(64, 5, 3, padding=1)),
}


@pytest.mark.parametrize("name", PARTS)
def test_value_part(name, fill):
    names = {"offset_conv": "offset", "modulator_conv": "modulator", "regular_conv": "", "conv1": "0", "conv_out": "1"}
    if "block" in name:
        names = dict(_block_names(deformable=True, residual=name == "residual_block"))
    elif "aspp" in name:
        inside = _block_names(deformable="deformable" in name, residual=False)
        names = {theirs[8:]: own[5:] for theirs, own in inside if theirs.startswith("dec_att.")}
    keys = KEYS[f"part.{name}"]
    part = filled(fill, keys, names, PARTS[name](), front=f"part.{name}.")
    parts = golden("parts")
    with torch.no_grad():
        torch.testing.assert_close(part(parts[f"part.{name}.x"]), parts[f"part.{name}.y"], rtol=0, atol=2e-5)


def test_value_patches():
    parts = golden("parts")
    for order in ("rows", "columns"):
        assert torch.equal(patch_stack(parts["part.patches.x"], (2, 4), order=order), parts[f"part.patches.{order}"])


def test_value_image_gradients():
    parts = golden("parts")
    torch.testing.assert_close(image_gradients(parts["part.laplacian.x"]), parts["part.laplacian.y"], rtol=0, atol=2e-5)


@pytest.fixture(scope="module")
def training(fill):
    """A prediction in train mode, with nothing random, and its target, in float64."""
    inputs = golden("train_inputs")
    model = lite(fill).double().train()
    for module in model.modules():
        if isinstance(module, nn.Dropout | DropPath):
            module.eval()
    image = inputs["x"].double()
    return model, model(image), Target(inputs["mask"].double(), image), inputs


def test_value_maps_in_training(training):
    _, prediction, _, inputs = training
    found = [*prediction.side_logits, prediction.logits, *prediction.extras["gradient_logits"]]
    keys = ["m2", "m3", "m4", "logits", "gdt_pred2", "gdt_pred3", "gdt_pred4"]
    for key, value in zip(keys, found, strict=True):
        torch.testing.assert_close(value.detach().float(), inputs[key], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("task", "key"), [("dis5k", "DIS5K"), ("general", "General"), ("matting", "Matting")])
def test_value_training_loss(training, task, key):
    _, prediction, target, _ = training
    terms = {name: float(value.detach()) for name, value in birefnet(task=task).terms(prediction, target).items()}
    gradient = sum(value for name, value in terms.items() if name.startswith("gradient/"))
    assert gradient == pytest.approx(TRAINING[key]["gdt"], rel=1e-7)
    assert sum(terms.values()) - gradient == pytest.approx(TRAINING[key]["pix"], rel=1e-6)
    assert sum(terms.values()) == pytest.approx(TRAINING[key]["loss"], rel=1e-6)


@pytest.mark.parametrize("term", ["bce", "iou", "mae"])
def test_value_training_terms(training, term):
    _, prediction, target, _ = training
    objective = dict(zip(birefnet(task="general").weights, birefnet(task="general").objectives, strict=True))[term]
    assert isinstance(objective, DeepSupervision)
    found = list(objective.terms(prediction, target).values())
    for value, maps in zip([*found[:0:-1], found[0]], TRAINING["common"]["terms_unweighted"], strict=True):
        assert float(value.detach()) == pytest.approx(maps[term], rel=1e-7)


def test_value_ssim_with_an_exact_window(training):
    _, prediction, target, _ = training
    objective = dict(zip(birefnet().weights, birefnet().objectives, strict=True))["ssim"]
    found = [float(value.detach()) / 2 for value in objective.terms(prediction, target).values()]
    assert [*found[:0:-1], found[0]] == pytest.approx(TRAINING["common"]["ssim_with_float64_window"], rel=1e-7)


def test_value_gradient_terms(training):
    _, prediction, target, _ = training
    found = [float(value.detach()) for value in GradientSupervision().terms(prediction, target).values()]
    assert found[::-1] == pytest.approx(TRAINING["common"]["gdt_terms"], rel=1e-7)


def test_gradient_training(training):
    model, prediction, target, _ = training
    birefnet()(prediction, target).backward(retain_graph=True)
    gradients = {key: parameter.grad.norm().item() for key, parameter in model.named_parameters()}
    model.zero_grad()
    wanted = TRAINING["DIS5K"]
    total = sum(norm**2 for norm in gradients.values()) ** 0.5
    assert total == pytest.approx(wanted["grad_norm_total"], rel=1e-6)
    names = names_of("swin_t")
    for key, norm in wanted["grad_norms"].items():
        module, _, leaf = key.rpartition(".")
        assert gradients[f"{names[module]}.{leaf}"] == pytest.approx(norm, rel=1e-6, abs=1e-9 * total), key


def test_value_batch_norm_in_eval(fill):
    inputs = golden("train_inputs")
    model, image = lite(fill).double(), inputs["x"].double()
    with torch.no_grad():
        terms = birefnet().terms(model(image), Target(inputs["mask"].double(), image))
    assert float(sum(terms.values())) == pytest.approx(TRAINING["DIS5K"]["bn_eval"]["loss"], rel=1e-6)
