"""Explanation of torch's errors about inputs that a network cannot take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

SMALL = 128
"""Shorter side in pixels from which on no input is too small."""
_TOO_SMALL = re.compile(
    "Kernel size can't be greater|Padding size should be less|size is too small|(must|should) be greater than 0"
)
"""Parts of torch's errors about maps that have become too small for a layer."""


@contextmanager
def explained_input(image: Tensor) -> Iterator[None]:
    """Replace torch's errors about the input (B, C, H, W) of a network by a ValueError that says what helps."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        batch, height, width = len(image), *image.shape[-2:]
        if "more than 1 value per channel" in str(error):
            raise ValueError(
                f"batch norm on a map of one pixel needs two images or more, got a batch of {batch}: use a larger "
                "batch_size, or freeze_batch_norm(model)"
            ) from error
        if isinstance(error, RuntimeError) and min(height, width) < SMALL and _TOO_SMALL.search(str(error)):
            raise ValueError(
                f"the network cannot run on {height} by {width} pixels, which are too few for it: {error}"
            ) from error
        raise
