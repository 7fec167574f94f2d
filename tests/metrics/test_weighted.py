import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dichoseg.metrics import weighted_f_measure

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
    ours = weighted_f_measure(prediction / 255 if as_float else prediction, mask, normalize=normalize)
    assert ours == pytest.approx(VALUES[name][protocol]["wfm"], abs=1e-12)


def by_pixel(prediction, mask, beta_squared):
    """The definition, with SciPy's distances and a sum over the window."""
    if not mask.any():
        return 0.0
    error = np.abs(prediction - mask)
    distance, (rows, columns) = ndimage.distance_transform_edt(~mask, return_indices=True)
    carried = np.where(mask, error, error[rows, columns])
    offsets = np.arange(-3, 4)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 5**2))
    smoothed = ndimage.correlate(carried, window / window.sum(), mode="constant", cval=0)
    smallest = np.where(mask & (smoothed < error), smoothed, error)
    cost = smallest * np.where(mask, 1, 2 - np.exp(np.log(0.5) / 5 * distance))
    true_positives = mask.sum() - cost[mask].sum()
    recall = 1 - cost[mask].mean()
    precision = true_positives / (true_positives + cost[~mask].sum() + EPS)
    return (1 + beta_squared) * recall * precision / (recall + beta_squared * precision + EPS)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([0, 0.005, 0.1, 0.5, 1]),
    st.sampled_from([1.0, 0.3]),
    st.integers(0, 999),
)
def test_value_equals_the_definition(height, width, share, beta_squared, seed):
    """Many nearest pixels tie: a wrong choice shows."""
    rng = np.random.default_rng(seed)
    prediction = rng.random((height, width)) * (rng.random((height, width)) < 0.7)
    mask = rng.random((height, width)) < share
    ours = weighted_f_measure(prediction, mask, beta_squared=beta_squared, normalize=False)
    assert ours == pytest.approx(by_pixel(prediction, mask, beta_squared), abs=1e-12)
    levels = (prediction * 255).astype(np.uint8)
    ours = weighted_f_measure(levels, mask, beta_squared=beta_squared, normalize=False)
    assert ours == pytest.approx(by_pixel(levels / 255, mask, beta_squared), abs=1e-12)


def test_value_by_hand():
    mask = np.zeros((1, 11), bool)
    mask[0, 0] = True
    prediction = np.zeros((1, 11))
    prediction[0, 0] = prediction[0, 10] = 1  # a false alarm at distance 10 weighs 2 - 1/4
    assert weighted_f_measure(prediction, mask) == pytest.approx(2 * (1 / 2.75) / (1 + 1 / 2.75))
    prediction[0, 10], prediction[0, 5] = 0, 1  # at distance 5: 2 - 1/2
    assert weighted_f_measure(prediction, mask) == pytest.approx(2 * (1 / 2.5) / (1 + 1 / 2.5))


@pytest.mark.parametrize("mask", [np.zeros((65, 97), bool), np.ones((65, 97), bool)])
def test_value_empty_and_full_mask(mask):
    assert weighted_f_measure(mask * 1.0, mask) == pytest.approx(float(mask.any()))
    assert weighted_f_measure(~mask * 1.0, mask) == pytest.approx(by_pixel(~mask * 1.0, mask, 1))


@pytest.mark.parametrize("position", [(0, 0), (64, 96), (30, 40)])
@pytest.mark.parametrize("value", [0, 100, 255])
def test_value_one_pixel_and_constant_prediction(position, value):
    mask = np.zeros((65, 97), bool)
    mask[position] = True
    assert weighted_f_measure(mask * 1.0, mask) == pytest.approx(1)
    prediction = np.full((65, 97), value, np.uint8)
    assert weighted_f_measure(prediction, mask) == pytest.approx(by_pixel(prediction / 255, mask, 1), abs=1e-12)


def test_error_inputs():
    with pytest.raises(ValueError, match="of the same size"):
        weighted_f_measure(np.zeros((4, 5)), np.zeros((4, 4), bool))
    with pytest.raises(TypeError, match="prediction must be uint8 or float"):
        weighted_f_measure(np.zeros((4, 4), int), np.zeros((4, 4), bool))
