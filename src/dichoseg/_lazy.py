"""Public names that are imported on first use (PEP 562), so that importing a package costs nothing."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping


def attach(
    package: str, modules: Mapping[str, str], *, moved: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Make the `__getattr__`, `__dir__` and `__all__` of a package whose names live in its modules.

    Args:
        package: The package's `__name__`.
        modules: Module that defines each public name: below the package, or relative to it, such as `"..blocks"`; the
            empty string for a name that is itself a subpackage or module. Names that begin with an underscore are not
            listed.
        moved: Package of dichoseg that has each former name now, or `package:name` if the name changed, too. Such names
            are not listed, and warn. A former subpackage maps to itself: its names warn.
    """
    names = sorted(name for name in modules if not name.startswith("_"))
    former = moved or {}

    def __getattr__(name: str) -> object:
        if name in former:
            place, _, renamed = f"dichoseg.{former[name]}".partition(":")
            current = renamed or name
            if place == f"{package}.{name}":
                return importlib.import_module(place)
            warnings.warn(
                f"{package}.{name} is {place}.{current} since 0.2, and goes in 0.4", DeprecationWarning, stacklevel=2
            )
            return getattr(importlib.import_module(place), current)
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if not modules[name]:
            return importlib.import_module(f"{package}.{name}")
        module = modules[name] if modules[name].startswith(".") else f".{modules[name]}"
        value = getattr(importlib.import_module(module, package), name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return names

    return __getattr__, __dir__, names
