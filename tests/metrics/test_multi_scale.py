import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dichoseg.metrics import adaptive_msiou, binary_msiou, msiou_curve

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
VALUES = json.loads((GOLDEN / "measures.json").read_text())
CASES = [name for name in VALUES if name != "examples"]
WITH_CURVE = [key.split("/")[0] for key in np.load(GOLDEN / "curves.npz").files if key.endswith("/msiou_exact")]


def golden_pair(name):
    arrays = np.load(GOLDEN / "pairs.npz")
    return arrays[f"{name}/prediction"], arrays[f"{name}/mask"]


@pytest.mark.parametrize("name", CASES)
def test_value_reference(name):
    """With whole counts; PySODMetrics' own are float16."""
    prediction, mask = golden_pair(name)
    assert adaptive_msiou(prediction, mask) == pytest.approx(VALUES[name]["msiou"]["adp"], abs=1e-12)
    assert binary_msiou(prediction / 255, mask) == pytest.approx(VALUES[name]["msiou"]["bin"], abs=1e-12)


@pytest.mark.parametrize("name", WITH_CURVE)
def test_value_reference_curves(name):
    reference = np.load(GOLDEN / "curves.npz")[f"{name}/msiou_exact"]
    np.testing.assert_allclose(msiou_curve(*golden_pair(name)), reference, rtol=0, atol=1e-12)


def by_cell(positive, mask):
    """The definition, cell by cell from the bottom right."""

    def outline(binary):
        smooth, slope = np.array([1, 2, 1]), np.array([-1, 0, 1])
        kernels = (np.outer(smooth, slope), np.outer(slope, smooth))
        return np.any([ndimage.correlate(binary.astype(int), k, mode="constant") != 0 for k in kernels], axis=0)

    def cells(edge, size):
        return {((edge.shape[0] - 1 - r) // size, (edge.shape[1] - 1 - c) // size) for r, c in np.argwhere(edge)}

    theirs, ours = outline(positive), outline(mask)
    ratios = []
    for level in range(10):
        wanted = cells(ours, 2**level)
        ratios.append((len(cells(theirs, 2**level) & wanted) + 1) / (len(wanted) + 1))
    return np.trapezoid(ratios, dx=1 / 9)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0, 0.02, 0.5, 1]), st.integers(0, 999))
def test_value_equals_the_definition(height, width, share, seed):
    rng = np.random.default_rng(seed)
    prediction, mask = rng.integers(0, 256, (height, width)).astype(np.uint8), rng.random((height, width)) < share
    values = prediction / 255
    assert binary_msiou(prediction, mask, normalize=False) == pytest.approx(by_cell(values > 0.5, mask), abs=1e-12)
    adaptive = by_cell(values >= min(2 * values.mean(), 1), mask)
    assert adaptive_msiou(prediction, mask, normalize=False) == pytest.approx(adaptive, abs=1e-12)
    curve = msiou_curve(prediction, mask, normalize=False)
    for level in (0, 1, int(prediction.max()), 256):
        assert curve[level] == pytest.approx(by_cell(prediction >= level, mask), abs=1e-12)


def test_value_by_hand():
    mask = np.zeros((65, 97), bool)
    mask[64, 96] = True
    # The outline is the pixel's three neighbours: three cells of 1 pixel, and one cell of each other size.
    assert binary_msiou(mask * 0.0, mask) == pytest.approx((1 / 4 / 2 + 8 / 2 + 1 / 2 / 2) / 9)
    # Moved up by one: it meets 2 of the 3, the pixels to the left.
    moved = np.roll(mask, -1, axis=0)
    assert binary_msiou(moved * 1.0, mask) == pytest.approx((3 / 4 / 2 + 8 + 1 / 2) / 9)
    assert binary_msiou(mask * 1.0, mask) == 1
    assert type(binary_msiou(mask * 1.0, mask)) is float


@pytest.mark.parametrize("value", [False, True])
def test_value_empty_full_and_one_pixel(value):
    mask = np.full((65, 97), value)
    assert binary_msiou(mask * 1.0, mask) == adaptive_msiou(mask * 1.0, mask) == 1
    mask[64, 96] = not value
    assert binary_msiou(mask * 1.0, mask) == 1
    assert 0 < binary_msiou(np.full((65, 97), 0.5), mask) < 1


def test_shape_curve():
    curve = msiou_curve(np.zeros((65, 97), np.uint8), np.eye(65, 97, dtype=bool))
    assert curve.shape == (257,)
    assert curve[1] == curve[256]  # nothing is positive


def test_error_inputs():
    with pytest.raises(ValueError, match="of the same size"):
        binary_msiou(np.zeros((4, 5)), np.zeros((4, 4), bool))
