"""The folder of a saved model: which files it has, and where it is."""

from __future__ import annotations

import re
from pathlib import Path

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"


def local_folder(source: str | Path) -> Path | None:
    """The folder of a saved model on this machine: itself, a run's best or else last, or that of its weights' file."""
    path = Path(source)
    for candidate in (path, path / "best", path / "last"):
        if (candidate / CONFIG_FILE).is_file():
            return candidate
    config = path.parent / CONFIG_FILE  # other libraries call their files so too
    if path.name == WEIGHTS_FILE and config.is_file() and b'"dichoseg"' in config.read_bytes():
        return path.parent
    return None


def find_folder(source: str | Path, *, revision: str | None = None) -> Path:
    """The folder of a saved model: one on this machine, or a hub id's, fetched.

    Raises:
        FileNotFoundError: Neither a folder with a model nor a hub id that can be fetched.
        ValueError: A revision of a folder, which has none.
    """
    folder = local_folder(source)
    if folder is not None:
        if revision is not None:
            raise ValueError(f"{source} is on this machine, where there are no revisions; got revision={revision!r}")
        return folder
    if Path(source).exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", str(source)):
        raise FileNotFoundError(f"no model at {source}: wanted a folder with {CONFIG_FILE} and {WEIGHTS_FILE}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        fetched = snapshot_download(str(source), revision=revision, allow_patterns=[WEIGHTS_FILE, CONFIG_FILE])
    except (HfHubHTTPError, OSError, ValueError) as error:
        wanted = f"{source}, revision {revision}" if revision else str(source)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileNotFoundError(
            f"no model at {wanted}: there is no such folder, and the Hugging Face hub did not give it ({reason})"
        ) from error
    if not (Path(fetched) / CONFIG_FILE).is_file():
        raise FileNotFoundError(f"the hub's {source} holds no dichoseg model: it has no {CONFIG_FILE}")
    return Path(fetched)
