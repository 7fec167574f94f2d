import numpy as np
import pytest

from dichoseg.scenes.canvas import bezier, blank, circle, fill, ring, strokes


def test_value_lines_and_areas():
    canvas = blank(100)
    assert canvas.shape == (100, 100)
    assert not canvas.any()
    fill(canvas, [circle((0.5, 0.5), 0.3)])
    assert (canvas > 0).mean() == pytest.approx(np.pi * 0.3**2, rel=0.05)
    assert canvas[50, 50] == 255
    fill(canvas, [circle((0.5, 0.5), 0.1)], value=0)
    assert canvas[50, 50] == 0
    line = blank(100)
    strokes(line, [np.array([[0.1, 0.5], [0.9, 0.5]])], 0.05)
    rows, columns = np.nonzero(line)
    assert 47 <= rows.min() < 50 < rows.max() <= 53
    assert columns.min() <= 10
    assert columns.max() >= 90


def test_value_points_of_many():
    starts = np.zeros((3, 2))
    curves = bezier(starts, starts + [0, 1], starts + [1, 1], steps=5)
    assert curves.shape == (3, 5, 2)
    assert np.allclose(curves[1, [0, 2, 4]], [[0, 0], [0.25, 0.75], [1, 1]])
    assert np.allclose(ring((0.5, 0.5), [0.1, 0.2], np.array([0, np.pi / 2])), [[0.6, 0.5], [0.5, 0.7]])
    assert np.allclose(circle((0, 0), 1, stretch=0.5)[12], [0, 0.5])
