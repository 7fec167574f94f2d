"""Decoders: `Features -> Features`, built from a `FeatureInfo`, with a `feature_info` of their own."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .bilateral_reference import BilateralReferenceDecoder as BilateralReferenceDecoder
    from .deconv import DeconvDecoder as DeconvDecoder
    from .deconv import DeconvEnlarger as DeconvEnlarger
    from .edge_guided import EdgeGuidedDecoder as EdgeGuidedDecoder
    from .fpn import FPNDecoder as FPNDecoder
    from .pyramid import PyramidDecoder as PyramidDecoder
    from .rsu import RSUDecoder as RSUDecoder
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "bilateral_reference": "BilateralReferenceDecoder",
            "deconv": "DeconvDecoder DeconvEnlarger",
            "edge_guided": "EdgeGuidedDecoder",
            "fpn": "FPNDecoder",
            "pyramid": "PyramidDecoder",
            "rsu": "RSUDecoder",
        },
        moved={"heads": "EdgeGuidedHeads"},
    )
