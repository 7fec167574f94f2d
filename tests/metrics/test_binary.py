import numpy as np
import pytest

from dichoseg.metrics.binary import cut_above_128, cut_at_half

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_value_level_128(dtype):
    values = (LEVELS / 255).astype(dtype)
    for prediction in (LEVELS, values):
        for normalize in (False, True):
            np.testing.assert_array_equal(cut_at_half(prediction, LEVELS, normalize=normalize)[0], LEVELS >= 128)
        np.testing.assert_array_equal(cut_above_128(prediction, LEVELS)[0], LEVELS > 128)


@pytest.mark.parametrize(("low", "high"), [(40, 200), (135, 255), (0, 3), (254, 255), (0, 255)])
def test_value_stretching_as_pixel_by_pixel(low, high):
    prediction = np.clip(LEVELS, low, high)
    values = prediction / 255
    expected = (values - values.min()) / (values.max() - values.min()) > 0.5
    for one in (prediction, values):
        np.testing.assert_array_equal(cut_at_half(one, LEVELS, normalize=True)[0], expected)


@pytest.mark.parametrize(("level", "positive"), [(0, False), (127, False), (128, True), (255, True)])
def test_value_constant_prediction_is_not_stretched(level, positive):
    prediction = np.full((3, 4), level, np.uint8)
    for one in (prediction, prediction / 255):
        assert (cut_at_half(one, prediction, normalize=True)[0] == positive).all()


@pytest.mark.parametrize("value", [False, True])
def test_value_bool_is_taken_as_it_is(value):
    prediction = np.full((3, 4), value)
    for positive, foreground in (
        cut_at_half(prediction, ~prediction, normalize=True),
        cut_above_128(prediction, ~prediction),
    ):
        np.testing.assert_array_equal(positive, prediction)
        np.testing.assert_array_equal(foreground, ~prediction)


@pytest.mark.parametrize("cut", [cut_above_128, lambda *pair: cut_at_half(*pair, normalize=True)])
def test_error_pair(cut):
    for dtype in (np.uint8, np.bool_, np.float64):
        with pytest.raises(ValueError, match=r"got \(3, 4\) and \(4, 3\)"):
            cut(np.zeros((3, 4), dtype), np.zeros((4, 3), bool))
    with pytest.raises(TypeError, match="prediction .*int64"):
        cut(np.zeros((3, 4), np.int64), np.zeros((3, 4), bool))
    with pytest.raises(ValueError, match="nan"):
        cut(np.full((3, 4), np.nan), np.zeros((3, 4), bool))
