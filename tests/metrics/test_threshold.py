import json
from pathlib import Path

import numpy as np
import pytest

from dichoseg.metrics import adaptive_f, adaptive_measure, binary_measure, f_curve, mae, measure_curve, mse
from dichoseg.metrics.measures import MEASURES

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
VALUES = json.loads((GOLDEN / "values.json").read_text())
MORE = json.loads((GOLDEN / "measures.json").read_text())
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
    f = f_curve(prediction, mask, normalize=normalize)
    ours = {
        "mae": mae(prediction, mask, normalize=normalize),
        "fm_adp": adaptive_f(prediction, mask, normalize=normalize),
        "fm_mean": f.mean(),
        "fm_max": f.max(),
    }
    for key, value in VALUES[name][protocol].items():
        assert ours[key] == pytest.approx(value, abs=1e-12), key


@pytest.mark.parametrize("name", CASES)
def test_value_reference_f_curve(name):
    reference = np.load(GOLDEN / "pairs.npz")[f"{name}/f"]
    np.testing.assert_allclose(f_curve(*pair(name)), reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_value_reference_mse(name, as_float):
    prediction, mask = pair(name)
    assert mse(prediction / 255 if as_float else prediction, mask) == pytest.approx(MORE[name]["mse"], abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_value_measures_by_hand(measure):
    """Level 255: one of two found. Twice the mean is above 1. One half: two of two found, one wrong."""
    prediction = np.array([[1.0, 0.6, 0.7, 0.0, 0.1]])
    mask = np.array([[True, True, False, False, False]])
    highest = {
        "f": 1.3 / (0.3 * 2 + 1),
        "iou": 1 / 2,
        "dice": 2 / 3,
        "precision": 1,
        "recall": 1 / 2,
        "specificity": 1,
        "fpr": 0,
        "accuracy": 4 / 5,
        "ber": 1 / 4,
        "kappa": (4 / 5 - (1 * 2 + 4 * 4) / 25) / (1 - (1 * 2 + 4 * 4) / 25),
    }
    phi = [2 * 0.8 * 0.6 / (0.64 + 0.36), -2 * 0.2 * 0.6 / (0.04 + 0.36), 2 * 0.2 * 0.4 / (0.04 + 0.16)]
    highest["e"] = sum(n * (p + 1) ** 2 / 4 for n, p in zip((1, 1, 3), phi, strict=True)) / 4
    assert measure_curve(prediction, mask, measure)[0] == pytest.approx(highest[measure], abs=1e-15)
    assert adaptive_measure(prediction, mask, measure) == pytest.approx(highest[measure], abs=1e-15)
    half = {"f": 1.3 * 2 / (0.3 * 2 + 3), "iou": 2 / 3, "dice": 4 / 5, "precision": 2 / 3, "recall": 1, "fpr": 1 / 3}
    half |= {"specificity": 2 / 3, "accuracy": 4 / 5, "ber": 1 / 6, "kappa": (4 / 5 - 14 / 25) / (11 / 25)}
    phi = [2 * 0.4 * 0.6 / (0.16 + 0.36), -2 * 0.4 * 0.4 / (0.16 + 0.16), 2 * 0.6 * 0.4 / (0.36 + 0.16)]
    half["e"] = sum(n * (p + 1) ** 2 / 4 for n, p in zip((2, 1, 2), phi, strict=True)) / 4
    assert binary_measure(prediction, mask, measure) == pytest.approx(half[measure], abs=1e-15)


def test_value_by_hand():
    prediction = np.array([[0.0, 0.5, 1.0, 1.0]])
    mask = np.array([[False, False, True, True]])
    assert mae(prediction, mask) == 0.125
    assert adaptive_f(prediction, mask) == 1.0  # twice the mean is above 1, so the threshold is 1
    f = f_curve(prediction, mask)
    np.testing.assert_allclose(f[[0, 127]], 1.0)  # gray levels 255 and 128: 0.5 is level 127
    np.testing.assert_allclose(f[[128, 254]], 1.3 * 2 / (0.3 * 2 + 3))  # one background pixel too many
    np.testing.assert_allclose(f[255], 1.3 * 2 / (0.3 * 2 + 4))


def test_value_stretching_by_hand():
    prediction = np.array([[40, 120, 200, 200]], np.uint8)
    mask = np.array([[0, 128, 129, 255]], np.uint8)
    assert mae(prediction, mask) == pytest.approx(0.5 / 4)
    unstretched = (40 + 120 + 55 + 55) / 255 / 4
    assert mae(prediction, mask, normalize=False) == pytest.approx(unstretched)
    assert f_curve(prediction, mask, normalize=False)[255 - 201] == 0
    assert f_curve(prediction, mask, normalize=False)[255 - 200] == 1


def test_value_beta_squared_is_that_of_dice():
    prediction, mask = pair("s10_noise_gauss")
    np.testing.assert_allclose(
        f_curve(prediction, mask, beta_squared=1), measure_curve(prediction, mask, "dice"), rtol=1e-15
    )
    assert adaptive_f(prediction, mask, beta_squared=1) == pytest.approx(adaptive_measure(prediction, mask, "dice"))
    np.testing.assert_array_equal(f_curve(prediction, mask), measure_curve(prediction, mask, "f"))
    assert adaptive_f(prediction, mask) == adaptive_measure(prediction, mask, "f")


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
    f = f_curve(prediction, mask)
    np.testing.assert_array_equal(f[: 255 - level], 0)
    np.testing.assert_allclose(f[255 - level :], all_positive)


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
    for measure in MEASURES:
        values = measure_curve(np.zeros((65, 97), np.uint8), np.zeros((65, 97), bool), measure)
        assert values.shape == (256,)
        assert values.dtype == np.float64


def test_error_measure():
    for function in (measure_curve, adaptive_measure, binary_measure):
        with pytest.raises(ValueError, match="measure .*f, e, iou.*'f1'"):
            function(np.zeros((2, 2)), np.zeros((2, 2), bool), "f1")


@pytest.mark.parametrize("metric", [mae, mse, f_curve, adaptive_f])
def test_error_inputs(metric):
    mask = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"of the same size; got \(4, 5\) and \(4, 4\)"):
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
