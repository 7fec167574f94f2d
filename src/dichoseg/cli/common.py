"""Options that every command has, for the messages it shows in addition to its result."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import logging
import typing
from collections.abc import Callable, Iterator
from typing import Any

from .hints import Formatter
from .options import Flag
from .processes import is_first

OPTIONS = {
    "quiet": "Show no messages except errors; the requested output is still printed.",
    "verbose": "Show all messages, such as which files are read.",
    "traceback": "Show the traceback of an error. The environment variable DICHOSEG_TRACEBACK=1 does the same.",
}


def with_common_options(command: Callable[..., None], level: int = logging.WARNING) -> Callable[..., None]:
    """Add the options --quiet, --verbose and --traceback to a command; pass `quiet` on if it is a parameter of it.

    Args:
        command: Function of the command.
        level: Level of the messages that are shown by default.
    """
    signature = inspect.signature(command)
    told = "quiet" in signature.parameters

    @functools.wraps(command)
    def wrapper(*args: object, quiet: bool = False, verbose: bool = False, **options: object) -> None:
        del options["traceback"]  # for `main`, which shows the error
        if quiet and verbose:
            raise ValueError("--quiet and --verbose exclude each other")
        shown = logging.DEBUG if verbose else level if is_first() and not quiet else logging.ERROR
        with _shown_log(shown):
            command(*args, **({"quiet": quiet} if told else {}), **options)

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Flag)
        for name in OPTIONS
        if name not in signature.parameters
    ]
    parameters = [*signature.parameters.values(), *added]
    vars(wrapper).update(__signature__=signature.replace(parameters=parameters))
    del vars(wrapper)["__wrapped__"]  # whose annotations and help texts tyro would read
    hints = typing.get_type_hints(command, include_extras=True)
    wrapper.__annotations__ = hints | {parameter.name: parameter.annotation for parameter in added}
    head, _, tail = (command.__doc__ or "").partition("    Args:\n")
    helps = "".join(f"        {name}: {text}\n" for name, text in OPTIONS.items() if f" {name}: " not in tail)
    wrapper.__doc__ = f"{head.rstrip()}\n\n    Args:\n{tail.rstrip()}\n{helps}"
    return wrapper


def options_of(command: Any) -> dict[str, Any]:
    """Return the options of a command, or of a dataclass of options: `--name` -> type."""
    options: dict[str, Any] = {f"--{name}": bool for name in OPTIONS}
    for name, hint in typing.get_type_hints(command).items():
        options |= options_of(hint) if dataclasses.is_dataclass(hint) else {f"--{name.replace('_', '-')}": hint}
    return options


@contextlib.contextmanager
def _shown_log(level: int) -> Iterator[None]:
    """Show messages of dichoseg from a level on, inside the block."""
    logger, handler = logging.getLogger("dichoseg"), logging.StreamHandler()
    before = logger.level
    handler.setFormatter(Formatter())
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
