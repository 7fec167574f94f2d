import logging

import numpy as np
import pytest
import torch

from dichoseg import GTEncoder, Preprocessing
from dichoseg.export.network import (
    TOOLS,
    FinalMap,
    InTool,
    Reference,
    compute_references,
    largest_difference,
    prepare_export,
)

from .conftest import IMAGENET, Gray, at


@pytest.mark.parametrize("preset", TOOLS)
@pytest.mark.parametrize(
    "own",
    [
        Preprocessing(),
        Preprocessing(**IMAGENET),
        Preprocessing(scale="byte", channel_order="bgr", mean=(104.0, 117.0, 123.0), std=(1.0, 2.0, 4.0)),
        Preprocessing(scale="image_max", channel_order="bgr", **IMAGENET),
    ],
)
def test_value_a_tools_preprocessing_gives_way_to_the_networks(own, preset):
    seen = []
    network = Gray()
    network.preprocessing = own
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    photograph = torch.rand(1, 3, 65, 97, generator=torch.Generator().manual_seed(0))
    photograph[0, 1, 3, 4] = 1.0  # brightest of all, so that the tool's division changes nothing
    tool = TOOLS[preset]
    module = InTool(FinalMap(at(network, tool.size)), tool)
    module(tool.normalize(photograph))
    wanted = own.normalize(photograph)
    torch.testing.assert_close(seen[0], wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def test_value_nothing_is_computed_where_tool_and_network_agree():
    module = InTool(FinalMap(Gray()), TOOLS["rembg-dis"])
    assert not module.normalizes
    assert not module.swaps_channels


@pytest.mark.parametrize("inner", [64, 100, 320, 640, None])
def test_shape_a_network_in_a_tool_runs_at_its_own_size(inner):
    seen = []
    network = at(Gray(), inner)
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    tool = TOOLS["rembg-u2net"]
    image = torch.rand(1, 3, 320, 320, generator=torch.Generator().manual_seed(0))
    assert InTool(FinalMap(network), tool)(image).shape == (1, 1, 320, 320)
    assert seen == [(1, 3, inner or 320, inner or 320)]


def test_value_no_pixel_is_passed_over_when_a_network_is_smaller():
    image = torch.zeros(1, 3, 320, 320)
    image[..., 2, 2] = 25.0
    network = at(Gray(), 64)
    torch.nn.init.ones_(network.conv.weight)
    torch.nn.init.zeros_(network.conv.bias)
    network.preprocessing = Preprocessing(size=64, **IMAGENET)
    with torch.no_grad():
        probability = InTool(FinalMap(network), TOOLS["rembg-u2net"])(image)
    assert float(probability[0, 0, 2, 2]) == pytest.approx(torch.tensor(3.0).sigmoid().item())  # 3 channels of 25 / 25


def test_value_the_callers_model_stays_as_it_is(isnet):
    isnet.train()
    before = {key: value.clone() for key, value in isnet.state_dict().items()}
    export = prepare_export(isnet, size=np.int64(32))
    compute_references(export, [(1, 32, 32)])
    assert isnet.training
    assert isnet.preprocessing.size == 64
    assert export.preprocessing.size == 32
    assert all(parameter.requires_grad for parameter in isnet.parameters())
    assert all(torch.equal(value, before[key]) for key, value in isnet.state_dict().items())


def test_value_half_precision_is_raised(isnet):
    export = prepare_export(isnet.half())
    assert compute_references(export, [(1, 64, 64)])[0].probability.dtype == torch.float32
    assert isnet.heads.sides[0].weight.dtype == torch.float16


def test_value_a_policy_that_the_tool_lacks_is_logged(caplog):
    model = Gray()
    model.preprocessing = Preprocessing(size=64, resize_policy="letterbox")
    with caplog.at_level(logging.WARNING):
        prepare_export(model)
        assert caplog.text == ""
        prepare_export(model, preset="rembg-dis")
    assert "rembg-dis stretches photographs to a square; the model was made for letterbox" in caplog.text


def test_value_references_are_pictures():
    export = prepare_export(Gray())
    image, probability = compute_references(export, [(2, 65, 97)])[0]
    assert image.shape == (2, 3, 65, 97)
    assert probability.shape == (2, 1, 65, 97)
    assert image.std() > 0.05


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (torch.full((1, 1, 65, 97), 0.6), "65 by 97.*differ by 0.1, more"),
        (torch.full((1, 1, 65, 97), torch.nan), "differ by nan"),
        (torch.full((1, 1, 64, 64), 0.5), "differ by inf"),
    ],
)
def test_error_a_file_that_differs(found, says):
    wanted = [Reference(torch.zeros(1, 3, 65, 97), torch.full((1, 1, 65, 97), 0.5))]
    assert largest_difference(lambda image: wanted[0].probability + 5e-4, wanted) == pytest.approx(5e-4, rel=1e-3)
    with pytest.raises(RuntimeError, match=says):
        largest_difference(lambda image: found, wanted)
    with pytest.raises(RuntimeError, match="without half"):
        largest_difference(lambda image: found, wanted, suspect="half")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"preset": "rembg"}, ValueError, "preset.*'rembg'"),
        ({"size": 0}, ValueError, "size.*0"),
        ({"size": 2.5}, TypeError, r"size.*2\.5"),
    ],
)
def test_error_options(small_isnet, options, error, match):
    with pytest.raises(error, match=match):
        prepare_export(small_isnet, **options)


def test_error_models_that_cannot_be_exported(small_isnet):
    with pytest.raises(TypeError, match="Conv2d"):
        prepare_export(torch.nn.Conv2d(3, 1, 1))
    with pytest.raises(ValueError, match="GT encoder"):
        prepare_export(GTEncoder.like(small_isnet))


def test_error_a_size_that_the_model_does_not_take():
    export = prepare_export(Gray(sides=(64,)))
    with pytest.raises(ValueError, match="65 by 97.*the side must be one of"):
        compute_references(export, [(1, 64, 64), (1, 65, 97)])
