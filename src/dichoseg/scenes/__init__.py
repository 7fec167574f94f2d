"""Synthetic scenes with masks, which need no download."""

from .synthetic import SyntheticDataset as SyntheticDataset
