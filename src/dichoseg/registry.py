"""Components by name, through entry points: dichoseg's own and those of every installed package alike.

A name is `[package/]name[:argument][(key=value, ...)]`, such as `fpn(channels=64)` or `timm:convnext_tiny`. Listing
reads the metadata of installed packages and imports nothing; a component is imported when it is asked for by name.
"""

from __future__ import annotations

import ast
import functools
import inspect
import logging
import re
import warnings
from importlib import metadata
from typing import Any, NamedTuple

from .checking import unknown
from .records import Metric, Published, Weights

logger = logging.getLogger(__name__)

GROUPS = (
    "encoders",
    "decoders",
    "heads",
    "losses",
    "objectives",
    "augmentations",
    "metrics",
    "models",
    "published",
    "weights",
)
INTERFACES = {
    "encoders": "Encoder",
    "decoders": "Decoder",
    "heads": "Heads",
    "objectives": "Objective",
    "models": "Model",
}
"""Base class of a group's components, by its name in `contracts`; losses and augmentations have none."""
RECORDS = ("metrics", "published", "weights")
"""Groups whose components are records, not classes or functions."""
FORMER_NAMES = {("augmentations", "dis-tuning"): "dis_tuning"}
OWN_PACKAGE = "dichoseg"
UNKNOWN_PACKAGE = "unknown"
"""Name of a package whose metadata is damaged."""


class Component(NamedTuple):
    """One installed component, not yet imported."""

    group: str
    name: str
    package: str
    """Name of its package, as pip writes it, such as `dichoseg-example-plugin`."""
    entry_point: metadata.EntryPoint

    @property
    def version(self) -> str:
        """Version of the package; empty if its metadata is damaged."""
        return _metadata_field(self.entry_point.dist, "Version")

    def load(self) -> Any:
        """Import the component."""
        place = f"{self.name!r} in dichoseg.{self.group}, from package {self.package},"
        try:
            loaded = self.entry_point.load()
        except (Exception, SystemExit) as error:
            raise ImportError(
                f"{place} cannot be imported: {type(error).__name__}: {error}{self._other_version_hint()}"
            ) from error
        fault = _wrong_kind(self.group, loaded)
        if fault is not None:
            raise TypeError(f"{place} cannot be used: {self.entry_point.value} {fault}{self._other_version_hint()}")
        return loaded

    def other_version(self) -> str | None:
        """Return a message if the package's metadata requires other versions of dichoseg than this one; else None."""
        if self.package == OWN_PACKAGE or self.entry_point.dist is None:
            return None
        from packaging.requirements import InvalidRequirement, Requirement

        present = metadata.version(OWN_PACKAGE)
        for line in self.entry_point.dist.requires or ():
            try:
                wanted = Requirement(line)
            except InvalidRequirement:  # pip reports it
                continue
            if _normalized(wanted.name) != OWN_PACKAGE or wanted.specifier.contains(present, prereleases=True):
                continue
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                return f"{self.package} was built for dichoseg{wanted.specifier}; this is {present}"
        return None

    def _other_version_hint(self) -> str:
        found = self.other_version()
        return f"; {found}: install versions of the two that fit each other" if found else ""


_NAME = re.compile(
    r"(?:(?P<package>[^/:()]+)/)?(?P<name>[^/:()]+)(?::(?P<argument>[^()]+))?(?P<call>\(.*\))?", re.DOTALL
)


class ComponentName(NamedTuple):
    """A parsed name: `[package/]name[:argument][(key=value, ...)]`."""

    name: str
    package: str | None = None
    argument: str | None = None
    """Text after the colon."""
    positional: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}  # noqa: RUF012  # a named tuple has no default factory; nothing writes to it

    @classmethod
    def parse(cls, text: str) -> ComponentName:
        """Parse a name, whose arguments in parentheses are Python literals; raise a ValueError for another form."""
        match = _NAME.fullmatch(text.strip())
        if match is None or not match["name"].strip():
            raise ValueError(f"a component's name is [package/]name[:argument][(key=value, ...)]; got {text!r}")
        package, name, argument = (part and part.strip() for part in match.group("package", "name", "argument"))
        try:
            call = ast.parse(f"f{match['call'] or '()'}", mode="eval").body
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                raise ValueError("wanted one pair of parentheses")
            positional = tuple(ast.literal_eval(value) for value in call.args)
            keywords = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
            if len(keywords) < len(call.keywords):
                raise ValueError("wanted each argument once, with its name")
        except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError) as error:  # also of deep nesting
            raise ValueError(
                "arguments of a component are plain Python values, as in fpn(channels=64), and texts have quotes, "
                f"as in blur_patches(kind='gaussian'); got {text!r}"
            ) from error
        return cls(name, package, argument, positional, keywords)

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        arguments = [*map(repr, self.positional), *(f"{key}={value!r}" for key, value in self.keywords.items())]
        return (
            (f"{self.package}/" if self.package else "")
            + self.name
            + (f":{self.argument}" if self.argument else "")
            + (f"({', '.join(arguments)})" if arguments else "")
        )


def components(group: str) -> tuple[Component, ...]:
    """Return every installed component of a group, built-in ones first, then by name and package.

    dichoseg's own names hide no other: another package's component of the same name is reached as `package/name`.
    """
    if group not in GROUPS:
        raise unknown(f"group {group!r}", group, GROUPS)
    found: dict[tuple[bool, str, str], Component] = {}
    for entry_point in metadata.entry_points(group=f"dichoseg.{group}"):
        package = _normalized(_metadata_field(entry_point.dist, "Name") or UNKNOWN_PACKAGE)
        # one distribution can be seen twice (stale editable metadata); the first on the path counts
        key = (package != OWN_PACKAGE, entry_point.name, package)
        found.setdefault(key, Component(group, entry_point.name, package, entry_point))
    return tuple(found[key] for key in sorted(found))


def list_components(group: str) -> list[str]:
    """Return the names of the installed components of a group, as `load_component` and `create_model` take them.

    Args:
        group: `"encoders"`, `"decoders"`, `"heads"`, `"losses"`, `"objectives"`, `"augmentations"`, `"metrics"`,
            `"models"`, `"published"` or `"weights"`, which lists what packages register, not dichoseg's own weights.

    Returns:
        Sorted names. One that several packages share is listed once for each, as `package/name`, except that the
        plain name stays dichoseg's if it has one.
    """
    installed = components(group)
    owners: dict[str, list[str]] = {}
    for component in installed:
        owners.setdefault(component.name, []).append(component.package)
    return sorted(
        component.name
        if component.package == OWN_PACKAGE or len(owners[component.name]) == 1
        else f"{component.package}/{component.name}"
        for component in installed
    )


def load_component(group: str, name: str) -> Any:
    """Import a component by name.

    A component that was built for other versions of dichoseg, according to its package's metadata, is returned if it
    can be imported, with a warning in the log.

    Args:
        group: A group, as for `list_components`.
        name: `name`, or `package/name` if several packages share it. Arguments are bound to the result:
            `load_component("losses", "edge_bce(width=5)")()` is `EdgeBCELoss(width=5)`.

    Returns:
        A class or a function that builds the part; for `"metrics"`, `"published"` and `"weights"` a record.

    Raises:
        ValueError: The name is not registered (the message has the nearest one), or several packages share it.
        ImportError: The component is installed but broken; its own exception is the cause.
        TypeError: The component is not of its group's kind.
    """
    loaded, positional, keywords = _load(group, name)
    return functools.partial(loaded, *positional, **keywords) if positional or keywords else loaded


def make_component(group: str, name: str, *positional: Any, **keywords: Any) -> Any:
    """Load a component by name, with its arguments in the name, and build it.

    Args:
        group: A group, as for `list_components`.
        name: A name, as for `load_component`.
        *positional: Arguments before those in the name.
        **keywords: Further arguments.
    """
    make, more, named = _load(group, name)
    positional, keywords = (*positional, *more), {**named, **keywords}
    signature = inspect.signature(make)
    try:
        signature.bind(*positional, **keywords)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "none"
        raise ValueError(f"{name!r} cannot be made from these arguments: {error}; it takes: {takes}") from error
    result = make(*positional, **keywords)
    from . import contracts

    kind = INTERFACES.get(group)
    if kind is not None and not isinstance(result, getattr(contracts, kind)):
        raise TypeError(f"{name!r} makes a {type(result).__name__}, which is not a dichoseg.contracts.{kind}")
    return result


def _load(group: str, name: str) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return a component as its package registers it, and the positional and keyword arguments in the name."""
    wanted = ComponentName.parse(name)
    if wanted.argument is not None and group != "encoders":
        raise ValueError(f"only encoders take an argument after a colon; got {name!r} in dichoseg.{group}")
    component = _find(group, wanted, name)
    loaded = component.load()
    other_version = component.other_version()
    if other_version is not None:
        _warn_once(f"{component.name!r} in dichoseg.{group} may not work: {other_version}")
    positional = wanted.positional if wanted.argument is None else (wanted.argument, *wanted.positional)
    if group in RECORDS and (positional or wanted.keywords):
        raise ValueError(f"{wanted.name!r} in dichoseg.{group} takes no arguments; got {name!r}")
    return loaded, positional, wanted.keywords


def current_name(group: str, name: str, *, stacklevel: int) -> str:
    """Return the name that replaces a former one, with a DeprecationWarning; any other name as it is.

    Args:
        group: Group of the component.
        name: The name.
        stacklevel: Number of calls from here to the user's line, which the warning shows.
    """
    current = FORMER_NAMES.get((group, name), name)
    if current != name:
        warnings.warn(f"{name!r} is {current!r} since 0.2, and goes in 0.4", DeprecationWarning, stacklevel)
    return current


@functools.cache
def _warn_once(message: str) -> None:
    logger.warning(message)


def has_component(group: str, name: str) -> bool:
    """Return whether any package, or the package in the name, has a component of that name in a group."""
    try:
        return bool(_matches(group, ComponentName.parse(name)))
    except ValueError:
        return False


def _matches(group: str, wanted: ComponentName) -> list[Component]:
    package = None if wanted.package is None else _normalized(wanted.package)
    return [c for c in components(group) if c.name == wanted.name and package in (None, c.package)]


def _find(group: str, wanted: ComponentName, text: str) -> Component:
    """Return the one installed component that a name means."""
    package = None if wanted.package is None else _normalized(wanted.package)
    matches = _matches(group, wanted)
    if package is None and any(c.package == OWN_PACKAGE for c in matches):
        matches = [c for c in matches if c.package == OWN_PACKAGE]
    if len(matches) > 1:
        choices = " or ".join(f"{c.package}/{c.name}" for c in matches)
        raise ValueError(f"several packages offer {wanted.name!r} in dichoseg.{group}; say {choices}")
    if matches:
        return matches[0]
    current = current_name(group, wanted.name, stacklevel=5)
    if current != wanted.name:
        return _find(group, wanted._replace(name=current), text)
    if package is not None and version_of(package) is None:
        raise ValueError(f"{text!r} comes from package {package}, which is not installed: pip install {package}")
    if group == "encoders" and _is_timm_backbone(wanted.name):
        raise ValueError(f"no {text!r} in dichoseg.encoders; timm's backbone of that name is 'timm:{text}'")
    names = list_components(group)
    if not names:
        raise ValueError(f"no {text!r} in dichoseg.{group}: nothing is registered there; reinstall dichoseg")
    raise unknown(f"{text!r} in dichoseg.{group}", wanted.name, names, listed="installed")


def version_of(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def qualified_name(group: str, name: str) -> str:
    """Return a component's name with its package, `package/name...`; dichoseg's own stay plain."""
    wanted = ComponentName.parse(name)
    packages = {component.package for component in components(group) if component.name == wanted.name}
    if wanted.package is not None or OWN_PACKAGE in packages or len(packages) != 1:
        return name
    return f"{packages.pop()}/{name}"


def _wrong_kind(group: str, loaded: Any) -> str | None:
    """Return the problem with a component's kind, or None; the result of a function is unknown until it is called."""
    if group == "published":
        return (
            loaded.fault() if isinstance(loaded, Published) else f"is a {type(loaded).__name__}, not a Published record"
        )
    if group == "weights":
        records = loaded if isinstance(loaded, list | tuple) else (loaded,)
        wrong = [type(record).__name__ for record in records if not isinstance(record, Weights)]
        return f"is a {wrong[0]}, not a Weights record or a list of them" if wrong else None
    if group == "metrics":
        return None if isinstance(loaded, Metric) else f"is a {type(loaded).__name__}, not a Metric record"
    if not callable(loaded):
        return f"is neither a class nor a function, but a {type(loaded).__name__}"
    if not inspect.isclass(loaded):
        return None
    from . import contracts

    wanted = INTERFACES.get(group)
    if wanted is not None and not issubclass(loaded, getattr(contracts, wanted)):
        return f"does not derive from dichoseg.contracts.{wanted}"
    for name in ("Encoder", "Decoder", "Heads", "Model", "Objective"):
        if wanted is None and issubclass(loaded, getattr(contracts, name)):
            return f"derives from dichoseg.contracts.{name}"
    return None


def _metadata_field(distribution: metadata.Distribution | None, field: str) -> str:
    """Return a field of a distribution's metadata; empty if it is damaged, as an interrupted removal leaves it."""
    held = None if distribution is None else distribution.metadata
    return str(held[field]) if held and field in held else ""


def _normalized(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _is_timm_backbone(name: str) -> bool:
    """Return whether timm knows a backbone of that name."""
    import timm

    return bool(timm.is_model(name))
