"""Public names that are imported on first use (PEP 562), and former names, which warn."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping


def attach(
    package: str, modules: Mapping[str, str] | None = None, *, moved: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the `__getattr__` and `__dir__` of a package, for names that are not imported with it.

    Args:
        package: The package's `__name__`.
        modules: Module below the package, or relative to it -> names that it defines, separated by spaces; those of the
            empty string are modules themselves.
        moved: Module of dichoseg -> former names of this package that it has now, as `old=new` if renamed. They warn
            and are not listed.
    """
    places = {name: module for module, names in (modules or {}).items() for name in names.split()}
    former: dict[str, tuple[str, str]] = {}
    for module, names in (moved or {}).items():
        for name in names.split():
            old, _, new = name.partition("=")
            former[old] = f"dichoseg.{module}", new or old

    def __getattr__(name: str) -> object:
        if name in former:
            place, current = former[name]
            message = f"{package}.{name} is {place}.{current} since 0.2, and goes in 0.4"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return getattr(importlib.import_module(place), current)
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if not places[name]:
            return importlib.import_module(f"{package}.{name}")
        module = places[name] if places[name].startswith(".") else f".{places[name]}"
        value = getattr(importlib.import_module(module, package), name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(sys.modules[package]), *places})

    return __getattr__, __dir__
