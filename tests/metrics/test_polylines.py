import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from dichoseg.metrics.polylines import Curves, _clean_up, curves_along, simplify_curves

INSTALLED = "line" if tuple(int(part) for part in cv2.__version__.split(".")[:2]) < (4, 13) else "segment"


def slow_curves(region, where):
    """Point by point."""
    contours, _ = cv2.findContours(region, cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    visited, curves = set(), []
    for contour in contours:
        runs, open_run = [], False
        for x, y in contour[:, 0].tolist():
            if where[y, x] and (x, y) not in visited:
                visited.add((x, y))
                runs = runs if open_run else [*runs, []]
                runs[-1].append([x, y])
                open_run = True
            else:
                open_run = False
        if len(runs) > 1 and max(abs(a - b) for a, b in zip(runs[-1][-1], runs[0][0], strict=True)) == 1:
            runs = [*runs[1:-1], runs[-1] + runs[0][::-1]]
        curves += runs
    count, labels = cv2.connectedComponents(region, connectivity=8)
    return curves, count - 1 - len({labels[y, x] for x, y in visited})


def squared_distance(point, start, end, distance):
    """Times the squared length of the chord."""
    (px, py), (sx, sy), (ex, ey) = point, start, end
    length, along = (ex - sx) ** 2 + (ey - sy) ** 2, (px - sx) * (ex - sx) + (py - sy) * (ey - sy)
    if distance == "segment" and along < 0:
        return ((px - sx) ** 2 + (py - sy) ** 2) * length
    if distance == "segment" and along > length:
        return ((px - ex) ** 2 + (py - ey) ** 2) * length
    return ((px - sx) * (ey - sy) - (py - sy) * (ex - sx)) ** 2


def slow_simplified(points, epsilon, distance):
    """One curve, by recursion and then from left to right."""

    def between(start, end):
        far = [squared_distance(points[i], points[start], points[end], distance) for i in range(start + 1, end)]
        length = sum((a - b) ** 2 for a, b in zip(points[start], points[end], strict=True))
        if not far or max(far) <= epsilon**2 * length:
            return []
        middle = start + 1 + far.index(max(far))
        return [*between(start, middle), middle, *between(middle, end)]

    kept = sorted({0, *between(0, len(points) - 1), len(points) - 1})
    result, i = kept[:1], 1
    while i < len(kept):
        if i < len(kept) - 1:
            (sx, sy), (px, py), (ex, ey) = (points[kept[j]] for j in (i - 1, i, i + 1))
            near = squared_distance((px, py), (sx, sy), (ex, ey), "line") <= 0.5 * epsilon**2 * (
                (ex - sx) ** 2 + (ey - sy) ** 2
            )
            onward = (px - sx) * (ex - px) + (py - sy) * (ey - py) >= 0
            if near and onward and ex != sx and ey != sy:
                i += 1
        result.append(kept[i])
        i += 1
    return result


def as_lists(curves):
    return [part.tolist() for part in np.split(curves.points, curves.starts[1:])] if len(curves.starts) else []


def of_lists(lists):
    starts = np.cumsum([0, *(len(points) for points in lists)])[:-1]
    return Curves(np.concatenate([np.array(points, np.int64) for points in lists]), starts)


def walk(seed, steps, stride):
    """A curve of distinct points."""
    points = np.cumsum(np.random.default_rng(seed).integers(-stride, stride + 1, (steps, 2)), axis=0)
    return list(dict.fromkeys(tuple(point) for point in points.tolist()))


@st.composite
def regions(draw):
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=14))
    return tuple(draw(arrays(np.uint8, shape, elements=st.integers(0, 1))) for _ in range(2))


@settings(deadline=None, max_examples=80)
@given(regions())
def test_value_small_regions_as_slow(pair):
    curves, untouched = curves_along(*pair)
    assert (as_lists(curves), untouched) == slow_curves(*pair)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.7, 5), st.floats(0.05, 0.95))
def test_value_blobs_as_slow(seed, scale, share):
    rng = np.random.default_rng(seed)
    fields = [cv2.GaussianBlur(rng.random((65, 97)), (0, 0), scale) for _ in range(2)]
    region, where = ((field > np.quantile(field, 1 - share)).view(np.uint8) for field in fields)
    curves, untouched = curves_along(region, where)
    expected = slow_curves(region, where)
    assert (as_lists(curves), untouched) == expected
    for distance in ("line", "segment"):
        kept = simplify_curves(curves, 2.0, distance)
        counts = [int(part.sum()) for part in np.split(kept, curves.starts[1:])] if len(curves.starts) else []
        assert counts == [len(slow_simplified(points, 2.0, distance)) for points in expected[0]]


def test_value_ends_that_meet_are_joined_backwards():
    region = np.pad(np.ones((3, 3), np.uint8), 1)
    where = np.ones((5, 5), np.uint8)
    where[3, 1] = where[3, 3] = 0
    # From the top left, down the left side and around.
    expected = [[[2, 3]], [[3, 2], [3, 1], [2, 1], [1, 2], [1, 1]]]
    curves, untouched = curves_along(region, where)
    assert as_lists(curves) == expected
    assert untouched == 0


def test_value_order_of_contours():
    region = np.zeros((7, 16), np.uint8)
    region[1:6, 1:6] = region[1:3, 8:10] = region[5, 12] = 1
    region[3, 3] = 0
    curves, _ = curves_along(region, np.ones_like(region))
    starts = curves.points[curves.starts].tolist()
    # Below first; a component before its hole, whose contour is the four pixels beside it.
    assert starts == [[12, 5], [8, 1], [1, 1], [2, 3]]
    assert np.diff(curves.starts, append=len(curves.points)).tolist() == [1, 4, 16, 4]


def test_value_untouched_components():
    region = np.zeros((9, 9), np.uint8)
    region[1:8, 1:8] = 1
    region[2:7, 2:7] = 0
    region[3:6, 3:6] = 1
    region[4, 4] = 0
    where = np.zeros_like(region)
    assert curves_along(region, where)[1] == 2
    where[1, 4] = 1  # on the outside of the ring
    assert curves_along(region, where)[1] == 1
    where[1, 4], where[3, 3] = 0, 1
    assert curves_along(region, where)[1] == 1
    where[1, 4] = where[7, 7] = 1
    assert curves_along(region, where)[1] == 0


@pytest.mark.parametrize("value", [0, 1])
def test_value_degenerate_regions(value):
    region = np.full((65, 97), value, np.uint8)
    curves, untouched = curves_along(region, np.zeros_like(region))
    assert (len(curves.points), len(curves.starts), untouched) == (0, 0, value)
    assert simplify_curves(curves, 2.0, "line").shape == (0,)
    curves, untouched = curves_along(region, np.ones_like(region))
    assert (len(curves.points), untouched) == (2 * (64 + 96) * value, 0)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 6)), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.7]),
    st.sampled_from(["line", "segment"]),
)
def test_value_simplified_as_slow(walks, epsilon, distance):
    curves = [walk(*one) for one in walks]
    kept = np.split(simplify_curves(of_lists(curves), epsilon, distance), of_lists(curves).starts[1:])
    assert [np.flatnonzero(one).tolist() for one in kept] == [slow_simplified(c, epsilon, distance) for c in curves]


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1), st.integers(2, 150), st.integers(1, 6), st.sampled_from([0.5, 1.0, 2.0, 3.7]))
def test_value_simplified_as_the_installed_opencv(seed, steps, stride, epsilon):
    points = walk(seed, steps, stride)
    assume(len(points) > 1)
    expected = cv2.approxPolyDP(np.array(points, np.int32)[:, None], epsilon, False)[:, 0]
    kept = simplify_curves(of_lists([points]), epsilon, INSTALLED)
    np.testing.assert_array_equal(np.array(points)[kept], expected)


def test_value_line_and_segment_by_hand():
    hook = [(0, 0), (-5, 0), (-5, 1), (10, 1)]  # behind its beginning, and near the line through its ends
    assert simplify_curves(of_lists([hook]), 2.0, "line").tolist() == [True, False, False, True]
    assert simplify_curves(of_lists([hook]), 2.0, "segment").tolist() == [True, False, True, True]


def test_value_clean_up_by_hand():
    x, y = np.array([0, 3, 6, 9, 12, 15]), np.array([0, 1, 2, 3, 4, 5])
    every, starts = np.ones(6, bool), np.array([0])
    # After a point has gone, the next is taken over without a look.
    assert _clean_up(x, y, every, starts, 2.0).tolist() == [True, False, True, False, True, True]
    assert _clean_up(x[:5], y[:5], every[:5], starts, 2.0).tolist() == [True, False, True, False, True]
    assert _clean_up(x, y, every, np.array([0, 3]), 2.0).tolist() == [True, False, True, True, False, True]
    assert _clean_up(x, 0 * y, every, starts, 2.0).all()  # only oblique chords
    assert _clean_up(y, x, every, starts, 0.0).tolist() == [True, False, True, False, True, True]


def test_value_short_curves_keep_their_ends():
    curves = of_lists([[(3, 4)], [(0, 0), (1, 1)], [(9, 9)]])
    assert simplify_curves(curves, 2.0, "line").all()


def test_value_coordinates_may_be_large():
    points = [(0, 0), (15000, 1), (30000, 30000)]
    assert simplify_curves(of_lists([points]), 2.0, "line").all()
    assert simplify_curves(of_lists([points]), 2.0, "segment").all()
