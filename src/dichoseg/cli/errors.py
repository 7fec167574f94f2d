"""Text of an error that ends a command."""

from __future__ import annotations

import os
import traceback

from ..runtime.errors import explains_itself, modules_in
from .hints import with_options

VARIABLE = "DICHOSEG_TRACEBACK"
"""Environment variable that does the same as --traceback, unless it is empty or 0."""


def error_text(error: Exception, arguments: list[str]) -> str:
    """Return one line for an error that a user can fix, else the traceback, and whose code it is about."""
    message = "\n".join([str(error), *getattr(error, "__notes__", ())])
    wanted = "--traceback" in arguments or os.environ.get(VARIABLE, "0") not in ("", "0")
    plugin = None if isinstance(error, MemoryError) else _plugin_behind(error)
    explained = explains_itself(error)
    if plugin is None and explained and not wanted:
        return f"error: {with_options(message)}"
    where = f" in the package {plugin}" if plugin else "" if explained else " in dichoseg, or a library that it uses"
    steps = "".join(traceback.format_exception(error))
    return f"{steps}\nerror{where}: {with_options(message) if explained else f'{type(error).__name__}: {message}'}"


def _plugin_behind(error: Exception) -> str | None:
    """Return name and version of the package with parts for dichoseg that an error came through, if any."""
    from .. import registry

    packages = {
        component.entry_point.module.partition(".")[0]: f"{component.package} {component.version}"
        for group in registry.GROUPS
        for component in registry.components(group)
        if component.package != registry.OWN_PACKAGE
    }
    return next((packages[module] for module in modules_in(error) if module in packages), None)
