"""Find the folder of a saved model, on this machine or on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from ..untrusted import limit
from .fetching import is_offline
from .format import CONFIG_FILE, WEIGHTS_FILE


def local_folder(source: str | Path) -> Path | None:
    """Return the folder of a saved model on this machine, or None.

    That is the folder itself, a run's `best`, else `last`, or the folder of a weights file.
    """
    path = Path(source)
    for candidate in (path, path / "best", path / "last"):
        if (candidate / CONFIG_FILE).is_file():
            return candidate
    config = path.parent / CONFIG_FILE  # other libraries use these file names too
    if path.name == WEIGHTS_FILE and config.is_file() and _is_own(config):
        return path.parent
    return None


def is_of_transformers(folder: Path) -> bool:
    """Return whether a folder holds a model for the library transformers, such as the authors' BiRefNet."""
    content = _start(folder / CONFIG_FILE)
    return b'"dichoseg"' not in content and any(key in content for key in (b'"architectures"', b'"auto_map"'))


def _is_own(config: Path) -> bool:
    return b'"dichoseg"' in _start(config)


def _start(config: Path) -> bytes:
    with config.open("rb") as file:
        return file.read(limit("bytes of a configuration"))


def hub_folder(name: str, *, revision: str | None = None) -> Path:
    """Return the folder of a model that is downloaded from the hub."""
    from huggingface_hub import snapshot_download

    try:
        fetched = snapshot_download(
            name, revision=revision, allow_patterns=[WEIGHTS_FILE, CONFIG_FILE], local_files_only=is_offline()
        )
    except Exception as error:  # the client's HTTP library has errors of its own, such as of a proxy
        wanted = f"{name}, revision {revision}" if revision else name
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileNotFoundError(
            f"no model at {wanted}: the folder does not exist, and the Hugging Face hub cannot provide it ({reason})"
        ) from error
    if not (Path(fetched) / CONFIG_FILE).is_file():
        raise FileNotFoundError(f"{name} on the Hugging Face hub is not a dichoseg model: it has no {CONFIG_FILE}")
    return Path(fetched)
