"""Names -> components, through entry points: dichoseg's own and every installed package's, found alike.

A name is `[package/]name[:argument]`. Listing reads the metadata of installed packages and imports nothing; a
component is imported when somebody asks for it by name.
"""

from __future__ import annotations

import difflib
import re
from importlib import metadata
from typing import Any, NamedTuple

GROUPS = ("encoders", "decoders", "losses", "augmentations", "models")
OWN_PACKAGE = "dichoseg"


class Component(NamedTuple):
    """One installed component, not yet imported."""

    group: str
    name: str
    package: str
    entry_point: metadata.EntryPoint

    def load(self) -> Any:
        """Import the component. A broken one surfaces its own exception as the cause of an ImportError."""
        try:
            return self.entry_point.load()
        except Exception as error:
            raise ImportError(
                f"{self.name!r} in dichoseg.{self.group}, from package {self.package}, cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error


class ComponentName(NamedTuple):
    """A name taken apart: `[package/]name[:argument]`."""

    name: str
    package: str | None = None
    argument: str | None = None

    @classmethod
    def parse(cls, text: str) -> ComponentName:
        """Take `text` apart; only its first colon and the slash before that count."""
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
        package = _normalized(entry_point.dist.metadata["Name"]) if entry_point.dist else "unknown"
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

    Args:
        group: As for `list_components`.
        name: `name`, or `package/name` where several packages share it.

    Raises:
        ValueError: No such name (with the nearest one), or several packages share it.
        ImportError: The component is installed but broken; its own exception is the cause.
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
    return matches[0].load()


def qualified_name(group: str, name: str) -> str:
    """A component's name with the package it comes from, `package/name[:argument]`; dichoseg's own stay plain."""
    head, colon, argument = name.partition(":")
    wanted = ComponentName.parse(head)
    packages = {component.package for component in components(group) if component.name == wanted.name}
    if wanted.package is not None or OWN_PACKAGE in packages or len(packages) != 1:
        return name
    return f"{packages.pop()}/{head}{colon}{argument}"


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
