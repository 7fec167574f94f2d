"""Sanity checks of the first epoch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import final

from ..contracts import Mask

logger = logging.getLogger(__name__)

ENOUGH = 100
MOSTLY_EMPTY = 0.8
DOMINANT = 0.8


@final
class FirstEpoch:
    """Warnings about the first epoch's masks and loss that usually explain a loss that does not fall."""

    def __init__(self) -> None:
        self.masks = 0
        self.empty = 0
        self.checked = False

    def see(self, mask: Mask) -> None:
        """Count a batch of masks (B, 1, H, W) as the loss sees them, up to a hundred."""
        if self.checked:
            return
        self.masks += len(mask)
        self.empty += int((mask <= 0.5).flatten(1).all(dim=1).sum())
        if self.masks >= ENOUGH:
            self._check_masks()

    def end(self, terms: Mapping[str, float]) -> None:
        """Check the epoch's mean of each term of the loss, and the masks if they were few."""
        if not self.checked:
            self._check_masks()
        parts: dict[str, float] = {}
        for name, value in terms.items():
            part = name.partition("/")[0]
            parts[part] = parts.get(part, 0.0) + value
        total = sum(parts.values())
        if len(parts) < 2 or not any("/" in name for name in terms) or total <= 0:
            return
        largest = max(parts, key=lambda part: parts[part])
        if largest != next(iter(parts)) and parts[largest] > DOMINANT * total:  # the first is the main one
            logger.warning(
                "%s makes up %.0f %% of the loss in the first epoch (%s); the other terms hardly count, so lower its "
                "weight: WeightedSum(%s=(weight, objective), ...)",
                largest,
                100 * parts[largest] / total,
                ", ".join(f"{part} {value:.3g}" for part, value in parts.items()),
                largest,
            )

    def _check_masks(self) -> None:
        self.checked = True
        if self.empty > MOSTLY_EMPTY * self.masks:
            logger.warning(
                "%d of the first %d training masks are empty (no value above 0.5), so an all-black prediction is "
                "nearly right; are they masks, is their foreground white, and does the augmentation keep the object "
                "in view?",
                self.empty,
                self.masks,
            )
