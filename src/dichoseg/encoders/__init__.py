"""Encoders: `Image -> Features`, finest first, with a `feature_info` that says their channels and strides."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .rsu import RSUEncoder as RSUEncoder
    from .timm_backbone import TimmEncoder as TimmEncoder
else:
    __getattr__, __dir__, __all__ = attach(__name__, {"RSUEncoder": "rsu", "TimmEncoder": "timm_backbone"})
