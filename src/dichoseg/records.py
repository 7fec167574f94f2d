"""Records that packages register: files of published networks, and metrics. Importable without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

Names: TypeAlias = dict[str, str]
"""The authors' name of each module with parameters -> dichoseg's, in the order of the authors' files."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """Names of the tensors in the published files of one network.

    Registered under the model's name in the entry-point group `dichoseg.published`, it lets `load_model`,
    `load_weights` and `convert_weights` recognize such files and read them into the model.

    Args:
        names: The authors' name of each module with parameters -> the model's, in the order of the authors' files.
        convert: Function of a state dict, after renaming, that returns the model's own: for what renaming cannot do,
            such as splitting or transposing tensors. A module whose tensors it changes has any name of the plugin's
            choice in `names`.
        unused: Ends of keys that the files hold, but the network does not use.
        in_order: Whether the files name their convolutions in the order in which they run, so that graphs that number
            their tensors can be read.
    """

    names: Names
    convert: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None
    unused: tuple[str, ...] = ()
    in_order: bool = False

    def fault(self) -> str | None:
        """Return what is wrong with the values, or None."""
        named = isinstance(self.names, dict) and all(
            isinstance(name, str) for pair in self.names.items() for name in pair
        )
        if not named or not self.names:
            return "has names that are not a dict of modules, str to str"
        if not isinstance(self.unused, tuple) or not all(isinstance(end, str) for end in self.unused):
            return "has an unused that is not a tuple of str"
        if self.convert is not None and not callable(self.convert):
            return "has a convert that is not a function"
        return None


class Metric(NamedTuple):
    """A metric of single images, averaged over a data set.

    Registered under its name in the entry-point group `dichoseg.metrics`, it is computed by name in `evaluate`,
    `Evaluator`, `fit(best=...)` and `dichoseg evaluate`.
    """

    name: str
    """Key in results: a Python identifier."""
    of_pair: Callable[[Any], float]
    """Function of a `dichoseg.metrics.Pair`; NaN leaves the image out of the average."""
    higher_is_better: bool = True
    """True if the metric improves by rising; `fit(best=...)` and `EarlyStopping` follow it."""
    definition: str = ""
    """One line that says how the metric is computed."""
