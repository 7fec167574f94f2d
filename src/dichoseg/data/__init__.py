"""Data sets: sequences of `Sample`, an image with its mask, both at native size."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .decoding import read_image as read_image
    from .decoding import read_mask as read_mask
    from .folder import FolderDataset as FolderDataset
    from .folder import find_folders as find_folders
    from .layouts import open_folders as open_folders
    from .report import DataReport as DataReport
    from .report import Problem as Problem
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "DataReport": "report",
            "FolderDataset": "folder",
            "Problem": "report",
            "find_folders": "folder",
            "open_folders": "layouts",
            "read_image": "decoding",
            "read_mask": "decoding",
        },
        moved={
            "SyntheticDataset": "scenes",
        },
    )
