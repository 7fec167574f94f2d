"""Tests that the plugin's parts follow dichoseg's contract and are found by name."""

import functools

import pytest
import torch
from dichoseg_example_plugin.augmentation import RandomShadow
from dichoseg_example_plugin.decoder import LightDecoder
from dichoseg_example_plugin.heads import WideHeads
from dichoseg_example_plugin.loss import FocalLoss
from dichoseg_example_plugin.metric import SKELETON_RECALL
from dichoseg_example_plugin.objective import ContrastSupervision
from dichoseg_example_plugin.published import POCKET

import dichoseg
from dichoseg import testing
from dichoseg.weights import resolve

pocket = functools.partial(dichoseg.create_model, "pocket")


def test_decoder():
    testing.check_decoder(LightDecoder)


def test_heads():
    testing.check_heads(WideHeads)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_loss(gamma):
    testing.check_loss(lambda: FocalLoss(gamma=gamma))


def test_objective():
    testing.check_objective(ContrastSupervision)


def test_augmentation():
    testing.check_augmentation(RandomShadow)
    testing.check_augmentation(lambda: RandomShadow(p=1.0, darkest=0.0))


def test_metric():
    testing.check_metric(SKELETON_RECALL)


def test_model():
    testing.check_model(pocket)
    testing.check_published(pocket, POCKET)


def test_names():
    for group, name in (
        ("decoders", "light"),
        ("heads", "wide"),
        ("losses", "focal"),
        ("objectives", "contrast"),
        ("augmentations", "shadow"),
        ("metrics", "skeleton_recall"),
        ("models", "pocket"),
        ("published", "pocket"),
        ("weights", "drawn"),
    ):
        assert name in dichoseg.list_components(group)


def test_weights_by_name():
    record = resolve("dichoseg-example-plugin/drawn")
    assert dichoseg.create_model(record.network).recipe == {"name": record.network}
    assert record.license == "apache-2.0"


def test_focal_loss_without_gamma_is_cross_entropy():
    logits, mask = torch.randn(2, 1, 5, 7), torch.rand(2, 1, 5, 7)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, mask)
    assert float(FocalLoss(gamma=0.0)(logits, mask)) == pytest.approx(float(expected))


def test_published_file_is_recognized(tmp_path):
    model = pocket().eval()
    theirs = {ours: name for name, ours in POCKET.names.items()}
    state = {}
    for key, value in model.state_dict().items():
        module, _, leaf = key.rpartition(".")
        is_neck = module.startswith("decoder.project") and value.ndim == 4
        state[f"{theirs[module]}.{leaf}"] = value[:, :, 0, 0] if is_neck else value
    torch.save(state, tmp_path / "pocket.pth")
    loaded = dichoseg.load_model(tmp_path / "pocket.pth")
    image = torch.rand(1, 3, 65, 97)
    assert loaded.recipe == {"name": "pocket"}
    assert torch.equal(loaded.logits(image), model.logits(image))
