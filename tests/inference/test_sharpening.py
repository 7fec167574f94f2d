import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dichoseg import Predictor, Preprocessing, create_model, predict
from dichoseg.inference.sharpening import count_views, sharpened

SIZE = 64


@pytest.fixture
def scene():
    """A comb of thin teeth on a block, 256 pixels, with the map that a network of 64 pixels could give."""
    truth = torch.zeros(1, 1, 256, 256)
    truth[..., 96:192, 64:192] = 1
    truth[..., 84:96, 66:192:4] = 1
    coarse = F.interpolate(F.interpolate(truth, (SIZE, SIZE), mode="area"), (256, 256), mode="bilinear")
    return truth, coarse


def test_value_views_that_agree_bring_detail(scene):
    truth, coarse = scene
    result = sharpened(truth, coarse, lambda view: view, size=(SIZE, SIZE))
    error, error_before = (float((answer - truth).abs().mean()) for answer in (result, coarse))
    assert error < 0.5 * error_before
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_value_views_that_see_no_object_are_not_believed(scene, answer):
    truth, coarse = scene
    result = sharpened(truth, coarse, lambda view: torch.full_like(view, answer), size=(SIZE, SIZE))
    assert torch.equal(result, coarse)


def test_value_far_from_the_border_nothing_changes(scene):
    truth, coarse = scene
    noisy = truth.clone()
    noisy[..., 140:150, 120:130] = 0  # inside of the block
    noisy[..., 20:30, 20:30] = 1  # outside
    result = sharpened(noisy, coarse, lambda view: view, size=(SIZE, SIZE))
    assert torch.equal(result[..., 130:160, 110:140], coarse[..., 130:160, 110:140])
    assert torch.equal(result[..., :40, :40], coarse[..., :40, :40])


def test_value_views_leave_no_seam():
    """Each view says 0.16 more or less than the one before; next to each other, pixels change almost alike."""
    ramp = (torch.linspace(-40, 40, 256).view(1, 1, 1, 256) + torch.zeros(1, 1, 256, 1)).sigmoid()
    offsets = itertools.cycle([0.08, -0.08])
    result = sharpened(ramp, ramp, lambda view: (view + next(offsets)).clamp(0, 1), size=(SIZE, SIZE))
    assert (result - ramp).abs().max() > 0.05, "views changed it"
    assert (result - ramp).diff(dim=2).abs().max() < 0.04


def test_value_views_only_where_the_border_is(scene):
    truth, _ = scene
    corner = torch.zeros_like(truth)
    corner[..., :20, :20] = 1
    seen = []

    def look(view):
        seen.append(view.shape)
        return view

    sharpened(corner, corner, look, size=(SIZE, SIZE))
    assert seen == [(1, 1, SIZE, SIZE)]
    nothing = torch.zeros_like(truth)
    assert torch.equal(sharpened(nothing, nothing, look, size=(SIZE, SIZE)), nothing)
    assert len(seen) == 1


@pytest.mark.parametrize("shape", [(40, 300), (300, 20), (97, 131), (1, 500), (64, 96)])
def test_shape_strips_and_odd_sizes(small_isnet, shape):
    result = Predictor(small_isnet, sharpen=True)(torch.rand(3, *shape))
    assert result.shape == shape
    assert np.isfinite(result).all()


def test_value_in_the_predictor(small_isnet):
    image = torch.rand(3, 200, 240)
    plain = predict(image, small_isnet)
    small = torch.rand(3, 80, 90)
    sharp = Predictor(small_isnet, precision="float32", sharpen=True)
    assert np.array_equal(sharp(small), Predictor(small_isnet, precision="float32")(small)), "not much larger"
    views = []
    predict_whole = sharp._predict_whole
    sharp._predict_whole = lambda view: views.append(tuple(view.shape)) or predict_whole(view)
    result = sharp(image)
    assert views[0] == (1, 3, 200, 240)
    assert set(views[1:]) <= {(1, 3, 64, 64)}
    assert result.shape == plain.shape


def test_error_model_without_a_size(small_isnet):
    small_isnet.preprocessing = Preprocessing(size=None)
    with pytest.raises(ValueError, match="size=None"):
        Predictor(small_isnet, sharpen=True)
    with pytest.raises(ValueError, match="source='mask'"):
        Predictor(create_model("isnet_gt_encoder"), sharpen=True)


def test_value_views_everywhere_find_thin_structures(scene):
    truth, coarse = scene
    truth = truth.clone()
    truth[..., 20:84, 128] = 1  # a hair that the first map has lost
    near, everywhere = (
        sharpened(truth, coarse, lambda view: view, size=(SIZE, SIZE), everywhere=wanted) for wanted in (False, True)
    )
    assert near[0, 0, 40, 128] == coarse[0, 0, 40, 128]
    assert everywhere[0, 0, 40, 128] > 0.5


def test_value_count_views():
    assert count_views(64, 64, (64, 64)) == 1
    assert count_views(65, 161, (64, 64)) == 2 * 4  # a view more for each 48 pixels
