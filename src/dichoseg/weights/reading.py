"""Read tensors from files of several formats; nothing in a file is ever executed."""

from __future__ import annotations

import logging
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..untrusted import check_elements, check_limit, reading
from .format import METADATA_KEY, parse_config
from .onnx_graph import Layer, read_onnx
from .pickles import check_pickle

logger = logging.getLogger(__name__)

_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "params")


class StoredWeights(NamedTuple):
    """Contents of a file of weights."""

    path: Path
    kind: str
    """Format in messages, such as `ONNX, 16-bit`."""
    state: dict[str, Tensor]
    """Tensors by the file's own names; for a graph, those of its named layers."""
    layers: tuple[Layer, ...] = ()
    """Layers of an ONNX graph, also those that lost their names when batch norm was folded into them."""
    config: dict[str, Any] | None = None
    """Recipe and preprocessing, if dichoseg exported the graph."""

    @property
    def is_graph(self) -> bool:
        """True for an ONNX file."""
        return bool(self.layers)


def read_weights(path: Path) -> StoredWeights:
    """Read a `.safetensors`, `.onnx`, or torch file (`.pth`, `.pt`, `.ckpt`, also of the old format)."""
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    with reading(path):
        if path.suffix.lower() == ".onnx":
            stored = _read_graph(path)
        elif path.suffix.lower() == ".safetensors":
            stored = StoredWeights(path, "safetensors", _read_safetensors(path))
        else:
            stored = StoredWeights(path, "torch checkpoint", _read_torch(path))
        named = [*stored.state.items()]
        named += [(f"convolution {layer.number}", value) for layer in stored.layers for value in layer.tensors.values()]
        check_limit("tensors", len(named))
        check_limit("characters of a tensor's name", max((len(key) for key, _ in named), default=0))
        if not stored.is_graph:  # whose external data have been counted
            check_elements(sum(value.numel() for _, value in named), path.stat().st_size)
        for key, value in named:
            _check(path, key, value)
    return stored


def _check(path: Path, key: str, value: Tensor) -> None:
    """Raise a ValueError if a tensor cannot be a weight."""
    if value.layout != torch.strided or value.is_quantized or value.is_meta or value.is_complex():
        kind = "meta" if value.is_meta else f"{value.dtype} ({value.layout})"
        raise ValueError(f"{path} holds a tensor that is not of plain numbers: {key} is {kind}")
    may_be_odd = value.is_floating_point() and not value.sum(dtype=torch.float32).isfinite()  # or the sum overflows
    if may_be_odd and not value.float().isfinite().all():
        raise ValueError(f"{path} holds values that are not finite, first in {key}")


def _read_graph(path: Path) -> StoredWeights:
    graph = read_onnx(path)
    state: dict[str, Tensor] = {}
    for layer in graph.layers:
        for leaf, value in layer.tensors.items() if layer.name is not None else ():
            key = f"{layer.name}.{leaf}"
            if key in state and not torch.equal(state[key], value):
                raise ValueError(f"{path} holds two layers called {layer.name}, with different weights")
            state[key] = value
    noted = graph.metadata.get(METADATA_KEY)
    config = None if noted is None else parse_config(noted, f"the metadata of {path}")
    return StoredWeights(path, f"ONNX, {graph.precision}", state, graph.layers, config)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file, or is incomplete: {error}") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        check_archive(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can fail in any way
        found = re.search(r"GLOBAL (\S+)", str(error))
        code = f"; it holds {found[1]}" if found else ""
        raise ValueError(
            f"{path} is not a complete checkpoint of tensors only, as is required ({type(error).__name__}{code}); "
            "its author can save one with torch.save(model.state_dict(), path)"
        ) from error
    for _ in _WRAPPERS:  # not longer, since dicts can hold each other in a circle
        if not isinstance(content, Mapping):
            break
        wrapper = next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if wrapper is None:
            break
        others = [str(key) for key, value in content.items() if key != wrapper and _is_state(value)]
        if others:
            logger.warning("%s: %r is read, of the networks %s", path, wrapper, listed([wrapper, *others]))
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        kind = "an empty dict" if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"{path} does not hold a dict of tensors; got {kind}")
    others = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise ValueError(f"{path} must hold a dict of tensors only; {listed(others)} are not tensors")
    return {str(key): value for key, value in content.items()}


def check_archive(path: Path) -> None:
    """Raise a ValueError if a torch file would unpack to more than a file of its size can store, or never end."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_elements(sum(entry.file_size for entry in archive.infolist()), path.stat().st_size)
    check_pickle(path)


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, Tensor) for one in value.values())


def listed(keys: list[str]) -> str:
    """Join the first keys, for a message."""
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
