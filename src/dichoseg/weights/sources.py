"""Find the model that a text names: a folder, a file, published weights, or a repository on the Hugging Face hub."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path
from typing import NamedTuple

from ..data.formats import usable_endings
from ..records import Weights
from .catalogue import find_weights, near_names
from .fetching import fetch
from .format import CONFIG_FILE, WEIGHTS_FILE
from .hub import hub_folder, is_of_transformers, local_folder

logger = logging.getLogger(__name__)

MODEL_SUFFIXES = (".pth", ".pt", ".ckpt", ".onnx", ".safetensors")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class Source(NamedTuple):
    """Place of a model's weights on this machine."""

    file: Path
    folder: Path | None = None
    """Folder of a saved model, which the file is in."""
    record: Weights | None = None
    """Record of published weights, if they were named."""


def find_source(source: str | Path | Weights, *, revision: str | None = None, accept_license: bool = False) -> Source:
    """Find a model: a folder or a file on this machine, else published weights by name, else a hub id.

    Args:
        source: The text; which of them it names is logged. Or the record of published weights.
        revision: Branch, tag or commit on the hub.
        accept_license: Whether to accept the license of published weights, if it is for non-commercial use.

    Raises:
        FileNotFoundError: It is none of them, or cannot be downloaded.
        ValueError: A revision of something that has none.
    """
    if isinstance(source, Weights):
        return _published(source, revision=revision, accept_license=accept_license)
    path, name = Path(source), str(source)
    folder = local_folder(path)
    if folder is not None or path.exists():
        if revision is not None:
            raise ValueError(f"{path} is on this machine, so it has no revisions; got revision={revision!r}")
        if folder is None and path.is_dir():
            raise FileNotFoundError(_no_model(name))
        logger.info("%s is a %s on this machine", path, "file" if folder is None else "saved model")
        return Source(path) if folder is None else _in_folder(folder)
    record = find_weights(name)
    if record is not None:
        return _published(record, revision=revision, accept_license=accept_license)
    if not _is_hub_id(name):
        raise FileNotFoundError(_no_model(name))
    folder = hub_folder(name, revision=revision)
    logger.info("%s is a model on the Hugging Face hub: %s", name, folder)
    return _in_folder(folder)


def _in_folder(folder: Path) -> Source:
    """Return the weights in a folder: of a saved model, or of a published network, whose configuration is not used."""
    if not is_of_transformers(folder):
        return Source(folder / WEIGHTS_FILE, folder)
    if not (folder / WEIGHTS_FILE).is_file():
        raise FileNotFoundError(f"{folder} holds a {CONFIG_FILE} of the library transformers, but no {WEIGHTS_FILE}")
    return Source(folder / WEIGHTS_FILE)


def is_model(name: str) -> bool:
    """Return whether a text names a model, without a request: an id of the hub is only looked at."""
    path = Path(name)
    if path.exists():
        return local_folder(path) is not None or path.suffix in MODEL_SUFFIXES
    is_file = path.suffix.lower() in usable_endings() or path.parent.is_dir()
    return find_weights(name) is not None or (_is_hub_id(name) and not is_file)


def _is_hub_id(name: str) -> bool:
    return _HUB_ID.fullmatch(name) is not None and not name.endswith(MODEL_SUFFIXES)


def _published(record: Weights, *, revision: str | None, accept_license: bool) -> Source:
    """Return the file of published weights, which is downloaded if need be."""
    if revision is not None:
        raise ValueError(f"{record.name} always means the same file; got revision={revision!r}")
    if record.file.endswith(".onnx") and importlib.util.find_spec("onnx") is None:
        raise ImportError(f"{record.name} is an .onnx file, which needs onnx: pip install 'dichoseg[onnx]'")
    file = fetch(record, accept_license=accept_license)
    logger.info("%s is published weights of that name: %s", record.name, file)
    return Source(file, record=record)


def _no_model(name: str) -> str:
    if Path(name).exists() and find_weights(name) is not None:
        other = f"; rename or move this folder to use the published weights {name}"
    else:
        other = f", a file of weights, a hub id, or a name{near_names(name)} (`dichoseg list weights` lists all names)"
    return f"no model at {name}: wanted a folder with {CONFIG_FILE} and {WEIGHTS_FILE}{other}"
