import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dichoseg.metrics import s_measure

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
VALUES = json.loads((GOLDEN / "measures.json").read_text())
CASES = [name for name in VALUES if name != "examples"]
EPS = np.spacing(1)


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize(("protocol", "normalize"), [("pysod", True), ("pysod_no_minmax", False)])
@pytest.mark.parametrize("name", CASES)
def test_value_reference(name, protocol, normalize, as_float):
    arrays = np.load(GOLDEN / "pairs.npz")
    prediction, mask = arrays[f"{name}/prediction"], arrays[f"{name}/mask"]
    prediction = prediction / 255 if as_float else prediction
    for key, alpha in (("sm", 0.5), ("sm_alpha0", 0), ("sm_alpha1", 1)):
        expected = VALUES[name][protocol][key]
        ours = s_measure(prediction, mask, alpha=alpha, normalize=normalize)
        if expected == "nan":  # the reference's answer to an empty quadrant
            assert 0 < ours < 1
        else:
            assert ours == pytest.approx(expected, abs=1e-12), key


def by_pixel(prediction, mask, alpha):
    """The definition, on arrays."""
    if not mask.any():
        return 1 - prediction.mean()
    if mask.all():
        return prediction.mean()

    def of_object(values):
        deviation = values.std(ddof=1) if values.size > 1 else 0
        return 2 * values.mean() / (values.mean() ** 2 + 1 + deviation + EPS)

    share = mask.mean()
    of_objects = share * of_object(prediction[mask]) + (1 - share) * of_object(1 - prediction[~mask])
    row, column = (int(np.round(index.mean())) + 1 for index in np.nonzero(mask))
    height, width = mask.shape
    of_regions, rest = 0.0, 1.0
    corners = [(0, row, 0, column), (0, row, column, width), (row, height, 0, column), (row, height, column, width)]
    for top, bottom, left, right in corners:
        x, y = prediction[top:bottom, left:right], mask[top:bottom, left:right].astype(float)
        last = (top, left) == (row, column)
        weight = rest if last else x.size / mask.size
        rest -= weight
        if x.size == 0:
            continue
        free = x.size - 1 + EPS
        spread = ((x - x.mean()) ** 2).sum() / free + ((y - y.mean()) ** 2).sum() / free
        above = 4 * x.mean() * y.mean() * ((x - x.mean()) * (y - y.mean())).sum() / free
        below = (x.mean() ** 2 + y.mean() ** 2) * spread
        of_regions += weight * (above / (below + EPS) if above else float(below == 0))
    return max(0, alpha * of_objects + (1 - alpha) * of_regions)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([0, 0.1, 0.5, 0.9]),
    st.sampled_from([0, 0.3, 0.5, 1]),
    st.booleans(),
    st.integers(0, 999),
)
def test_value_equals_the_definition(height, width, share, alpha, as_float, seed):
    rng = np.random.default_rng(seed)
    # Eighths add up without rounding, so that a constant quadrant is constant for the definition too.
    prediction = rng.integers(0, rng.integers(2, 10), (height, width)) / 8
    mask = rng.random((height, width)) < share
    ours = s_measure(prediction.clip(0, 1), mask, alpha=alpha, normalize=False)
    assert ours == pytest.approx(by_pixel(prediction.clip(0, 1), mask, alpha), abs=1e-12)
    levels = rng.integers(0, 256, (height, width)).astype(np.uint8)
    levels.flat[0] = 0
    levels.flat[-1] = 255
    expected = by_pixel(levels / 255, mask, alpha) if levels.size > 1 else float(mask.all())
    if levels.size > 1:
        assert s_measure(levels / 255 if as_float else levels, mask, alpha=alpha) == pytest.approx(expected, abs=1e-12)


def test_value_by_hand():
    prediction = np.array([[1.0, 1.0], [0.0, 0.0]])
    mask = np.array([[True, False], [True, False]])
    # centroid: row 0.5, rounded to 0, and column 0: four quadrants of one pixel
    objects = 0.5 * 2 * 0.5 / (0.25 + 1 + 0.5**0.5) + 0.5 * 2 * 0.5 / (0.25 + 1 + 0.5**0.5)
    assert s_measure(prediction, mask, alpha=1) == pytest.approx(objects)
    assert s_measure(prediction, mask, alpha=0) == 1.0  # no variance in a pixel: alike by convention
    assert s_measure(prediction, mask) == pytest.approx((1 + objects) / 2)


def test_value_empty_and_full_mask():
    prediction = np.linspace(0, 1, 65 * 97).reshape(65, 97)
    empty = np.zeros((65, 97), bool)
    assert s_measure(prediction, empty) == pytest.approx(0.5)
    assert s_measure(prediction**2, ~empty) == pytest.approx((prediction**2).mean())
    assert s_measure(empty * 1.0, empty) == s_measure(~empty * 1.0, ~empty) == 1
    assert s_measure(~empty * 1.0, empty) == s_measure(empty * 1.0, ~empty) == 0


@pytest.mark.parametrize("position", [(0, 0), (64, 96), (30, 96), (64, 0)])
def test_value_one_pixel_of_foreground(position):
    mask = np.zeros((65, 97), bool)
    mask[position] = True
    assert s_measure(mask * 1.0, mask, alpha=1) == pytest.approx(1)  # one pixel has no deviation
    assert s_measure(mask * 1.0, mask, alpha=0) == pytest.approx(1, abs=1e-4)  # the constant beside small variances
    quarter = np.full((65, 97), 0.25)
    assert s_measure(quarter, mask) == pytest.approx(by_pixel(quarter, mask, 0.5))


def test_value_quadrant_of_one_value_and_one_class_is_alike():
    """The reference has 1 or 0 here, as its mean happens to round."""
    mask = np.zeros((65, 97), bool)
    mask[2, 3] = True
    for value in (0.25, 0.3, 76 / 255):
        prediction = np.full((65, 97), value)
        first = 3 * 4 / mask.size  # rows 0 to 2, columns 0 to 3: the only quadrant with both classes
        assert s_measure(prediction, mask, alpha=0) == pytest.approx(1 - first)
    levels = np.full((65, 97), 76, np.uint8)
    assert s_measure(levels, mask) == pytest.approx(s_measure(prediction, mask))


@pytest.mark.parametrize("value", [0, 77, 255])
def test_value_constant_prediction(value):
    mask = np.zeros((65, 97), bool)
    mask[10:30, 20:50] = True
    prediction = np.full((65, 97), value, np.uint8)
    expected = by_pixel(prediction / 255, mask, 1)
    assert s_measure(prediction, mask, alpha=1) == pytest.approx(expected)
    assert s_measure(prediction, mask, alpha=0) == 0  # every quadrant has both classes


def test_value_type_is_float():
    mask = np.eye(4, dtype=bool)
    for prediction in (np.zeros((4, 4), np.uint8), np.eye(4), np.eye(4, dtype=np.float32)):
        assert type(s_measure(prediction, mask)) is float


def test_error_inputs():
    with pytest.raises(ValueError, match="of the same size"):
        s_measure(np.zeros((4, 5)), np.zeros((4, 4), bool))
    with pytest.raises(TypeError, match="mask must be uint8 or bool"):
        s_measure(np.zeros((4, 4)), np.zeros((4, 4)))
