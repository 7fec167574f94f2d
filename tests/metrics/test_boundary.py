import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dichoseg.metrics.boundary import boundary_iou, mean_boundary_accuracy

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
EXPECTED = json.loads((GOLDEN / "corrections.json").read_text())


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("name", EXPECTED)
def test_value_reference(name, as_float):
    pairs = np.load(GOLDEN / "pairs.npz")
    prediction, mask = pairs[f"{name}/prediction"], pairs[f"{name}/mask"]
    prediction = prediction / 255 if as_float else prediction
    for function, key in ((boundary_iou, "boundary_iou"), (mean_boundary_accuracy, "mba")):
        assert function(prediction, mask) == pytest.approx(float(EXPECTED[name][key]), abs=1e-12, nan_ok=True)


def test_value_boundary_iou_by_hand():
    mask = np.zeros((65, 97), bool)
    mask[10:20, 10:20] = True
    shifted = np.roll(mask, 5, axis=1)
    # The diagonal is 116.8 pixels, so boundaries are two wide: 100 - 36 pixels each, of which 14 + 14 + 4 meet.
    assert boundary_iou(mask, mask) == 1
    ring = mask.copy()
    ring[12:18, 12:18] = False
    assert np.count_nonzero(ring) == 64
    both = np.count_nonzero(ring & np.roll(ring, 5, axis=1))
    assert boundary_iou(shifted, mask) == both / (128 - both)
    assert boundary_iou(ring, mask) == 1  # what is inside does not matter
    assert boundary_iou(~mask & mask, mask) == 0


def test_value_image_border_is_a_boundary():
    full = np.ones((50, 100), bool)
    inside = full.copy()
    inside[2:-2, 2:-2] = False  # 0.02 of 111.8 pixels
    assert boundary_iou(inside, full) == 1
    assert boundary_iou(inside, full, width=0.03) == np.count_nonzero(inside) / (5000 - 44 * 94)


def test_value_mean_boundary_accuracy_by_hand():
    mask = np.zeros((9, 9), bool)
    mask[:, 5:] = True
    # Radius 1, a cross: the boundary is the columns 4 and 5.
    assert mean_boundary_accuracy(mask, mask) == 1
    wrong = mask.copy()
    wrong[:3, 5] = False
    wrong[:, :3] = True
    assert mean_boundary_accuracy(wrong, mask) == pytest.approx(15 / 18)
    assert mean_boundary_accuracy(~mask, mask) == 0


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(300, 900), st.integers(300, 900))
def test_value_mean_boundary_accuracy_as_slow(seed, height, width):
    rng = np.random.default_rng(seed)
    fields = [cv2.GaussianBlur(rng.random((height, width)), (0, 0), 5) for _ in range(2)]
    prediction, mask = (field > np.median(field) for field in fields)
    accuracies = []
    for step in range(5):
        radius = 1 + int(((width + height) / 300 - 1) / 5 * step)
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        gray = mask.view(np.uint8)
        near = cv2.dilate(gray, ellipse) != cv2.erode(gray, ellipse)
        accuracies.append((prediction == mask)[near].mean())
    assert mean_boundary_accuracy(prediction, mask) == pytest.approx(np.mean(accuracies), abs=1e-12)


def test_value_degenerate_masks():
    empty = np.zeros((65, 97), bool)
    pixel = empty.copy()
    pixel[64, 96] = True
    assert math.isnan(boundary_iou(empty, empty))
    assert boundary_iou(~empty, ~empty) == boundary_iou(pixel, pixel) == 1
    assert boundary_iou(pixel, empty) == boundary_iou(empty, pixel) == 0
    for mask in (empty, ~empty):
        assert math.isnan(mean_boundary_accuracy(pixel, mask))
    assert mean_boundary_accuracy(pixel, pixel) == 1
    assert mean_boundary_accuracy(empty, pixel) == pytest.approx(2 / 3)  # of the three pixels of the cross


def test_value_the_prediction_is_not_stretched():
    mask = np.zeros((65, 97), np.uint8)
    mask[10:50, 10:50] = 255
    for function in (boundary_iou, mean_boundary_accuracy):
        assert type(function(mask, mask)) is float
        assert function(mask // 2 + 2, mask) == function(mask > 128, mask) == 1
        assert function(mask // 2, mask) == function(np.zeros_like(mask), mask)


def test_error_width():
    with pytest.raises(ValueError, match="width .*-1"):
        boundary_iou(np.zeros((3, 4), bool), np.zeros((3, 4), bool), width=-1)


@pytest.mark.parametrize("function", [boundary_iou, mean_boundary_accuracy])
def test_error_sizes(function):
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(4, 3\)"):
        function(np.zeros((3, 4)), np.zeros((4, 3), bool))
