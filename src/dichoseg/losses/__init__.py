"""Losses and objectives.

A loss is `(logits, mask) -> scalar`, both of one size. An objective is `(prediction, mask) -> scalar`: it applies
losses to what a model returns, and names each term. Every loss averages per image first, then over the batch
(`BalancedBCELoss` excepted), raises half precision to float32 and leaves autocast.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .edge import BalancedBCELoss as BalancedBCELoss
    from .edge import EdgeBCELoss as EdgeBCELoss
    from .edge import EdgeMapBCELoss as EdgeMapBCELoss
    from .objectives import DeepSupervision as DeepSupervision
    from .objectives import EdgeSupervision as EdgeSupervision
    from .objectives import IntermediateSupervision as IntermediateSupervision
    from .objectives import WeightedSum as WeightedSum
    from .pixel import BCELoss as BCELoss
    from .region import DiceLoss as DiceLoss
    from .region import IoULoss as IoULoss
    from .region import StructureLoss as StructureLoss
    from .ssim import SSIMLoss as SSIMLoss
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "BCELoss": "pixel",
            "BalancedBCELoss": "edge",
            "DeepSupervision": "objectives",
            "DiceLoss": "region",
            "EdgeBCELoss": "edge",
            "EdgeMapBCELoss": "edge",
            "EdgeSupervision": "objectives",
            "IntermediateSupervision": "objectives",
            "IoULoss": "region",
            "SSIMLoss": "ssim",
            "StructureLoss": "region",
            "WeightedSum": "objectives",
        },
    )
