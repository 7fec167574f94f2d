"""Human correction effort: how many clicks it takes to repair a prediction."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .binary import Binary, cut_at_half, foreground_of
from .polylines import curves_along, simplified
from .thinning import skeleton as skeleton_of

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


class HCE(NamedTuple):
    """Clicks that repair a prediction, by what they mend: too much (FP) or too little (FN)."""

    points_fp: int
    """Points of the outlines between false positives and the object."""
    regions_fp: int
    """False regions that touch no object; one click removes each."""
    points_fn: int
    """Points of the outlines between missed parts and the background."""
    regions_fn: int
    """Missed regions that touch no background; one click fills each."""

    @property
    def total(self) -> int:
        """All clicks: what is called HCE in papers."""
        return sum(self)


def hce(
    prediction: NDArray[Any],
    mask: NDArray[Any],
    *,
    normalize: bool = True,
    tolerance: int = 5,
    epsilon: float = 2.0,
    simplify: Literal["line", "segment"] = "line",
    skeleton: NDArray[Any] | None = None,
) -> HCE:
    """Human correction effort of a prediction, in clicks; 0 is best.

    After IS-Net (arXiv:2203.03041). Errors that lie within `tolerance` of the right outline are forgiven, missed
    thin parts are not; what is left is outlined by polygons, whose points are counted. The number depends on the
    image's size, and is not quite the same for a mirrored pair.

    PySODMetrics cuts the stretched prediction at one half, and so does this function. The authors' own code, and
    BiRefNet's, cut the 8-bit prediction above 128: pass `prediction > 128` for that. Differs from theirs: a wrong
    region that fills the image counts as one, as in PySODMetrics, and not as none.

    Args:
        prediction: (H, W), uint8, or float in [0, 1], or bool, which is taken as it is.
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether the prediction is stretched to [0, 1] first.
        tolerance: Width in pixels of errors that are forgiven; 5 in papers.
        epsilon: Distance in pixels by which a polygon may miss its curve; 2 in papers.
        simplify: What a polygon's distance is measured to. `"line"` gives the published numbers; the reference
            codes give those of `"segment"` since OpenCV 4.13.
        skeleton: (H, W), `skeleton(mask)` if it is at hand; finding it takes most of the time.

    Raises:
        ValueError: Shapes that differ or are not (H, W), an empty image, values outside of [0, 1], NaN, an unknown
            `simplify`, a negative `tolerance` or `epsilon`.
        TypeError: Arrays of other types.
    """
    positive, foreground = cut_at_half(prediction, mask, normalize=normalize)
    if simplify not in ("line", "segment"):
        raise ValueError(f"simplify must be 'line' or 'segment'; got {simplify!r}")
    if tolerance < 0 or epsilon < 0:
        raise ValueError(f"tolerance and epsilon must not be negative; got {tolerance} and {epsilon}")
    missed = foreground & ~positive
    if skeleton is not None:
        thin = foreground_of(skeleton)
        if thin.shape != missed.shape:
            raise ValueError(f"skeleton must have the mask's size; got {thin.shape} and {missed.shape}")
        thin = thin & missed
    else:
        thin = skeleton_of(foreground) & missed if missed.any() else missed
    area = (positive | foreground).view(np.uint8)
    core = cv2.erode(area, CROSS, iterations=tolerance)
    too_much = _unforgiven(positive & ~foreground, foreground, core, tolerance)
    too_little = _unforgiven(missed, positive, core, tolerance) | thin.view(np.uint8)
    hit = (positive & foreground).view(np.uint8)
    return HCE(
        *_effort(too_much, hit | too_little, epsilon, simplify),
        *_effort(too_little, 1 - (hit | too_much | too_little), epsilon, simplify),
    )


def _unforgiven(wrong: Binary, other: Binary, core: NDArray[np.uint8], tolerance: int) -> NDArray[np.uint8]:
    """What is wrong and not only so along the outline: the part in the core, grown back."""
    errors, free = wrong.view(np.uint8), (~other).view(np.uint8)
    grown = errors & core
    for _ in range(tolerance):
        grown = cv2.dilate(grown, CROSS) & free
    return grown & errors


def _effort(
    region: NDArray[np.uint8], beside: NDArray[np.uint8], epsilon: float, simplify: Literal["line", "segment"]
) -> tuple[int, int]:
    """Points of the region's outlines where it adjoins the other kind, and components that nowhere do."""
    curves, untouched = curves_along(region, cv2.dilate(beside, CROSS))
    return int(np.count_nonzero(simplified(curves, epsilon, simplify))), untouched
