"""Tensors out of a file, whatever wrote it; nothing in it is ever run."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .config import METADATA_KEY, checked_config
from .onnx_graph import Layer, read_onnx

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")


class StoredWeights(NamedTuple):
    """What a file holds."""

    path: Path
    kind: str
    """For people, such as `ONNX, float16`."""
    state: dict[str, Tensor]
    """Tensors by the file's own names."""
    unnamed: tuple[Layer, ...] = ()
    """Convolutions of an ONNX graph that lost their names when batch norm was folded into them."""
    is_graph: bool = False
    config: dict[str, Any] | None = None
    """Recipe and preprocessing, where dichoseg exported the graph."""


def read_weights(path: Path) -> StoredWeights:
    """Read a `.safetensors`, `.onnx`, or torch file (`.pth`, `.pt`, `.ckpt`, also of the old format).

    Raises:
        FileNotFoundError: No such file.
        ValueError: A file that cannot be read, that holds anything but tensors, or values that are not finite.
        ImportError: An ONNX file without onnx.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    if path.suffix.lower() == ".onnx":
        stored = _read_graph(path)
    elif path.suffix.lower() == ".safetensors":
        stored = StoredWeights(path, "safetensors", _read_safetensors(path))
    else:
        stored = StoredWeights(path, "torch checkpoint", _read_torch(path))
    tensors = [
        *stored.state.items(),
        *((layer.name or "", t) for layer in stored.unnamed for t in layer.tensors.values()),
    ]
    broken = [key for key, value in tensors if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise ValueError(f"{path} holds values that are not finite, first in {broken[0] or 'a convolution'}")
    return stored


def _read_graph(path: Path) -> StoredWeights:
    graph = read_onnx(path)
    state = {
        f"{layer.name}.{leaf}": value
        for layer in graph.layers
        if layer.name is not None
        for leaf, value in layer.tensors.items()
    }
    unnamed = tuple(layer for layer in graph.layers if layer.name is None)
    noted = graph.metadata.get(METADATA_KEY)
    config = None if noted is None else checked_config(noted, f"the metadata of {path}")
    return StoredWeights(path, f"ONNX, {graph.precision}", state, unnamed, is_graph=True, config=config)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file, or not all of it: {error}") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        code = f"; it holds {found[1]}" if found else ""
        raise ValueError(
            f"{path} is not a whole checkpoint of tensors alone, the only kind that is read "
            f"({type(error).__name__}{code}); its author can save one with torch.save(model.state_dict(), path)"
        ) from error
    if isinstance(content, Mapping):
        content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f"{path} holds no dictionary of tensors; got {_described(content)}")
    return {str(key).replace("_orig_mod.", ""): value for key, value in content.items()}


def _described(content: Any) -> str:
    if not isinstance(content, Mapping):
        return type(content).__name__
    return f"a dictionary of {', '.join(map(str, list(content)[:5]))}" if content else "an empty dictionary"
