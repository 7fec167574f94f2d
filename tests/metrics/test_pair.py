import json
from pathlib import Path

import numpy as np
import pytest

from dichoseg.metrics import Evaluator
from dichoseg.metrics.pair import Pair, foreground_of

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
CASES = [name for name in json.loads((GOLDEN / "measures.json").read_text()) if name != "examples"]


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_value_reference_counts(name, as_float):
    pairs = np.load(GOLDEN / "pairs.npz")
    prediction, mask = pairs[f"{name}/prediction"], pairs[f"{name}/mask"]
    curve = Pair(prediction / 255 if as_float else prediction, mask).curve
    true_positives, false_positives = np.load(GOLDEN / "counts.npz")[f"{name}/counts"]
    np.testing.assert_array_equal(curve.true_positives, true_positives)
    np.testing.assert_array_equal(curve.false_positives, false_positives)


@pytest.mark.parametrize("normalize", [False, True])
def test_value_levels_and_pixels_agree(normalize):
    rng = np.random.default_rng(0)
    for trial in range(60):  # few levels and few pixels: many of them tie with the adaptive threshold
        shape = (65, 97) if trial == 0 else tuple(rng.integers(1, 7, 2))
        levels = rng.integers(0, 256, rng.integers(1, 6)).astype(np.uint8)
        prediction, mask = rng.choice(levels, shape), rng.random(shape) > 0.6
        by_level = Pair(prediction, mask, normalize=normalize)
        by_pixel = Pair(prediction / 255, mask, normalize=normalize)
        assert by_level.adaptive == by_pixel.adaptive
        assert by_level.binary == by_pixel.binary
        assert by_level.constant == by_pixel.constant
        assert by_level.absolute_error == pytest.approx(by_pixel.absolute_error, abs=1e-15)
        assert by_level.squared_error == pytest.approx(by_pixel.squared_error, abs=1e-15)
        np.testing.assert_array_equal(by_level.values, by_pixel.values)
        np.testing.assert_array_equal(by_level.gray, by_pixel.gray)
        np.testing.assert_array_equal(by_level.curve.true_positives, by_pixel.curve.true_positives)
        np.testing.assert_array_equal(by_level.curve.false_positives, by_pixel.curve.false_positives)


def test_value_quadrants_by_hand():
    mask = np.zeros((5, 7), bool)
    mask[1:3, 2:5] = True  # rows 1.5, rounded to the even 2; columns 3
    pair = Pair(np.zeros((5, 7)), mask)
    sizes = [pair.foreground[part].shape for part in pair.quadrants]
    assert sizes == [(3, 4), (3, 3), (2, 4), (2, 3)]
    assert pair.histogram[:, 1, 0].tolist() == [4, 2, 0, 0]
    assert pair.histogram[:, 0, 0].tolist() == [8, 7, 8, 6]
    mask[:] = False
    mask[4, 6] = True
    assert [pair.size for pair in (Pair(mask * 1.0, mask), Pair(mask * 1.0, ~mask))] == [35, 35]
    assert [mask[part].size for part in Pair(mask * 1.0, mask).quadrants] == [35, 0, 0, 0]
    assert [mask[part].size for part in Pair(mask * 1.0, mask & False).quadrants] == [35, 0, 0, 0]


def test_value_one_half_is_negative_and_128_is_positive():
    prediction = np.array([[127, 128, 255, 0]], np.uint8)
    mask = np.ones((1, 4), bool)
    assert Pair(prediction, mask).binary == (2, 0, 4, 4)
    assert Pair(np.array([[0.0, 0.5, 0.51, 1.0]]), mask).binary == (2, 0, 4, 4)
    assert Pair(np.array([[0.5, 0.51]]), mask[:, :2], normalize=False).binary == (1, 0, 2, 2)


def test_value_many_pixels_at_one_level():
    shape = (4097, 4097)  # more than float32 can count one by one
    pair = Pair(np.zeros(shape, np.uint8), np.ones(shape, bool))
    assert pair.histogram.sum() == pair.histogram[0, 1, 0] + pair.histogram[1:, 1, 0].sum() == 4097**2
    assert pair.area == 4097**2


def test_value_memory_layout_does_not_matter():
    rng = np.random.default_rng(0)
    prediction, mask = rng.integers(0, 256, (65, 97)).astype(np.uint8), rng.random((65, 97)) > 0.5
    expected = Pair(prediction, mask).histogram
    for layout in (
        np.asfortranarray,
        lambda array: np.repeat(array, 2, 1)[:, ::2],
        lambda array: array[::-1].copy()[::-1],
    ):
        np.testing.assert_array_equal(Pair(layout(prediction), layout(mask)).histogram, expected)


@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (300, 7), (600, 2100), (255, 2048)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_value_sums_of_rows_and_columns(shape, share):
    mask = np.random.default_rng(0).random(shape) < share
    rows, columns = Pair(mask.astype(np.uint8), mask)._sums
    assert (rows == mask.sum(axis=1)).all()
    assert (columns == mask.sum(axis=0)).all()


def test_value_foreground_is_above_128():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(foreground_of(levels), levels > 128)
    np.testing.assert_array_equal(foreground_of(levels[::2, ::-3] > 7), levels[::2, ::-3] > 7)
    assert foreground_of(levels[:, ::2]).flags.c_contiguous


def test_error_foreground():
    with pytest.raises(ValueError, match=r"mask .*\(2, 3, 4\)"):
        foreground_of(np.zeros((2, 3, 4), bool))
    with pytest.raises(ValueError, match=r"mask .*\(0, 4\)"):
        foreground_of(np.zeros((0, 4), bool))
    with pytest.raises(TypeError, match="mask .*float64"):
        foreground_of(np.zeros((3, 4)))


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_value_ignored_pixels_count_nowhere(dtype):
    rng = np.random.default_rng(0)
    mask = np.zeros((65, 97), bool)
    mask[20:50, 30:90] = True
    levels = np.where(mask, 200, 40) + rng.integers(-30, 31, mask.shape)
    weight = np.ones_like(mask)
    weight[:, :40] = False

    def scores(outside):
        prediction = np.where(weight, levels, outside).astype(np.uint8)
        total = Evaluator(metrics=("all",))
        kept = prediction if dtype == np.uint8 else prediction / 255
        total.update(kept, np.where(weight, mask, outside > 99), weight=weight)
        return total.compute()

    first, second = scores(0), scores(255)
    assert first == second
    cropped = Evaluator(metrics=("mae", "mse", "max_f", "mean_e", "adaptive_iou", "overall_precision"))
    kept = levels[:, 40:].astype(np.uint8)
    cropped.update(kept if dtype == np.uint8 else kept / 255, mask[:, 40:])
    for name, value in cropped.compute().items():
        assert first[name] == pytest.approx(value, abs=1e-12), name


def test_value_weights_of_one_change_no_metric():
    rng = np.random.default_rng(1)
    prediction, mask = rng.integers(0, 256, (33, 47)).astype(np.uint8), rng.random((33, 47)) > 0.6
    results = []
    for weight in (None, np.ones_like(mask)):
        total = Evaluator(metrics=("all",))
        total.update(prediction, mask, weight=weight)
        results.append(total.compute())
    assert results[0] == results[1]


def test_error_weights():
    levels, mask = np.zeros((4, 5), np.uint8), np.zeros((4, 5), bool)
    for weight, got in ((np.zeros((4, 5)), "0 to 0"), (np.full((4, 5), 0.5), "0.5"), (np.ones((4, 4)), r"\(4, 4\)")):
        with pytest.raises(ValueError, match=got):
            Pair(levels, mask, weight=weight)
