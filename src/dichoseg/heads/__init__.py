"""Heads: `(features, image size) -> Prediction`, built from a `FeatureInfo`."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .edge_guided import EdgeGuidedHeads as EdgeGuidedHeads
    from .gradient import GradientHeads as GradientHeads
    from .pyramid import PyramidHeads as PyramidHeads
    from .refined import RefinedHeads as RefinedHeads
    from .side import FusedHeads as FusedHeads
    from .side import SideHeads as SideHeads
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "edge_guided": "EdgeGuidedHeads",
            "gradient": "GradientHeads",
            "pyramid": "PyramidHeads",
            "refined": "RefinedHeads",
            "side": "FusedHeads SideHeads",
        },
    )
