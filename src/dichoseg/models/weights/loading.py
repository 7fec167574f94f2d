"""Filling a model from a file: whose names these are, what is folded, and what does not fit."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ...contracts import Model
from ...preprocessing import Preprocessing
from .batch_norm import identity_statistics
from .config import read_config
from .layout import WEIGHTS_FILE, find_folder, local_folder
from .onnx_graph import Layer
from .published import UNUSED, Names, published_names
from .reading import StoredWeights, read_weights

logger = logging.getLogger(__name__)


class Fit(NamedTuple):
    """A file's tensors under a model's names, and where the two differ (by the file's names)."""

    state: dict[str, Tensor]
    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]
    others: list[str]
    """Of something else that the file holds beside the network, such as a GT encoder."""

    @property
    def differences(self) -> int:
        """How many parameters differ; 0 where the file fits."""
        return len(self.missing) + len(self.unexpected) + len(self.reshaped)


def load_weights(model: Model, path: str | Path) -> StoredWeights:
    """Fill a model from a file, or from the folder of a saved model or of a run.

    Reads dichoseg's own `.safetensors`; the authors' `.pth` of a published network, bare or wrapped
    (`{"state_dict": ...}`, names behind `module.`, `net.`, `_orig_mod.`), with or without `num_batches_tracked`;
    Lightning's `.ckpt`; and `.onnx`. Where a graph's batch norms are folded into its convolutions, those of the model
    pass their input through; `is_uncalibrated(model)` then says so.

    A folder brings its preprocessing as well, and so does a graph that dichoseg exported. A graph of the answer alone
    leaves the side heads as they are, which is logged.

    Returns:
        What the file held.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A file that cannot be read, that holds anything but tensors or values that are not finite, or whose
            weights do not fit; the message names the first that differ and the network that the file looks like.
            Nothing is changed then.
    """
    path = Path(path)
    folder = find_folder(path) if path.is_dir() else local_folder(path)
    if folder is None:
        stored = read_weights(path)
        fill(model, stored)
        if stored.config is not None:
            model.preprocessing = Preprocessing.from_dict(stored.config["preprocessing"])
        return stored
    preprocessing = Preprocessing.from_dict(read_config(folder)["preprocessing"])
    stored = read_weights(folder / WEIGHTS_FILE)
    fill(model, stored)
    model.preprocessing = preprocessing
    return stored


def from_file(path: Path, *, name: str | None = None) -> tuple[Model, StoredWeights]:
    """Make the published network that a file holds, or the one that dichoseg exported to it.

    Args:
        path: A file that `load_weights` reads.
        name: The network, where it is known. Default: it is recognised by the file's keys and shapes.

    Returns:
        The model, with its published preprocessing, and what the file held.

    Raises:
        ValueError: A file that holds no published network, or not the named one.
    """
    from ..recipes import create_model

    stored = read_weights(path)
    config = stored.config
    if config is not None and config["recipe"] is not None and name is None:
        model = create_model(**config["recipe"])
        fill(model, stored)
        model.preprocessing = Preprocessing.from_dict(config["preprocessing"])
        return model, stored
    if name is None:
        name, _ = looks_like(stored)
        if name is None:
            keys = list(stored.state)
            held = f"{len(keys)} tensors ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
            raise ValueError(f"{path} ({stored.kind}) holds none of the published networks; got {held}")
    model = create_model(name)
    fill(model, stored)
    return model, stored


def fill(model: Model, stored: StoredWeights) -> None:
    """Fill a model from what a file holds; as `load_weights`."""
    fit = best_fit(model, stored)
    if fit.differences:
        raise ValueError(_misfit(model, stored, fit))
    if fit.others:
        logger.warning(
            "%s also holds %d tensors beside this network, which are passed over (%s, ...)",
            stored.path,
            len(fit.others),
            fit.others[0],
        )
    left = sorted(_weights_of(model) - set(fit.state))
    if left:
        logger.warning(
            "%s was exported for the answer alone; %d tensors of other heads keep their present values (%s, ...)",
            stored.path,
            len(left),
            left[0],
        )
    model.load_state_dict(fit.state, strict=False)


def best_fit(model: Model, stored: StoredWeights) -> Fit:
    """How a file fits a model: under the model's own names, or under those that some authors have for them."""
    target = _Target.of(model, stored)
    own: Names = {module: module for module in dict.fromkeys(_module(key) for key in target.own)}
    name = (model.recipe or {}).get("name")
    published = published_names()
    theirs = [published[name], *published.values()] if name in published else [*published.values()]
    best = _fit(target, stored, own, is_authors=False)
    for names in theirs:
        if best.differences:
            here = {author: ours for author, ours in names.items() if ours in own}
            best = min(best, _fit(target, stored, here, is_authors=True), key=lambda fit: fit.differences)
    return best


def looks_like(stored: StoredWeights) -> tuple[str | None, bool]:
    """The published network that a file holds, and whether all of it fits; None where most of it fits none."""
    from ..recipes import create_model

    best, name, size = None, None, 1
    for candidate in published_names():
        with torch.device("meta"):
            model = create_model(candidate)
        fit = best_fit(model, stored)
        if best is None or fit.differences < best:
            best, name, size = fit.differences, candidate, len(_weights_of(model))
    return (None, False) if best is None or best > size // 2 else (name, best == 0)


class _Target(NamedTuple):
    """A model as a file must fit it."""

    own: dict[str, Tensor]
    norms: dict[str, str]
    """Each convolution that a batch norm follows -> that batch norm."""
    eps: dict[str, float]
    """Batch norm -> its epsilon."""
    unneeded: set[str]
    """Modules that a graph may lack."""

    @classmethod
    def of(cls, model: Model, stored: StoredWeights) -> _Target:
        """Look at a model; only for a graph at more than its parameters."""
        if not stored.is_graph:
            return cls(model.state_dict(), {}, {}, set())
        norms = _followed_by_norm(model)
        eps = {norm: cast(float, model.get_submodule(norm).eps) for norm in norms.values()}
        return cls(model.state_dict(), norms, eps, _beside_the_answer(model))


def _fit(target: _Target, stored: StoredWeights, names: Names, *, is_authors: bool) -> Fit:
    own = target.own
    translated, unexpected, others = _translated(stored.state, names)
    state = {ours: stored.state[key] for key, ours in translated.items() if ours in own or not _is_counter(ours)}
    if stored.is_graph:
        numbered = _numbered(target, stored.unnamed, names, state) if is_authors else {}
        state |= numbered
        if stored.unnamed and not numbered:
            unexpected.append(f"{len(stored.unnamed)} convolutions without names")
        _unfold(target, state)
    theirs = {ours: name for name, ours in names.items()}
    keys = {ours: key for key, ours in translated.items()}
    unexpected += [keys[ours] for ours in state if ours not in own]
    missing = [
        _renamed(key, theirs)
        for key in own
        if key not in state and not _is_counter(key) and _module(key) not in target.unneeded
    ]
    reshaped = [
        f"{keys.get(key, key)} {tuple(value.shape)} for {tuple(own[key].shape)}"
        for key, value in state.items()
        if key in own and own[key].shape != value.shape
    ]
    return Fit(state, missing, unexpected, reshaped, others)


def _translated(keys: Iterable[str], names: Names) -> tuple[dict[str, str], list[str], list[str]]:
    """File keys -> own keys, whatever wrapper's name stands before them; keys without one; keys of something else.

    Where two keys would have one name (a checkpoint with a GT encoder or an average beside the network), the wrapper
    with the most keys wins, and what is not behind it belongs to something else.
    """
    found: dict[str, tuple[str, str]] = {}
    for key in keys:
        parts = _module(key).split(".")
        for start in range(len(parts)):
            module, leaf = ".".join(parts[start:]), key.rpartition(".")[2]
            if module in names:
                found[key] = (".".join(parts[:start]), f"{names[module]}.{leaf}" if names[module] else leaf)
                break
    wrappers = [wrapper for wrapper, _ in Counter(wrapper for wrapper, _ in found.values()).most_common()]
    taken: dict[str, str] = {}
    for wrapper in wrappers:
        for key, (prefix, ours) in found.items():
            if prefix == wrapper:
                taken.setdefault(ours, key)
    translated = {key: ours for ours, key in taken.items()}
    lost = [key for key in keys if key not in translated and not key.endswith(UNUSED) and not _is_counter(key)]
    main = f"{wrappers[0]}." if wrappers and wrappers[0] else ""
    unexpected = [key for key in lost if key not in found and key.startswith(main)]
    return translated, unexpected, [key for key in lost if key not in unexpected]


def _numbered(target: _Target, layers: tuple[Layer, ...], names: Names, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give nameless convolutions, in the order of their numbers, to the convolutions that batch norm follows.

    Empty where their count or a shape says that this is not their network.
    """
    places = [conv for conv in names.values() if conv in target.norms and f"{conv}.weight" not in state]
    if len(places) != len(layers) or any(layer.number is None for layer in layers):
        return {}
    assigned: dict[str, Tensor] = {}
    for place, layer in zip(places, sorted(layers, key=lambda layer: layer.number or 0), strict=True):
        if layer.tensors["weight"].shape != target.own[f"{place}.weight"].shape:
            return {}
        assigned |= {f"{place}.{leaf}": value for leaf, value in layer.tensors.items()}
    return assigned


def _unfold(target: _Target, state: dict[str, Tensor]) -> None:
    """Give what a graph has folded away the values that change nothing: batch norms, and biases of zero."""
    for key, value in target.own.items():
        if key.endswith(".bias") and key not in state and f"{_module(key)}.weight" in state:
            state[key] = torch.zeros_like(value)  # an optimiser has dropped a bias of zero
    for conv, norm in target.norms.items():
        if f"{conv}.weight" in state and not any(f"{norm}.{leaf}" in state for leaf in ("weight", "running_var")):
            values = identity_statistics(target.own[f"{norm}.running_var"], target.eps[norm])
            state |= {f"{norm}.{leaf}": value for leaf, value in values.items()}
            if f"{conv}.bias" in state and f"{conv}.bias" not in target.own:
                state[f"{norm}.bias"] = state.pop(f"{conv}.bias")


def _followed_by_norm(model: Model) -> dict[str, str]:
    """Each convolution that a batch norm, live or frozen, follows in the order of definition -> that batch norm."""
    pairs = {}
    previous = None
    for name, module in model.named_modules():
        is_norm = isinstance(getattr(module, "running_var", None), Tensor)
        if is_norm and previous is not None:
            pairs[previous] = name
        if is_norm or isinstance(module, nn.modules.conv._ConvNd):
            previous = None if is_norm else name
    return pairs


def _beside_the_answer(model: Model) -> set[str]:
    """Modules with weights that `model.logits` does not use."""
    outline = copy.deepcopy(model).to("meta").eval()
    used: set[str] = set()
    for name, module in outline.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: used.add(name))
    channels = 1 if model.preprocessing.source == "mask" else 3
    with torch.no_grad():
        outline.logits(torch.zeros(1, channels, 64, 64, device="meta"))
    return {_module(key) for key in model.state_dict()} - used


def _misfit(model: Model, stored: StoredWeights, fit: Fit) -> str:
    wanted = (model.recipe or {}).get("name") or type(model).__name__
    differences = "; ".join(
        f"{label} {len(keys)} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for label, keys in (("missing", fit.missing), ("unexpected", fit.unexpected), ("other shapes", fit.reshaped))
        if keys
    )
    name, whole = looks_like(stored)
    if name is None:
        likeness = "it looks like none of the published networks"
    elif whole:
        likeness = f"it holds {name}: create_model({name!r}, weights=...)"
    else:
        likeness = f"it looks like {name}, changed or in part"
    return f"{stored.path} ({stored.kind}) does not fit this model ({wanted}): {differences}; {likeness}"


def _weights_of(model: Model) -> set[str]:
    return {key for key in model.state_dict() if not _is_counter(key)}


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _module(key: str) -> str:
    return key.rpartition(".")[0]


def _renamed(key: str, names: Names) -> str:
    module, _, leaf = key.rpartition(".")
    return f"{names[module]}.{leaf}" if module in names else key
