"""Deprecated module of the recipes: its names work, with a warning, until 0.4."""

from .._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    moved={
        "weights": "create_model",
        "models.egnet": "egnet_resnet50 egnet_vgg16",
        "models.isnet": "isnet isnet_deconv isnet_deconv_gt_encoder isnet_gt_encoder",
        "models.u2net": "u2net u2netp",
    },
)
