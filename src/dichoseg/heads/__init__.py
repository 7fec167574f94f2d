"""Heads: `(features, image size) -> Prediction`, built from a `FeatureInfo`."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .edge_guided import EdgeGuidedHeads as EdgeGuidedHeads
    from .refined import RefinedHeads as RefinedHeads
    from .side import FusedHeads as FusedHeads
    from .side import SideHeads as SideHeads
else:
    __getattr__, __dir__ = attach(
        __name__,
        {"edge_guided": "EdgeGuidedHeads", "refined": "RefinedHeads", "side": "FusedHeads SideHeads"},
    )
