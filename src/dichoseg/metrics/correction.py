"""Human correction effort (HCE): number of clicks needed to repair a prediction."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checking import choice, number, whole
from .binary import Binary, cut_at_half
from .pair import foreground_of
from .polylines import curves_along, simplify_curves
from .thinning import skeleton as skeleton_of

CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


class HCE(NamedTuple):
    """Clicks needed to repair a prediction, for false positives (FP) and false negatives (FN)."""

    points_fp: int
    """Points of the outlines between false positives and the object."""
    regions_fp: int
    """False regions that do not touch an object; one click removes each."""
    points_fn: int
    """Points of the outlines between missed parts and the background."""
    regions_fn: int
    """Missed regions that do not touch the background; one click fills each."""

    @property
    def total(self) -> int:
        """Number of all clicks, called HCE in papers."""
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
    """Compute the human correction effort of a prediction, in clicks; 0 is best.

    Errors within `tolerance` of the correct outline are forgiven, missed thin parts are not. The remaining errors are
    outlined by polygons, whose points are counted. The value depends on the image size, and differs slightly for a
    mirrored pair.

    Like PySODMetrics, this function thresholds the normalized prediction above 0.5. The authors' code and BiRefNet's
    threshold the 8-bit prediction above 128: pass `prediction > 128` for that.

    Source: IS-Net (arXiv:2203.03041). Differs from the authors' and BiRefNet's code: a wrong region that fills the
    image counts as one region, as in PySODMetrics, not as none.

    Args:
        prediction: (H, W), uint8, or float in [0, 1], or bool, which is used unchanged.
        mask: (H, W), uint8 (foreground above 128) or bool.
        normalize: Whether to min-max normalize the prediction to [0, 1] first.
        tolerance: Width of forgiven errors, in pixels; 5 in papers.
        epsilon: Largest distance between a polygon and its curve, in pixels; 2 in papers.
        simplify: Target of the distance from a point: a polygon's side (`"segment"`) or the line through it (`"line"`).
            `"line"` gives the published values; the reference codes give those of `"segment"` since OpenCV 4.13.
        skeleton: Precomputed `skeleton(mask)`, (H, W); computing it takes most of the time.
    """
    positive, foreground = cut_at_half(prediction, mask, normalize=normalize)
    choice("simplify", simplify, ("line", "segment"))
    whole("tolerance", tolerance)
    number("epsilon", epsilon)
    missed = foreground & ~positive
    if skeleton is not None:
        thin = foreground_of(skeleton) & missed
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
    """Return the errors that are not only along the outline: those in the core, grown back."""
    errors, free = wrong.view(np.uint8), (~other).view(np.uint8)
    grown = errors & core
    for _ in range(tolerance):
        grown = cv2.dilate(grown, CROSS) & free
    return grown & errors


def _effort(
    region: NDArray[np.uint8], beside: NDArray[np.uint8], epsilon: float, simplify: Literal["line", "segment"]
) -> tuple[int, int]:
    """Count the points of the region's outlines next to `beside`, and the components that do not touch it."""
    curves, untouched = curves_along(region, cv2.dilate(beside, CROSS))
    return int(np.count_nonzero(simplify_curves(curves, epsilon, simplify))), untouched
