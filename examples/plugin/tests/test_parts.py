"""The plugin's parts keep to dichoseg's contract, and are found by their names."""

import functools

import pytest
import torch
from dichoseg_example_plugin.augmentation import RandomShadow
from dichoseg_example_plugin.decoder import LightDecoder
from dichoseg_example_plugin.loss import FocalLoss

import dichoseg
from dichoseg.testing import check_augmentation, check_decoder, check_loss, check_model


def test_decoder():
    check_decoder(LightDecoder)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_loss(gamma):
    check_loss(lambda: FocalLoss(gamma=gamma))


def test_augmentation():
    check_augmentation(RandomShadow)
    check_augmentation(lambda: RandomShadow(p=1.0, darkest=0.0))


def test_model():
    check_model(functools.partial(dichoseg.create_model, "pocket"))


def test_names():
    for group, name in (
        ("decoders", "light"),
        ("losses", "focal"),
        ("augmentations", "shadow"),
        ("models", "pocket"),
    ):
        assert name in dichoseg.list_components(group)


def test_focal_loss_without_gamma_is_cross_entropy():
    logits, mask = torch.randn(2, 1, 5, 7), torch.rand(2, 1, 5, 7)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, mask)
    assert float(FocalLoss(gamma=0.0)(logits, mask)) == pytest.approx(float(expected))
