"""Match a file's tensors with a model's: names, folded batch norms, differences."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ..batch_norm import identity_statistics
from ..contracts import Model
from ..records import Names, Published
from ..registry import list_components, load_component
from ..tracing import blank_image, outline
from .reading import StoredWeights

logger = logging.getLogger(__name__)


class Match(NamedTuple):
    """Tensors of a file under a model's names, with the differences under the file's names."""

    state: dict[str, Tensor]
    names: Names
    """Modules of the file -> modules of the model."""
    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]
    others: list[str]
    """Keys of something else that the file also holds, such as a GT encoder."""

    @property
    def differences(self) -> int:
        """Number of tensors that differ; 0 if the file fits."""
        return len(self.missing) + len(self.unexpected) + len(self.reshaped)


def published_records(first: str | None = None) -> Iterator[tuple[str, Published]]:
    """Yield the installed records of published networks by the model's name; broken ones are logged and left out.

    Variants follow their network, under its name with their arguments.

    Args:
        first: Name of the network to begin with.
    """
    for name in sorted(list_components("published"), key=lambda name: name != first):
        record = published_record(name)
        if record is None:
            continue
        yield name, record
        for arguments, names in record.variants.items():
            yield f"{name}({arguments})", dataclasses.replace(record, names=names, variants={})


def published_record(name: str) -> Published | None:
    """Return the record of one published network, without its variants; None if there is none, or a broken one."""
    if name not in list_components("published"):
        return None
    try:
        record: Published = load_component("published", name)
    except (ImportError, TypeError) as error:
        logger.warning("%s", error)
        return None
    return record


def best_match(model: Model, stored: StoredWeights) -> Match:
    """Match a file with a model, under the model's own names or those of some authors, with the fewest differences."""
    target = _Target.of(model, stored)
    own: Names = {module: module for module in dict.fromkeys(_module(key) for key in target.own)}
    best = _match(target, stored, Published(names=own))
    if best.differences:
        name = (model.recipe or {}).get("name")
        for other, record in published_records(name):
            try:
                match = _match(target, stored, record, own)
            except ValueError as error:
                if other == name:
                    raise
                logger.warning("%s", error)
                continue
            if other == name or match.state or record.convert is None:  # not if others cannot convert the file
                best = min(best, match, key=lambda match: match.differences)
            if not best.differences:
                break
    if stored.is_graph and best.state and best.missing and not (best.unexpected or best.reshaped):
        unneeded = _side_modules(model)
        best = best._replace(
            missing=[key for key in best.missing if _module(_renamed(key, best.names)) not in unneeded]
        )
    return best


def match_record(model: Model, stored: StoredWeights, record: Published) -> Match:
    """Match a file with a model under the names of one record."""
    return _match(_Target.of(model, stored), stored, record)


def explained_keys(stored: StoredWeights, record: Published) -> set[str]:
    """Return the modules of a record that a file has, by the authors' names, under any prefix."""
    ours = {own: theirs for theirs, own in record.names.items()}
    translated, _, _ = _translated(stored.state, record.names, record.unused, is_one_network=stored.is_graph)
    return {ours[_module(key)] for key in translated.values() if _module(key) in ours}


def weights_of(model: Model) -> set[str]:
    """Return the names of the tensors that a model needs from a file."""
    return {key for key in model.state_dict() if not _is_counter(key)}


class _Target(NamedTuple):
    """Model as the target of a match."""

    own: dict[str, Tensor]
    convolutions: dict[str, nn.modules.conv._ConvNd]
    norms: dict[str, str]
    """Batch norm that follows a convolution, by the convolution's name."""
    eps: dict[str, float]
    """Epsilon of each batch norm."""

    @classmethod
    def of(cls, model: Model, stored: StoredWeights) -> _Target:
        """Collect a model's tensors and, for a graph, its convolutions and batch norms."""
        if not stored.is_graph:
            return cls(model.state_dict(), {}, {}, {})
        norms = _followed_by_norm(model)
        eps = {norm: cast(float, model.get_submodule(norm).eps) for norm in norms.values()}
        convolutions = {n: module for n, module in model.named_modules() if isinstance(module, nn.modules.conv._ConvNd)}
        return cls(model.state_dict(), convolutions, norms, eps)


def _match(target: _Target, stored: StoredWeights, record: Published, modules: Collection[str] = ()) -> Match:
    """Match under the names of one network; without a conversion, only under those of the model's `modules`, if any."""
    names = record.names
    if modules and record.convert is None:
        names = {theirs: ours for theirs, ours in names.items() if ours in modules}
    own = target.own
    translated, unexpected, others = _translated(stored.state, names, record.unused, is_one_network=stored.is_graph)
    state = {ours: stored.state[key] for key, ours in translated.items() if ours in own or not _is_counter(ours)}
    if record.convert is not None:
        lacking = names.keys() - explained_keys(stored, record)
        if lacking:  # nothing can be converted, so nothing else can be compared
            return Match({}, names, [name for name in names if name in lacking], unexpected, [], others)
        state = _converted(stored, record, state)
    reshaped = []
    if stored.is_graph:
        unexpected += _add_numbered(target, stored, names, state, is_ordered=record.in_order)
        reshaped += _graph_differences(target, stored, translated, state)
        _unfold(target, state)
    theirs = {ours: name for name, ours in names.items()}
    keys = {ours: key for key, ours in translated.items()}
    unexpected += [keys.get(ours, ours) for ours in state if ours not in own]
    missing = [_renamed(key, theirs) for key in own if key not in state and not _is_counter(key)]
    for key, value in state.items():
        if key in own and own[key].shape != value.shape:
            reshaped.append(f"{keys.get(key, key)} {tuple(value.shape)} for {tuple(own[key].shape)}")
        elif key in own and not _is_counter(key) and own[key].is_floating_point() != value.is_floating_point():
            reshaped.append(f"{keys.get(key, key)} {value.dtype} for {own[key].dtype}")
    return Match(state, names, missing, unexpected, reshaped, others)


def _converted(stored: StoredWeights, record: Published, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Apply a network's own conversion to a renamed state dict."""
    assert record.convert is not None
    function = getattr(record.convert, "__qualname__", repr(record.convert))
    try:
        converted = dict(record.convert(dict(state)))
    except Exception as error:  # a plugin's function may fail in any way
        raise ValueError(f"{stored.path} cannot be converted: {type(error).__name__} in {function}: {error}") from error
    for key, value in converted.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ValueError(
                f"{stored.path} cannot be converted: {function} returns {key!r}: {type(value).__name__}; "
                "wanted names and tensors"
            )
    return converted


def _translated(
    keys: Iterable[str], names: Names, unused: tuple[str, ...], *, is_one_network: bool
) -> tuple[dict[str, str], list[str], list[str]]:
    """Translate a file's keys, after the name of any wrapper.

    A checkpoint can hold several networks, such as a GT encoder or an average next to the network itself: the wrapper
    with the most keys is chosen, and keys without it belong to something else. A tie is ambiguous: no keys are matched.

    Returns:
        Own key by file key; keys that are unexpected; keys of something else.
    """
    found: dict[str, tuple[str, str]] = {}
    raw: dict[str, str] = {}
    longest = max((name.count(".") for name in names), default=0) + 1
    last = {name.rpartition(".")[2] for name in names}
    for key in keys:
        if unused and key.endswith(unused):
            continue
        parts = _module(key.replace("_orig_mod.", "")).split(".")
        if parts[-1] not in last:
            continue
        for start in range(max(len(parts) - longest, 0), len(parts)):
            module, leaf = ".".join(parts[start:]), key.rpartition(".")[2]
            if module in names:
                raw[key] = "".join(f"{part}." for part in parts[:start])
                wrapper = "" if is_one_network else re.sub(r"\b(module|net|model|network)\.", "", raw[key])
                found[key] = (wrapper, f"{names[module]}.{leaf}" if names[module] else leaf)
                break
    sizes = Counter(wrapper for key, (wrapper, _) in found.items() if not _is_counter(key)).most_common()
    main = sizes[0][0] if sizes else ""
    translated = {key: ours for key, (wrapper, ours) in found.items() if wrapper == main}
    is_tied = len(sizes) > 1 and sizes[0][1] == sizes[1][1]
    if is_tied or len(set(translated.values())) < len(translated):
        rivals = {main, *([sizes[1][0]] if is_tied else [])}
        behind = sorted({raw[key].rstrip(".") for key, (wrapper, _) in found.items() if wrapper in rivals})
        both = " and ".join(repr(front or "no wrapper") for front in behind)
        return {}, [f"two networks of one kind, behind {both}"], []
    lost = [
        key for key in keys if key not in translated and not (unused and key.endswith(unused)) and not _is_counter(key)
    ]
    fronts = tuple({raw[key] for key in translated})
    is_ours = {key: key not in found and (not fronts or key.startswith(fronts)) for key in lost}
    return translated, [key for key in lost if is_ours[key]], [key for key in lost if not is_ours[key]]


def _add_numbered(
    target: _Target, stored: StoredWeights, names: Names, state: dict[str, Tensor], *, is_ordered: bool
) -> list[str]:
    """Assign nameless convolutions, in the order of their numbers, to the convolutions that a batch norm follows.

    Returns:
        A description of those that cannot be assigned: there are too many or too few, shapes differ, or the network's
        order of execution is not that of its names.
    """
    layers = [layer for layer in stored.layers if layer.name is None]
    if not layers:
        return []
    lost = [f"{len(layers)} convolutions without names"]
    places = [conv for conv in names.values() if conv in target.norms and f"{conv}.weight" not in state]
    if not is_ordered or len(places) != len(layers) or any(layer.number is None for layer in layers):
        return lost
    assigned: dict[str, Tensor] = {}
    for place, layer in zip(places, sorted(layers, key=lambda layer: layer.number or 0), strict=True):
        shape = target.own[f"{place}.weight"].shape
        if layer.tensors["weight"].shape != shape or _other_geometry(target.convolutions[place], layer.geometry):
            return lost
        assigned |= {f"{place}.{leaf}": value for leaf, value in layer.tensors.items()}
    state |= assigned
    return []


def _graph_differences(
    target: _Target, stored: StoredWeights, translated: dict[str, str], state: dict[str, Tensor]
) -> list[str]:
    """Return strides and dilations that differ; adapt the variances to the epsilons of the model's batch norms."""
    differences = []
    for layer in stored.layers:
        module = _module(translated.get(f"{layer.name}.weight", ""))
        if module in target.convolutions:
            other = _other_geometry(target.convolutions[module], layer.geometry)
            differences += [f"{layer.name} {text}" for text in other]
        elif f"{module}.running_var" in state:
            own_eps = target.eps.get(module, layer.eps)
            if abs(own_eps - layer.eps) > 1e-3 * own_eps:
                state[f"{module}.running_var"] = state[f"{module}.running_var"] + (layer.eps - own_eps)
    return differences


def _other_geometry(convolution: nn.modules.conv._ConvNd, geometry: dict[str, tuple[int, ...]]) -> list[str]:
    return [
        f"{name} {value} for {tuple(getattr(convolution, name))}"
        for name, value in geometry.items()
        if tuple(getattr(convolution, name)) != value
    ]


def _unfold(target: _Target, state: dict[str, Tensor]) -> None:
    """Set batch norms that a graph has folded away to pass their input through.

    A folded convolution has a bias. If the model's has none, it becomes the bias of the following batch norm; without a
    batch norm it must be zero.
    """
    for conv in target.convolutions:
        if f"{conv}.weight" not in state:
            continue
        norm = target.norms.get(conv)
        is_folded = norm is not None and f"{norm}.weight" not in state and f"{norm}.running_var" not in state
        if is_folded:
            values = identity_statistics(target.own[f"{norm}.running_var"], target.eps[cast(str, norm)])
            state |= {f"{norm}.{leaf}": value for leaf, value in values.items()}
        if f"{conv}.bias" in state and f"{conv}.bias" not in target.own:
            bias = state.pop(f"{conv}.bias")
            if is_folded:
                state[f"{norm}.bias"] = bias
            elif bias.any():
                state[f"{conv}.bias"] = bias  # and is unexpected


def _followed_by_norm(model: Model) -> dict[str, str]:
    """Return the batch norm, live or frozen, that follows each convolution in the order of definition.

    A list of convolutions may precede a list of as many norms. `dichoseg.inference.folding` runs the model to find
    more; the order gives the same for published networks, a hundred times as fast.
    """
    pairs: dict[str, str] = {}
    convolutions: list[tuple[str, int]] = []  # in a row, with their channels
    norms: list[tuple[str, int]] = []  # that follow them
    for name, module in [*model.named_modules(), ("", nn.Conv2d(1, 1, 1, device="meta"))]:
        variance = getattr(module, "running_var", None)
        if isinstance(variance, Tensor):
            norms.append((name, len(variance)))
        elif isinstance(module, nn.modules.conv._ConvNd):
            if norms:
                before = convolutions if len(convolutions) == len(norms) else convolutions[-1:]
                pairs |= {
                    convolution: norm
                    for (convolution, channels), (norm, size) in zip(before, norms, strict=False)
                    if channels == size
                }
                convolutions, norms = [], []
            convolutions.append((name, module.out_channels))
    return pairs


def _side_modules(model: Model) -> set[str]:
    """Return the modules with weights that `model.logits` does not use."""
    empty = outline(model).requires_grad_()
    called: set[str] = set()
    for name, module in empty.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: called.add(name))
    names, parameters = zip(*empty.named_parameters(), strict=True)
    with torch.enable_grad():
        total = empty.logits(blank_image(model)).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    # a decoder may compute features that the heads ignore: without a gradient, they are not part of the logits
    reached = {_module(name) for name, gradient in zip(names, gradients, strict=True) if gradient is not None}
    unreached = {_module(name) for name in names} - reached
    return {_module(key) for key in model.state_dict()} - (called - unreached)


def _is_counter(key: str) -> bool:
    return key.endswith("num_batches_tracked")


def _module(key: str) -> str:
    return key.rpartition(".")[0]


def _renamed(key: str, names: Names) -> str:
    module, _, leaf = key.rpartition(".")
    return f"{names[module]}.{leaf}" if module in names else key
