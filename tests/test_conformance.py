"""Every installed part passes its check: new ones by being registered.

Tables list the parts that need more than their name, or an option of their check, with the reason.
"""

import functools

import pytest

from dichoseg import FeatureInfo, create_model, list_components, load_component
from dichoseg.blocks import spatial_size
from dichoseg.decoders import EdgeGuidedDecoder, PyramidDecoder
from dichoseg.encoders import TimmEncoder
from dichoseg.heads import GradientHeads
from dichoseg.masks import edge_band
from dichoseg.models import MultiViewSegmenter
from dichoseg.testing import (
    check_augmentation,
    check_decoder,
    check_encoder,
    check_heads,
    check_loss,
    check_metric,
    check_model,
    check_objective,
    check_published,
)
from dichoseg.testing.common import draw_features

BACKBONES = ["test_resnet", "test_convnext", "test_efficientnet", "test_vit"]  # the last takes multiples of 16 only


def narrow_edge_guided(feature_info):
    return EdgeGuidedDecoder(feature_info, channels=[8] * len(feature_info.channels))


def predict_gradients(image):
    """A prediction with gradients, as of a model with `GradientHeads`."""
    info = FeatureInfo((4, 4, 4, 8, 8), (1, 4, 4, 8, 8))
    return GradientHeads(info)(draw_features(info, spatial_size(image)), spatial_size(image))


def small_views():
    return MultiViewSegmenter(TimmEncoder("test_resnet"), width=8)


def predict_views(image):
    """A prediction of a model with several views."""
    return small_views()(image)


BUILT = {
    ("encoders", "timm"): functools.partial(TimmEncoder, "test_resnet"),  # it needs a name
    ("decoders", "edge_guided"): narrow_edge_guided,  # as published it has 100 million weights
    ("models", "birefnet"): functools.partial(create_model, "birefnet", backbone="pvt_v2_b0"),  # large as published
    ("models", "inspyrenet"): functools.partial(create_model, "inspyrenet", backbone="res2net50"),
    ("models", "mvanet"): small_views,  # with its Swin-B, on five views, it takes minutes
    ("decoders", "pyramid"): functools.partial(PyramidDecoder, width=8, base_size=64),  # slow in bfloat16
}
FEW = [
    FeatureInfo((4, 4, 8, 8, 12, 12), (2, 4, 8, 16, 32, 64)),
    FeatureInfo((4, 8, 12, 16), (4, 8, 16, 32)),
    FeatureInfo((6, 8), (4, 16)),
]
OPTIONS = {
    ("decoders", "pyramid"): {"feature_infos": FEW},  # its many layers are slow to trace
    # deformable convolution is slow at fine strides
    ("decoders", "bilateral_reference"): {
        "feature_infos": [
            FeatureInfo((4, 8, 12, 16), (4, 8, 16, 32)),
            FeatureInfo((3, 8, 12, 12), (1, 8, 16, 16)),
            FeatureInfo((6, 8), (4, 16)),
        ]
    },
    ("losses", "balanced_bce"): {"per_image": False},  # counts over the batch, as published
    ("losses", "edge_map_bce"): {"answer": edge_band},  # wants the edges
    ("objectives", "birefnet"): {"predict": predict_gradients},
    ("objectives", "gradient_supervision"): {"predict": predict_gradients},
    ("objectives", "mvanet"): {"predict": predict_views},
    ("models", "birefnet"): {"side": 96},
    ("models", "egnet_resnet50"): {"size": (33, 49), "side": 48},  # large; its coarsest stride is 16
    ("models", "egnet_vgg16"): {"size": (33, 49), "side": 64},  # its coarsest is 32
    ("models", "inspyrenet"): {"size": (33, 49), "side": 64},  # large
    ("models", "mvanet"): {"size": (33, 49), "side": 64},
}


def run(check, group, name):
    make = BUILT.get((group, name)) or load_component(group, name)
    check(make, **OPTIONS.get((group, name), {}))


@pytest.mark.parametrize("name", list_components("encoders"))
def test_value_encoder(name):
    run(check_encoder, "encoders", name)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_value_timm_backbone(backbone):
    check_encoder(functools.partial(TimmEncoder, backbone))


@pytest.mark.parametrize("name", list_components("decoders"))
def test_value_decoder(name):
    run(check_decoder, "decoders", name)


@pytest.mark.parametrize("name", list_components("heads"))
def test_value_heads(name):
    run(check_heads, "heads", name)


@pytest.mark.parametrize("name", list_components("objectives"))
def test_value_objective(name):
    run(check_objective, "objectives", name)


@pytest.mark.parametrize("name", list_components("metrics"))
def test_value_metric(name):
    check_metric(load_component("metrics", name))


@pytest.mark.parametrize("name", list_components("published"))
def test_value_published(name):
    check_published(functools.partial(create_model, name), load_component("published", name))


@pytest.mark.parametrize("name", list_components("losses"))
def test_value_loss(name):
    run(check_loss, "losses", name)


@pytest.mark.parametrize("name", list_components("augmentations"))
def test_value_augmentation(name):
    run(check_augmentation, "augmentations", name)


@pytest.mark.parametrize("name", list_components("models"))
def test_value_model(name):
    make = BUILT.get(("models", name)) or functools.partial(create_model, name)
    check_model(make, **OPTIONS.get(("models", name), {}))


def test_value_tables_name_what_is_there():
    for group, name in (*BUILT, *OPTIONS):
        assert name in list_components(group)
