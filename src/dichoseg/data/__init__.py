"""Data sets: sequences of `Sample`, an image with its mask, both at native size."""

from .._lazy import attach
from .decoding import read_image as read_image
from .finding import find_folders as find_folders
from .folder import FolderDataset as FolderDataset
from .formats import pixel_limit as pixel_limit
from .layouts import open_folders as open_folders
from .mask_files import read_mask as read_mask
from .report import DataReport as DataReport
from .report import Problem as Problem

__getattr__, __dir__ = attach(__name__, moved={"scenes": "SyntheticDataset"})
