"""Records that packages register: names in published files, weights by name, and metrics. Importable without torch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from .checking import choice, whole

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
        variants: Arguments of the recipe that change the names, as in `"backbone='swin_s'"` -> the names with them.
        unstated: Arguments of the recipe that no file shows, though its maps depend on them -> how to tell their value.
            A file that no record of published weights knows is loaded only if they are given.
        refuse: Function of a file's keys that returns, if the file holds another version of the network, a sentence
            that says so and what to use instead; else None.
    """

    names: Names
    convert: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None
    unused: tuple[str, ...] = ()
    in_order: bool = False
    variants: Mapping[str, Names] = dataclasses.field(default_factory=dict)
    unstated: Mapping[str, str] = dataclasses.field(default_factory=dict)
    refuse: Callable[[Collection[str]], str | None] | None = None

    def fault(self) -> str | None:
        """Return the problem with the values, or None."""
        if not all(map(_is_named, (self.names, *self.variants.values()))):
            return "has names that are not a dict of modules, str to str"
        if not isinstance(self.unused, tuple) or not all(isinstance(end, str) for end in self.unused):
            return "has an unused that is not a tuple of str"
        for field in ("convert", "refuse"):
            if getattr(self, field) is not None and not callable(getattr(self, field)):
                return f"has a {field} that is not a function"
        return None


def _is_named(names: Names) -> bool:
    return (
        isinstance(names, dict) and bool(names) and all(isinstance(one, str) for pair in names.items() for one in pair)
    )


Commercial: TypeAlias = Literal["yes", "no", "unstated"]
HUB_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})/(?P<file>[\w./-]+)")
"""File on the Hugging Face hub, at a full commit, so that its bytes cannot change."""
_WEB_ADDRESS = re.compile(r"https?://\S+/\S+")
_NAME = re.compile(r"([a-z0-9-]+/)?[a-z0-9][a-z0-9.-]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """One published file of weights, under a name that always means the same bytes.

    A package registers its own in the entry-point group `dichoseg.weights`, as a record or a list of records;
    `load_model` knows them as `package/name`.

    Args:
        name: Name: lowercase letters, digits, `.` and `-`.
        network: Name of the network, as in `list_components("models")`, with any arguments that the file needs, as in
            `"birefnet(patch_order='rows')"`.
        file: Name of the file. Its suffix says how to read it.
        addresses: Places to download it from, in order: `https://...`, or `hf://owner/repository@commit/path` for the
            Hugging Face hub. None if only a mirror or the user's own copy has the file.
        sha256: SHA-256 of the file, in hexadecimal.
        md5: MD5 of the file, if nobody states its SHA-256.
        bytes: Size of the file. Default: unknown.
        approximate_bytes: Rounded size of the file, if the exact one is unknown.
        preprocessing: Values that differ from the network's own preprocessing.
        license: License of the weights, as an identifier of the Hugging Face hub. Default: not stated.
        license_source: Source of the license, or of the uncertainty about it.
        commercial: Whether the license allows commercial use.
        training_data: Data that the network was trained on.
        seen_test_sets: Usual test sets whose images it was trained on, so that scores there do not count.
        purpose: Subject of the masks, such as `"people"`.
        paper: Source of the network.
        tested: How the file was tested with dichoseg.
    """

    name: str
    network: str
    file: str
    addresses: tuple[str, ...] = ()
    sha256: str | None = None
    md5: str | None = None
    bytes: int | None = None
    approximate_bytes: int | None = None
    preprocessing: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    license: str | None = None
    license_source: str = ""
    commercial: Commercial = "unstated"
    training_data: str = "not stated"
    seen_test_sets: str | None = None
    purpose: str = "general"
    paper: str = ""
    tested: str = "not yet"

    def __post_init__(self) -> None:
        """Check the values."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name must hold lowercase letters, digits, '.' and '-'; got {self.name!r}")
        if not re.fullmatch(r"[\w-][\w.-]*\.\w+", self.file):
            raise ValueError(f"file must be the name of a file, such as 'model.pth'; got {self.file!r}")
        for address in self.addresses:
            if not HUB_ADDRESS.fullmatch(address) and not _WEB_ADDRESS.fullmatch(address):
                wanted = "https://... or hf://owner/repository@commit/path with a full commit"
                raise ValueError(f"addresses must be {wanted}; got {address!r}")
        sums = [(64, self.sha256), (32, self.md5)]
        if not any(value for _, value in sums):
            raise ValueError(f"sha256 or md5 must be given; {self.name} has neither")
        for length, value in sums:
            if value is not None and not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
                raise ValueError(f"a checksum must be {length} hexadecimal digits; got {value!r}")
        for field, size in (("bytes", self.bytes), ("approximate_bytes", self.approximate_bytes)):
            if size is not None:
                whole(field, size, least=1)
        choice("commercial", self.commercial, get_args(Commercial))

    @property
    def checksum(self) -> tuple[str, str]:
        """Algorithm and digits of the checksum that the file is verified with."""
        return ("sha256", self.sha256) if self.sha256 else ("md5", self.md5 or "")

    @property
    def megabytes(self) -> str:
        """Size of the file in MB, such as `"88"`; `"~177"` if only that is known, else `"?"`."""
        if self.bytes is not None:
            return f"{self.bytes / 1e6:.0f}"
        return "?" if self.approximate_bytes is None else f"~{self.approximate_bytes / 1e6:.0f}"

    @property
    def terms(self) -> str:
        """License, its source and commercial use, in a line."""
        source = f" ({self.license_source})" if self.license_source else ""
        return f"license: {self.license or 'not stated'}{source}, commercial use: {self.commercial}"


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
