"""Deprecated module of the recipes: its names work, with a warning, until 0.4."""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {},
    moved={
        "create_model": "weights",
        "egnet_resnet50": "models.egnet",
        "egnet_vgg16": "models.egnet",
        "isnet": "models.isnet",
        "isnet_deconv": "models.isnet",
        "isnet_deconv_gt_encoder": "models.isnet",
        "isnet_gt_encoder": "models.isnet",
        "u2net": "models.u2net",
        "u2netp": "models.u2net",
    },
)
