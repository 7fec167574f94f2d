import json
from pathlib import Path

import numpy as np
import pytest

from dichoseg.metrics.correction import HCE, hce
from dichoseg.metrics.thinning import skeleton

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
EXPECTED = json.loads((GOLDEN / "corrections.json").read_text())
FULL = "s32_gt1_pred0"  # where the authors' code, which gave the parts, misses the region that fills the image


def pair(name):
    pairs = np.load(GOLDEN / "pairs.npz")
    return pairs[f"{name}/prediction"], pairs[f"{name}/mask"]


def area(rows, columns, shape=(60, 60)):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


SQUARE = area(slice(20, 40), slice(20, 40))
NOTHING = np.zeros((60, 60), bool)


@pytest.mark.parametrize("simplify", ["line", "segment"])
@pytest.mark.parametrize("name", EXPECTED)
def test_value_reference(name, simplify):
    prediction, mask = pair(name)
    expected = EXPECTED[name][simplify]
    thin = skeleton(mask)
    for one in (prediction, prediction / 255):
        effort = hce(one, mask, simplify=simplify)
        assert effort.total == expected["total"]
        assert hce(one, mask, normalize=False, simplify=simplify).total == expected["total_as_it_is"]
    assert hce(prediction, mask, simplify=simplify, skeleton=thin) == effort
    of_authors = hce(prediction > 128, mask, simplify=simplify)
    if name == FULL:
        assert effort == of_authors == HCE(0, 0, 0, 1)
    else:
        assert list(effort) == expected["parts"]
        assert list(of_authors) == expected["dis"]


def test_value_missed_square():
    # It is cut back to an octagon. That is open between the ninth and the first pixel of its top side.
    assert hce(NOTHING, SQUARE) == HCE(points_fp=0, regions_fp=0, points_fn=9, regions_fn=0)


def test_value_false_square():
    assert hce(SQUARE, NOTHING) == HCE(points_fp=0, regions_fp=1, points_fn=0, regions_fn=0)
    assert hce(SQUARE | area(slice(2, 14), slice(2, 14)), NOTHING).total == 2


def test_value_hole_that_reaches_no_background():
    assert hce(~SQUARE, ~NOTHING) == HCE(points_fp=0, regions_fp=0, points_fn=0, regions_fn=1)


def test_value_missed_line():
    # Erosion forgives it, the skeleton does not. Its two ends draw it.
    assert hce(NOTHING, area(30, slice(20, 40))) == HCE(0, 0, 2, 0)
    assert hce(area(30, slice(20, 40)), NOTHING) == HCE(0, 0, 0, 0)


def test_value_within_the_tolerance():
    wide, wider = area(slice(16, 44), slice(16, 44)), area(slice(4, 40), slice(20, 40))
    assert hce(wide, SQUARE).total == 0
    assert hce(SQUARE, wide).total == 0
    assert hce(wide, SQUARE, tolerance=1).points_fp > 0
    assert hce(wider, SQUARE).points_fp > 0
    assert hce(wider, SQUARE, tolerance=11).total == 0


def test_value_without_tolerance_by_hand():
    one = SQUARE | area(30, 40)
    assert hce(one, SQUARE, tolerance=0) == HCE(1, 0, 0, 0)
    assert hce(SQUARE, one, tolerance=0) == HCE(0, 0, 1, 0)
    assert hce(SQUARE | area(50, 50), SQUARE, tolerance=0) == HCE(0, 1, 0, 0)


def test_value_false_beside_missed_by_hand():
    beside = area(slice(20, 40), slice(40, 60))
    # Too much: one straight line. Too little: the three sides towards the background, in two runs; the second ends
    # where the first begins, so they are one curve with a leap across: right, left, bottom right, bottom left, left.
    assert hce(beside, SQUARE, tolerance=0) == HCE(2, 0, 5, 0)


def test_value_epsilon():
    prediction, mask = pair("ex_19")
    assert hce(prediction, mask, epsilon=8).total < hce(prediction, mask).total < hce(prediction, mask, epsilon=0).total


@pytest.mark.parametrize("shape", [(65, 97), (1, 1), (1, 7), (2, 2)])
def test_value_degenerate_masks(shape):
    empty = np.zeros(shape, bool)
    for mask in (empty, ~empty):
        assert hce(mask, mask) == HCE(0, 0, 0, 0)
    assert hce(~empty, empty) == HCE(0, 1, 0, 0)
    assert hce(empty, ~empty) == HCE(0, 0, 0, 1)


def test_value_one_pixel():
    pixel = area(64, 96, (65, 97))
    assert hce(pixel, pixel).total == 0
    assert hce(~pixel & pixel, pixel) == HCE(0, 0, 1, 0)


def test_value_inputs_are_not_changed():
    prediction, mask = pair("ex_0001")
    foreground, thin = mask > 128, skeleton(mask)
    copies = prediction.copy(), mask.copy(), foreground.copy(), thin.copy()
    first = hce(prediction[:, ::-1], foreground[:, ::-1])
    assert first == hce(prediction[:, ::-1].copy(), mask[:, ::-1].copy())
    hce(prediction, mask, skeleton=thin)
    for ours, copy in zip((prediction, mask, foreground, thin), copies, strict=True):
        np.testing.assert_array_equal(ours, copy)


def test_value_skeleton_may_be_a_mask_of_levels():
    prediction, mask = pair("s12_lines_gaps")
    thin = skeleton(mask)
    assert hce(prediction, mask, skeleton=thin * np.uint8(255)) == hce(prediction, mask)


def test_value_total_is_the_sum():
    assert HCE(1, 2, 3, 4).total == 10
    assert type(hce(NOTHING, SQUARE).total) is int


def test_error_options():
    for name, value in (("simplify", "chord"), ("tolerance", -1), ("epsilon", -2)):
        with pytest.raises(ValueError, match=f"{name} .*{value}"):
            hce(SQUARE, SQUARE, **{name: value})


def test_error_skeleton():
    with pytest.raises(ValueError, match=r"\(60,59\) \(60,60\)"):
        hce(SQUARE, SQUARE, skeleton=SQUARE[:, 1:])
    with pytest.raises(TypeError, match="uint8 or bool; got float64"):
        hce(SQUARE, SQUARE, skeleton=np.zeros((60, 60)))


def test_error_sizes():
    with pytest.raises(ValueError, match=r"of the same size; got \(60, 60\) and \(60, 59\)"):
        hce(SQUARE, SQUARE[:, 1:])
