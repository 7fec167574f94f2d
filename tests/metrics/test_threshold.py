import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dichoseg.metrics import adaptive_f, f_curve, mae
from dichoseg.metrics.threshold import f_measure, threshold_counts

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
VALUES = json.loads((GOLDEN / "values.json").read_text())
CASES = [name for name in VALUES if name != "examples"]


def pair(name):
    pairs = np.load(GOLDEN / "pairs.npz")
    return pairs[f"{name}/prediction"], pairs[f"{name}/mask"]


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize(("protocol", "normalize"), [("pysod", True), ("pysod_no_minmax", False)])
@pytest.mark.parametrize("name", CASES)
def test_value_reference(name, protocol, normalize, as_float):
    prediction, mask = pair(name)
    prediction = prediction / 255 if as_float else prediction
    curve = f_curve(prediction, mask, normalize=normalize)
    ours = {
        "mae": mae(prediction, mask, normalize=normalize),
        "fm_adp": adaptive_f(prediction, mask, normalize=normalize),
        "fm_mean": curve.mean(),
        "fm_max": curve.max(),
    }
    for key, value in VALUES[name][protocol].items():
        assert ours[key] == pytest.approx(value, abs=1e-12), key


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_value_reference_curves(name, as_float):
    prediction, mask = pair(name)
    counts = threshold_counts(prediction / 255 if as_float else prediction, mask)
    true_positives, false_positives = np.load(GOLDEN / "counts.npz")[f"{name}/counts"]
    np.testing.assert_array_equal(counts.true_positives, true_positives)
    np.testing.assert_array_equal(counts.false_positives, false_positives)
    reference = np.load(GOLDEN / "pairs.npz")[f"{name}/f"]
    np.testing.assert_allclose(f_curve(prediction, mask), reference, rtol=0, atol=1e-12)


def test_value_by_hand():
    prediction = np.array([[0.0, 0.5, 1.0, 1.0]])
    mask = np.array([[False, False, True, True]])
    assert mae(prediction, mask) == 0.125
    assert adaptive_f(prediction, mask) == 1.0  # twice the mean is above 1, so the threshold is 1
    curve = f_curve(prediction, mask)
    np.testing.assert_allclose(curve[[0, 127]], 1.0)  # grey levels 255 and 128: 0.5 is level 127
    np.testing.assert_allclose(curve[[128, 254]], 1.3 * 2 / (0.3 * 2 + 3))  # one background pixel too many
    np.testing.assert_allclose(curve[255], 1.3 * 2 / (0.3 * 2 + 4))


def test_value_stretching_by_hand():
    prediction = np.array([[40, 120, 200, 200]], np.uint8)
    mask = np.array([[0, 128, 129, 255]], np.uint8)
    assert mae(prediction, mask) == pytest.approx(0.5 / 4)
    unstretched = (40 + 120 + 55 + 55) / 255 / 4
    assert mae(prediction, mask, normalize=False) == pytest.approx(unstretched)
    assert f_curve(prediction, mask, normalize=False)[255 - 201] == 0
    assert f_curve(prediction, mask, normalize=False)[255 - 200] == 1


@pytest.mark.parametrize("beta_squared", [0.3, 1.0])
def test_value_f_is_the_papers_formula(beta_squared):
    true_positives, false_positives, foreground = np.array([0, 0, 3, 9]), np.array([0, 4, 1, 80]), 9
    expected = []
    for tp, fp in zip(true_positives.tolist(), false_positives.tolist(), strict=True):
        precision = Fraction(tp, max(tp + fp, 1))
        recall = Fraction(tp, foreground)
        numerator = (1 + beta_squared) * float(precision * recall)
        expected.append(numerator / (beta_squared * float(precision) + float(recall)) if tp else 0)
    ours = f_measure(true_positives, false_positives, foreground, beta_squared=beta_squared)
    np.testing.assert_allclose(ours, expected, rtol=1e-15)


@pytest.mark.parametrize("normalize", [False, True])
def test_value_counts_of_levels_equal_those_of_pixels(normalize):
    rng = np.random.default_rng(0)
    for trial in range(60):  # few levels and few pixels: many of them tie with the adaptive threshold
        shape = (65, 97) if trial == 0 else tuple(rng.integers(1, 7, 2))
        levels = rng.integers(0, 256, rng.integers(1, 6)).astype(np.uint8)
        prediction, mask = rng.choice(levels, shape), rng.random(shape) > 0.6
        by_level = threshold_counts(prediction, mask, normalize=normalize)
        by_pixel = threshold_counts(prediction / 255, mask, normalize=normalize)
        assert by_level[3:] == by_pixel[3:]
        assert by_level.absolute_error == pytest.approx(by_pixel.absolute_error, abs=1e-15)
        np.testing.assert_array_equal(by_level.true_positives, by_pixel.true_positives)
        np.testing.assert_array_equal(by_level.false_positives, by_pixel.false_positives)


@pytest.mark.parametrize("value", [0, 255])
def test_value_empty_and_full_mask(value):
    mask = np.full((65, 97), value, np.uint8)
    perfect = mask / 255
    assert mae(perfect, mask) == mae(mask, mask) == 0
    assert mae(255 - mask, mask) == 1
    assert f_curve(perfect, mask).max() == adaptive_f(perfect, mask) == (1.0 if value else 0.0)


def test_value_one_pixel_of_foreground():
    mask = np.zeros((65, 97), bool)
    mask[64, 96] = True
    prediction = np.where(mask, 200, 10).astype(np.uint8)
    assert mae(prediction, mask) == 0
    np.testing.assert_array_equal(f_curve(prediction, mask)[:255], 1)
    assert adaptive_f(prediction, mask) == 1
    assert mae(np.array([[255]], np.uint8), np.array([[True]])) == 0


@pytest.mark.parametrize(("level", "everything"), [(0, True), (1, False), (127, False), (254, False), (255, True)])
def test_value_constant_prediction(level, everything):
    """A constant is not stretched, and twice itself is above it but for 0 and 1."""
    mask = np.zeros((65, 97), bool)
    mask[10:30, 20:50] = True
    prediction = np.full(mask.shape, level, np.uint8)
    share = mask.mean()
    assert mae(prediction, mask) == pytest.approx(share * (1 - level / 255) + (1 - share) * level / 255)
    all_positive = 1.3 * share / (0.3 * share + 1)
    assert adaptive_f(prediction, mask) == pytest.approx(all_positive if everything else 0)
    curve = f_curve(prediction, mask)
    np.testing.assert_array_equal(curve[: 255 - level], 0)
    np.testing.assert_allclose(curve[255 - level :], all_positive)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_value_any_float_and_memory_layout(dtype):
    rng = np.random.default_rng(0)
    prediction, mask = rng.random((65, 97)).astype(dtype), rng.random((65, 97)) > 0.5
    expected = mae(prediction.astype(np.float64), mask), adaptive_f(prediction.astype(np.float64), mask)
    assert (mae(prediction, mask), adaptive_f(prediction, mask)) == expected
    assert mae(np.asfortranarray(prediction), mask) == pytest.approx(expected[0], abs=1e-15)
    assert adaptive_f(prediction[::-1, ::-1], mask[::-1, ::-1]) == pytest.approx(expected[1], abs=1e-15)


def test_value_arguments_are_not_changed():
    prediction, mask = np.array([[0.25, 0.5]]), np.array([[0, 255]], np.uint8)
    mae(prediction, mask)
    np.testing.assert_array_equal(prediction, [[0.25, 0.5]])
    np.testing.assert_array_equal(mask, [[0, 255]])


def test_shape_curve():
    curve = f_curve(np.zeros((65, 97), np.uint8), np.zeros((65, 97), bool))
    assert curve.shape == (256,)
    assert curve.dtype == np.float64


@pytest.mark.parametrize("metric", [mae, f_curve, adaptive_f])
def test_error_inputs(metric):
    mask = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"of one size; got \(4, 5\) and \(4, 4\)"):
        metric(np.zeros((4, 5)), mask)
    with pytest.raises(ValueError, match=r"two \(H, W\) arrays .* got \(1, 4, 4\) and \(1, 4, 4\)"):
        metric(np.zeros((1, 4, 4)), mask[None])
    with pytest.raises(ValueError, match=r"got \(0, 4\) and \(0, 4\)"):
        metric(np.zeros((0, 4)), mask[:0])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]; got 0 to 7"):
        metric(np.eye(4) * 7, mask)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]; got -1 to 0"):
        metric(np.eye(4) - 1, mask)
    with pytest.raises(ValueError, match="nan"):
        metric(np.full((4, 4), np.nan), mask)
    with pytest.raises(TypeError, match="prediction must be uint8 or float; got int64"):
        metric(np.zeros((4, 4), np.int64), mask)
    with pytest.raises(TypeError, match="prediction must be uint8 or float; got bool"):
        metric(np.zeros((4, 4), bool), mask)
    with pytest.raises(TypeError, match="mask must be uint8 or bool; got float64"):
        metric(np.zeros((4, 4)), np.zeros((4, 4)))
