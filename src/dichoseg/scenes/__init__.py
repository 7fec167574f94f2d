"""Synthetic scenes with masks, which need no download."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .synthetic import SyntheticDataset as SyntheticDataset
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "SyntheticDataset": "synthetic",
        },
    )
