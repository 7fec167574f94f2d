"""Checks of arguments, for constructors and option dataclasses. Inner functions trust them.

They raise a TypeError for a value of the wrong type, and a ValueError for any other that does not fit.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from numbers import Real
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def choice(name: str, value: T, options: Iterable[T]) -> T:
    """Return a value that is one of some options."""
    options = tuple(options)
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(str, options))}; got {value!r}")
    return value


def whole(name: str, value: int, *, least: int = 0, odd: bool = False) -> int:
    """Return a value as a plain int."""
    try:
        number = int(operator.index(value))
    except TypeError:
        raise TypeError(f"{name} must be an int; got {value!r}") from None
    if number < least or (odd and number % 2 != 1):
        raise ValueError(f"{name} must be {'odd and ' if odd else ''}{least} or more; got {value}")
    return number


def number(name: str, value: float, *, low: float = 0, high: float = math.inf) -> float:
    """Return a finite number from `low` to `high`."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number; got {value!r}")
    if not (math.isfinite(value) and low <= value <= high):
        wanted = f"a number from {low:g} to {high:g}" if high < math.inf else f"a finite number, {low:g} or more"
        raise ValueError(f"{name} must be {wanted}; got {value}")
    return value


def function(name: str, value: T, example: str) -> T:
    """Return a value that can be called, or None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function, such as {example}; got {value!r}")
    return value


def unknown(what: str, name: object, known: Iterable[str], *, listed: str = "known") -> ValueError:
    """Return a ValueError for an unknown name, with the nearest known one.

    Args:
        what: Noun phrase for the message, such as `"preset 'stong'"`.
        name: The unknown name.
        known: The known names, which the message lists.
        listed: Word that introduces the list.
    """
    known = tuple(known)
    near = get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ValueError(f"no {what}{hint} ({listed}: {', '.join(known)})")


def with_hints(habits: Mapping[str, str]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function refuse arguments that other libraries have with a TypeError that names its own.

    Args:
        habits: Argument of the function, as one writes it -> names of others for it, separated by spaces.
    """
    meant = {name: ours for ours, names in habits.items() for name in names.split()}

    def decorator(function: Callable[P, T]) -> Callable[P, T]:
        known = inspect.signature(function).parameters
        called = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            for name in kwargs.keys() - known.keys() & meant.keys():
                raise TypeError(f"{called} has no argument {name!r}; wanted {meant[name]}")
            return function(*args, **kwargs)

        return wrapper

    return decorator
