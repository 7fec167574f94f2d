"""Losses: `(logits, mask) -> scalar`, with logits and mask of the same size.

Every loss except `BalancedBCELoss` averages per image first, then over the batch. All convert half precision to
float32 and run outside of autocast. `dichoseg.objectives` applies losses to everything that a model returns.
"""

from .._lazy import attach
from .edge import BalancedBCELoss as BalancedBCELoss
from .edge import EdgeBCELoss as EdgeBCELoss
from .edge import EdgeMapBCELoss as EdgeMapBCELoss
from .pixel import BCELoss as BCELoss
from .pixel import BorderBCELoss as BorderBCELoss
from .pixel import MAELoss as MAELoss
from .pixel import PixelIoULoss as PixelIoULoss
from .region import DiceLoss as DiceLoss
from .region import IoULoss as IoULoss
from .region import StructureLoss as StructureLoss
from .ssim import SSIMLoss as SSIMLoss

__getattr__, __dir__ = attach(
    __name__, moved={"objectives": "DeepSupervision EdgeSupervision IntermediateSupervision WeightedSum"}
)
