"""What losses ask of their arguments, said once."""

from __future__ import annotations

import math
from typing import SupportsFloat


def checked_weight(name: str, weight: float) -> float:
    """The weight of a term.

    Raises:
        TypeError: No number.
        ValueError: One that is negative or not finite.
    """
    if not isinstance(weight, SupportsFloat):
        raise TypeError(f"{name} must be a number; got {weight!r}")
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"{name} must be a finite number, 0 or more; got {weight}")
    return weight


def checked_width(width: int) -> int:
    """The side of a window around a pixel.

    Raises:
        ValueError: One that is no odd number, or below 3.
    """
    if width < 3 or width % 2 != 1:
        raise ValueError(f"width must be an odd number of pixels, 3 or more; got {width}")
    return int(width)
