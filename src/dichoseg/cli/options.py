"""Types of options, and what several commands share."""

from __future__ import annotations

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import tyro

from .hints import with_options

CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone, tyro.conf.SuppressFixed)
Flag: TypeAlias = Annotated[tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(help_behavior_hint="")]
"""Option that is off by default and takes no value."""
Repeatable: TypeAlias = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(help_behavior_hint="")]
"""Option that may be given several times."""

Values: TypeAlias = Annotated[
    tyro.conf.UseAppendAction[tuple[int | str, ...]], tyro.conf.arg(metavar="ID|COLOR", help_behavior_hint="")
]
"""Label ids or colors, each by its own option."""


Sizes: TypeAlias = Annotated[tuple[str, ...], tyro.conf.arg(metavar="[SIZE ...]", help_behavior_hint="")]
"""Sizes, each a side or HEIGHTxWIDTH, after one option."""


def optional(metavar: str) -> Any:
    """Return the annotation of an option whose default the help text explains."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="")


Text: TypeAlias = Annotated[str | None, optional("STR")]
Number: TypeAlias = Annotated[int | None, optional("INT")]
Fraction: TypeAlias = Annotated[float | None, optional("FLOAT")]
Paths: TypeAlias = Annotated[
    tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(metavar="PATH", help_behavior_hint="")
]
"""Paths, each by its own option."""
OptionalPath: TypeAlias = Annotated[Path | None, optional("PATH")]
FloatPrecision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
Precision: TypeAlias = FloatPrecision | Literal["int8"]
Runtime: TypeAlias = Annotated[
    Literal["torch", "onnxruntime", "openvino"] | None, optional("{torch,onnxruntime,openvino}")
]
Device: TypeAlias = Annotated[str | None, optional("DEVICE")]

ModelArgument: TypeAlias = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]


def as_arguments(options: Any) -> list[str]:
    """Return the command-line arguments that give these options, an instance of a dataclass; paths are absolute."""
    arguments: list[str] = []
    for field in dataclasses.fields(options):
        value, option = getattr(options, field.name), f"--{field.name.replace('_', '-')}"
        if dataclasses.is_dataclass(value):
            arguments += as_arguments(value)
        elif value == field.default:
            continue
        elif isinstance(value, bool):
            arguments.append(option if value else f"--no-{option[2:]}")
        elif field.name in SEVERAL:
            arguments += [option, *value]
        elif isinstance(value, tuple):
            arguments += [f"{option}={_absolute(item)}" for item in value]
        elif field.name in POSITIONAL:
            arguments.append(str(_absolute(value)))
        else:
            arguments.append(f"{option}={_absolute(value)}")
    return arguments


def _absolute(value: Any) -> Any:
    return value.absolute() if isinstance(value, Path) else value


POSITIONAL = {"data"}
SEVERAL = {"sizes"}
"""Options that take several values at once."""


def size_of(text: str) -> tuple[int, int]:
    """Return the height and width that a side or HEIGHTxWIDTH gives."""
    height, times, width = text.partition("x")
    try:
        return int(height), int(width if times else height)
    except ValueError:
        raise ValueError(
            f"a size must be a side, such as 384, or HEIGHTxWIDTH, such as 512x768; got {text!r}"
        ) from None


def tell(text: str) -> None:
    """Print a message in addition to the result, unless only errors are shown."""
    if logging.getLogger("dichoseg").isEnabledFor(logging.WARNING):
        print(with_options(text), file=sys.stderr)
