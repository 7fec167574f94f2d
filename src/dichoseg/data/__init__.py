"""Data sets: sequences of `Sample`, an image with its mask, both at native size."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .folder import FolderDataset as FolderDataset
    from .folder import find_folders as find_folders
    from .layout import open_folders as open_folders
    from .reading import read_image as read_image
    from .reading import read_mask as read_mask
    from .report import DataReport as DataReport
    from .report import Problem as Problem
    from .synthetic import SyntheticDataset as SyntheticDataset
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "DataReport": "report",
            "FolderDataset": "folder",
            "Problem": "report",
            "SyntheticDataset": "synthetic",
            "find_folders": "folder",
            "open_folders": "layout",
            "read_image": "reading",
            "read_mask": "reading",
        },
    )
