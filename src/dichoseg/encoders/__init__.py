"""Encoders: `Image -> Features`, finest first, with a `feature_info` that holds their channels and strides."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .egnet import CaffeResNet50Encoder as CaffeResNet50Encoder
    from .egnet import VGG16Encoder as VGG16Encoder
    from .image_reference import ImageReference as ImageReference
    from .multi_scale import MultiScaleInput as MultiScaleInput
    from .patch_injection import PatchInjectionEncoder as PatchInjectionEncoder
    from .res2net import Res2NetEncoder as Res2NetEncoder
    from .rsu import RSUEncoder as RSUEncoder
    from .swin import SwinEncoder as SwinEncoder
    from .timm_backbone import TimmEncoder as TimmEncoder
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "egnet": "CaffeResNet50Encoder VGG16Encoder",
            "image_reference": "ImageReference",
            "multi_scale": "MultiScaleInput",
            "patch_injection": "PatchInjectionEncoder",
            "res2net": "Res2NetEncoder",
            "rsu": "RSUEncoder",
            "swin": "SwinEncoder",
            "timm_backbone": "TimmEncoder",
        },
    )
