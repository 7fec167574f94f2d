from functools import partial

import numpy as np
import pytest
import torch

from dichoseg.metrics.binary import cut_above_128, cut_at_half, foreground_of

LEVELS = np.arange(256, dtype=np.uint8).reshape(16, 16)


def test_value_foreground_is_above_128():
    np.testing.assert_array_equal(foreground_of(LEVELS), LEVELS > 128)
    np.testing.assert_array_equal(foreground_of(LEVELS[::2, ::-3] > 7), LEVELS[::2, ::-3] > 7)
    assert foreground_of(LEVELS[:, ::2]).flags.c_contiguous


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


def test_error_foreground():
    with pytest.raises(ValueError, match=r"one \(H, W\) array with pixels; got shape \(2, 3, 4\)"):
        foreground_of(np.zeros((2, 3, 4), bool))
    with pytest.raises(ValueError, match=r"got shape \(0, 4\)"):
        foreground_of(np.zeros((0, 4), bool))
    with pytest.raises(TypeError, match="uint8 or bool; got float64"):
        foreground_of(np.zeros((3, 4)))


@pytest.mark.parametrize("cut", [cut_above_128, lambda *pair: cut_at_half(*pair, normalize=True)])
def test_error_pair(cut):
    for dtype in (np.uint8, np.bool_, np.float64):
        with pytest.raises(ValueError, match=r"of the same size; got \(3, 4\) and \(4, 3\)"):
            cut(np.zeros((3, 4), dtype), np.zeros((4, 3), bool))
    with pytest.raises(TypeError, match="prediction must be uint8 or float; got int64"):
        cut(np.zeros((3, 4), np.int64), np.zeros((3, 4), bool))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        cut(np.full((3, 4), np.nan), np.zeros((3, 4), bool))


@pytest.mark.parametrize("cut", [cut_above_128, partial(cut_at_half, normalize=True)])
def test_error_what_is_no_array(cut):
    for prediction in (LEVELS.tolist(), torch.from_numpy(LEVELS)):
        with pytest.raises(TypeError, match=r"prediction must be a NumPy array \(H, W\); got (list|Tensor)"):
            cut(prediction, LEVELS)
    with pytest.raises(TypeError, match=r"mask must be a NumPy array \(H, W\); got Tensor"):
        cut(LEVELS, torch.from_numpy(LEVELS))
    with pytest.raises(TypeError, match=r"mask must be a NumPy array \(H, W\); got list"):
        foreground_of(LEVELS.tolist())
