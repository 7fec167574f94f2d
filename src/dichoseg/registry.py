"""Names -> components, through entry points: dichoseg's own and every installed package's, found alike.

A name is `[package/]name[:argument]`. Listing reads the metadata of installed packages and imports nothing; a
component is imported when somebody asks for it by name.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from importlib import metadata
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)

GROUPS = ("encoders", "decoders", "losses", "augmentations", "models")
INTERFACES = {"encoders": "Encoder", "decoders": "Decoder", "models": "Model"}
"""Group -> what its classes derive from, in `contracts`; a loss or an augmentation derives from none of them."""
OWN_PACKAGE = "dichoseg"
UNKNOWN_PACKAGE = "unknown"
"""What a package is called whose metadata is damaged."""


class Component(NamedTuple):
    """One installed component, not yet imported."""

    group: str
    name: str
    package: str
    """The package that it comes from, as pip writes it, such as `dichoseg-example-plugin`."""
    entry_point: metadata.EntryPoint

    @property
    def version(self) -> str:
        """The version of the package; empty where its metadata is damaged."""
        return _metadata_field(self.entry_point.dist, "Version")

    def load(self) -> Any:
        """Import the component.

        Raises:
            ImportError: It cannot be imported; its own exception is the cause.
            TypeError: It is no class and no function, or a class of another kind than its group's.
        """
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
        """What is to be said where the package's metadata asks for other versions of dichoseg than this; else None."""
        if self.package == OWN_PACKAGE or self.entry_point.dist is None:
            return None
        from packaging.requirements import InvalidRequirement, Requirement

        present = metadata.version(OWN_PACKAGE)
        for line in self.entry_point.dist.requires or ():
            try:
                wanted = Requirement(line)
            except InvalidRequirement:  # pip's to refuse
                continue
            if _normalized(wanted.name) != OWN_PACKAGE or wanted.specifier.contains(present, prereleases=True):
                continue
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                return f"{self.package} was built for dichoseg{wanted.specifier}; this is {present}"
        return None

    def _other_version_hint(self) -> str:
        found = self.other_version()
        return f"; {found}: install versions of the two that fit each other" if found else ""


class ComponentName(NamedTuple):
    """A name taken apart: `[package/]name[:argument]`."""

    name: str
    package: str | None = None
    argument: str | None = None

    @classmethod
    def parse(cls, text: str) -> ComponentName:
        """Take `text` apart; only its first colon and the slash before that count.

        Raises:
            TypeError: No string.
            ValueError: A string of another form.
        """
        if not isinstance(text, str):
            raise TypeError(f"a component's name is a string, [package/]name[:argument]; got {text!r}")
        head, colon, argument = text.partition(":")
        package, slash, name = head.rpartition("/")
        if not name or (slash and not package) or (colon and not argument):
            raise ValueError(f"a component's name is [package/]name[:argument]; got {text!r}")
        return cls(name, package or None, argument or None)


def components(group: str) -> tuple[Component, ...]:
    """Every installed component of a group, built-in ones first, then by name and package.

    A name of dichoseg's own hides nobody: another package's component of that name is reached as `package/name`.
    """
    if group not in GROUPS:
        raise ValueError(f"no group {group!r}; the groups are {', '.join(GROUPS)}")
    found: dict[tuple[bool, str, str], Component] = {}
    for entry_point in metadata.entry_points(group=f"dichoseg.{group}"):
        package = _normalized(_metadata_field(entry_point.dist, "Name") or UNKNOWN_PACKAGE)
        # one distribution can be seen twice (stale editable metadata); the first on the path counts
        key = (package != OWN_PACKAGE, entry_point.name, package)
        found.setdefault(key, Component(group, entry_point.name, package, entry_point))
    return tuple(found[key] for key in sorted(found))


def list_components(group: str) -> list[str]:
    """Names of the installed components of a group, as `load_component` and `create_model` take them.

    Args:
        group: `"encoders"`, `"decoders"`, `"losses"`, `"augmentations"` or `"models"`.

    Returns:
        Sorted names. One that several packages share is listed once for each, as `package/name`, except that the
        plain name stays dichoseg's where it has one.
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
    """Import a component by name and return it: a class, or for `"models"` a function that makes a model.

    A component that was built for other versions of dichoseg, as the metadata of its package says, is returned where it
    can be imported, with a warning in the log.

    Args:
        group: As for `list_components`.
        name: `name`, or `package/name` where several packages share it.

    Raises:
        ValueError: No such name (with the nearest one), or several packages share it.
        ImportError: The component is installed but broken; its own exception is the cause.
        TypeError: What is installed under that name is no class and no function, or of another kind than the group's.
    """
    wanted = ComponentName.parse(name)
    if wanted.argument is not None:
        raise ValueError(f"a component is loaded by its name alone, without ':{wanted.argument}'; got {name!r}")
    package = None if wanted.package is None else _normalized(wanted.package)
    installed = components(group)
    matches = [c for c in installed if c.name == wanted.name and package in (None, c.package)]
    if package is None and any(c.package == OWN_PACKAGE for c in matches):
        matches = [c for c in matches if c.package == OWN_PACKAGE]
    if len(matches) > 1:
        choices = " or ".join(f"{c.package}/{c.name}" for c in matches)
        raise ValueError(f"several packages offer {wanted.name!r} in dichoseg.{group}; say {choices}")
    if not matches:
        if package is not None and not _is_installed(package):
            raise ValueError(f"{name!r} comes from package {package}, which is not installed: pip install {package}")
        raise ValueError(_unknown(group, name))
    (component,) = matches
    loaded = component.load()
    other_version = component.other_version()
    if other_version is not None:
        logger.warning("%r in dichoseg.%s may not work: %s", component.name, group, other_version)
    return loaded


def qualified_name(group: str, name: str) -> str:
    """A component's name with the package it comes from, `package/name[:argument]`; dichoseg's own stay plain."""
    head, colon, argument = name.partition(":")
    wanted = ComponentName.parse(head)
    packages = {component.package for component in components(group) if component.name == wanted.name}
    if wanted.package is not None or OWN_PACKAGE in packages or len(packages) != 1:
        return name
    return f"{packages.pop()}/{head}{colon}{argument}"


def _wrong_kind(group: str, loaded: Any) -> str | None:
    """What is wrong with a component's kind, if anything is; what a function makes is not known before it is called."""
    if not callable(loaded):
        return f"is no class and no function, but a {type(loaded).__name__}"
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
    """A field of a distribution's metadata; empty where it is damaged, as an interrupted removal leaves it."""
    held = None if distribution is None else distribution.metadata
    return str(held[field]) if held and field in held else ""


def _is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _unknown(group: str, name: str) -> str:
    names = list_components(group)
    if not names:
        return f"no {name!r} in dichoseg.{group}: nothing is registered there; reinstall dichoseg"
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no {name!r} in dichoseg.{group}{hint} (installed: {', '.join(names)})"


def _normalized(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()
