"""Files and folders of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .formats import usable_endings

ALPHA = "alpha"
"""Name for masks that are the alpha channels of cut-outs."""
SIDECARS = ("@eaDir", "__MACOSX", "Thumbs", "#recycle", "$RECYCLE.BIN")
"""Folders of previews and deleted files on network drives, in archives and on Windows."""


def find_folders(
    root: str | Path, *, part: str = "train", images: str = "im", masks: str = "gt"
) -> tuple[Path, Path | str]:
    """Find the folders of images and masks, the arguments of `FolderDataset`, in one of the usual layouts.

    The layouts are `ROOT/im` and `ROOT/gt`, the same below `ROOT/train` (or another part), or below DIS5K's
    `ROOT/DIS-TR` and `ROOT/DIS-VD`.

    Args:
        root: Folder of the data set.
        part: `"train"`, `"val"`, or another subfolder.
        images: Name of the subfolder of images.
        masks: Name of the subfolder of masks, or `"alpha"` for cut-outs, which may also be in the part's folder itself.
    """
    root = Path(root)
    own_names = {"train": (root / "train", root / "DIS-TR", root), "val": (root / "val", root / "DIS-VD")}
    candidates = own_names.get(part, (root / part,))
    for folder in candidates:
        if (folder / images).is_dir() and (masks == ALPHA or (folder / masks).is_dir()):
            return folder / images, ALPHA if masks == ALPHA else folder / masks
    if masks == ALPHA:
        for folder in filter(Path.is_dir, candidates):
            return folder, ALPHA
    names = images if masks == ALPHA else f"{{{images},{masks}}}"
    wanted = " or ".join(f"{folder}/{names}" for folder in candidates)
    raise FileNotFoundError(f"no images and masks in {root}: wanted {wanted}; {_what_is_in(root, candidates)}")


def _what_is_in(root: Path, folders: Sequence[Path]) -> str:
    parents = [folder for folder in dict.fromkeys((root, *folders)) if folder.is_dir()]
    found = sorted(
        {path.relative_to(root).as_posix() for folder in parents for path in folder.iterdir() if path.is_dir()}
    )
    if not found:
        return f"{root} " + ("holds no folders" if root.is_dir() else "does not exist")
    shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
    return f"it holds {shown}; images= and masks= take other names"


def images_and_others(root: Path) -> tuple[list[Path], list[Path]]:
    """List the files below a folder that can be read, by their extension, and all others; both sorted.

    Hidden files and folders are ignored, as are those in which systems keep previews. Links to folders are not
    followed, because they may form a circle; they are among the others, as are broken links.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}")
    known = usable_endings()
    images: list[Path] = []
    others: list[Path] = []
    for folder, subfolders, names in os.walk(root, onerror=_refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in SIDECARS]
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for path in (Path(folder, name) for name in names + links if not name.startswith(".")):
            (images if path.suffix.lower() in known and path.is_file() else others).append(path)
    return sorted(images), sorted(others)


def _refuse(error: OSError) -> None:
    raise type(error)(f"{error.filename} cannot be listed: {error.strerror}; wanted a folder of images") from error
