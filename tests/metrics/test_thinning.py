import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from dichoseg.metrics.thinning import BOTH, FIRST, SECOND, skeleton

AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def slow_skeleton(mask):
    """All pixels in every pass."""
    image = np.pad(mask, 1).astype(int)
    idle, passes = 0, 0
    while idle < 2:
        goes = (FIRST, SECOND)[passes % 2] + BOTH
        code = sum(np.roll(image, (-row, -column), (0, 1)) << bit for bit, (row, column) in enumerate(AROUND))
        gone = (image == 1) & np.isin(code, goes)
        image[gone] = 0
        passes += 1
        idle = 0 if gone.any() else idle + 1
    return image[1:-1, 1:-1].astype(bool)


def blobs(seed, scale, share):
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.random((65, 97)), (0, 0), scale)
    return field > np.quantile(field, 1 - share)


@settings(deadline=None, max_examples=60)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_value_small_masks_as_slow(mask):
    np.testing.assert_array_equal(skeleton(mask), slow_skeleton(mask))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 8), st.floats(0.05, 1))
def test_value_blobs_as_slow(seed, scale, share):
    mask = blobs(seed, scale, share)
    thinned = skeleton(mask)
    np.testing.assert_array_equal(thinned, slow_skeleton(mask))
    assert not (thinned & ~mask).any()
    assert cv2.connectedComponents(thinned.view(np.uint8))[0] == cv2.connectedComponents(mask.view(np.uint8))[0]


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 5))
def test_value_place_in_the_image_does_not_matter(seed, row, column):
    mask = blobs(seed, 3, 0.4)
    around = ((row, 5 - row), (column, 5 - column))
    np.testing.assert_array_equal(skeleton(np.pad(mask, around)), np.pad(skeleton(mask), around))


def test_value_by_hand():
    line = np.zeros((5, 9), bool)
    line[2, 1:8] = True
    np.testing.assert_array_equal(skeleton(line), line)
    bar = np.zeros((5, 20), bool)
    bar[1:4, 2:18] = True
    thinned = skeleton(bar)
    assert thinned[2, 4:16].all()
    assert thinned.sum(axis=0).max() == 1
    assert not thinned[[0, 4]].any()


def textbook(code):
    """Whether the published rules remove the middle pixel in the first and in the second pass."""
    north_west, *ring = (code >> bit & 1 for bit in range(8))
    ring.append(north_west)  # from north on, clockwise
    north, east, south, west = ring[::2]
    steps = sum(before < after for before, after in zip(ring, ring[1:] + ring[:1], strict=True))
    if not 2 <= sum(ring) <= 6 or steps != 1:
        return False, False
    return not east * south * (north + west), not north * west * (east + south)


def test_value_table():
    ours = {code: (code in FIRST + BOTH, code in SECOND + BOTH) for code in range(256)}
    assert len(FIRST + SECOND + BOTH) == len({*FIRST, *SECOND, *BOTH}) == sum(any(passes) for passes in ours.values())
    assert sum(passes != textbook(code) for code, passes in ours.items()) == 25


def test_value_degenerate_masks():
    empty = np.zeros((65, 97), bool)
    assert not skeleton(empty).any()
    pixel = empty.copy()
    pixel[64, 96] = True
    np.testing.assert_array_equal(skeleton(pixel), pixel)
    np.testing.assert_array_equal(skeleton(~empty), slow_skeleton(~empty))
    assert skeleton(np.ones((1, 1), bool)).all()


def test_value_mask_of_levels():
    levels = np.where(blobs(0, 3, 0.4), 129, 128).astype(np.uint8)
    np.testing.assert_array_equal(skeleton(levels), slow_skeleton(levels > 128))
    np.testing.assert_array_equal(skeleton(levels[:, ::-1]), slow_skeleton(levels[:, ::-1] > 128))


def test_error_mask():
    with pytest.raises(TypeError, match="mask must be uint8 or bool; got float32"):
        skeleton(np.zeros((3, 4), np.float32))
