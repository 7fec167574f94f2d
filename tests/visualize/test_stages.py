import numpy as np
import pytest
import torch

from dichoseg import FusedHeads, GTEncoder, Prediction, Preprocessing, RefinedHeads, Segmenter, create_model
from dichoseg.contracts import Model
from dichoseg.decoders import DeconvEnlarger, EdgeGuidedDecoder, RSUDecoder
from dichoseg.encoders import RSUEncoder
from dichoseg.visualize import side_outputs
from dichoseg.visualize.stages import (
    _draw_side_logits,
    _inputs_and_predictions,
    _label,
    _principal_components,
    _run,
)

SMALL = {"channels": [8, 8, 16], "mid_channels": [4, 4, 8], "strides": [2, 4, 8], "stem_channels": 8}
IMAGE = torch.rand(3, 65, 97, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def published():
    """The published deconv network, small: enlargement behind the features, fused heads."""
    encoder = RSUEncoder(channels=(8, 8, 16), mid_channels=(4, 4, 8), strides=(2, 4, 8), stem_channels=8)
    decoder = RSUDecoder(encoder.feature_info)
    enlarger = DeconvEnlarger(decoder.feature_info, channels=8)
    heads = RefinedHeads(enlarger, FusedHeads(enlarger.feature_info))
    return Segmenter(encoder, decoder, heads, preprocessing=Preprocessing(size=64))


@pytest.fixture
def deconv():
    return create_model(
        "isnet",
        encoder_args=SMALL,
        decoder="deconv",
        decoder_args={"channels": 8},
        preprocessing=Preprocessing(size=64),
    )


def sizes(features):
    return [tuple(feature.shape[1:]) for feature in features]


def test_value_before_and_after_enlargement(deconv, published):
    raw = [(8, 32, 32), (8, 16, 16), (16, 8, 8)]
    large = [(8, 32, 32), (8, 16, 16), (8, 16, 16)]
    for model in (deconv, published):
        features = _run(model, IMAGE, None).features
        assert list(features) == ["features before enlargement", "features after enlargement"]
        assert sizes(features["features before enlargement"]) == raw
        assert sizes(features["features after enlargement"]) == large
    normalized = published.preprocessing.normalize(published.preprocessing.resize(IMAGE[None]))
    own = published.eval().features(normalized)
    for seen, expected in zip(_run(published, IMAGE, None).features["features before enlargement"], own, strict=True):
        assert torch.equal(seen, expected), "what intermediate supervision sees"


def test_value_without_enlargement(small_isnet):
    view = _run(small_isnet, IMAGE, None)
    assert {kind: sizes(features) for kind, features in view.features.items()} == {
        "features": [(8, 32, 32), (8, 16, 16), (16, 8, 8)]
    }


def test_value_names_of_side_outputs(small_isnet, deconv, published):
    names = {
        small_isnet: ["stage 1, final\n64x64", "stage 2\n16x16", "stage 3\n8x8"],
        deconv: ["stage 1, final\n64x64", "stage 2\n16x16", "stage 3\n16x16"],
        published: ["stage 1\n32x32", "stage 2\n16x16", "stage 3\n16x16"],
    }
    for model, expected in names.items():
        assert list(_draw_side_logits(_run(model, IMAGE, None))) == expected


def test_value_side_outputs_that_are_no_stages():
    encoder = RSUEncoder(channels=(8, 8, 16), mid_channels=(4, 4, 8), strides=(2, 4, 8), stem_channels=8)
    decoder = EdgeGuidedDecoder(encoder.feature_info, channels=(8, 8, 8))
    view = _run(Segmenter(encoder, decoder, preprocessing=Preprocessing(size=64)), IMAGE, None)
    assert list(_draw_side_logits(view)) == [f"side output {index}\n64x64" for index in (1, 2, 3, 4)]
    assert list(_inputs_and_predictions({"": view})) == ["image\n64x64", "prediction\n64x64", "predicted edges\n64x64"]


def test_value_edge_error():
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 8:] = 1
    right = 40 * (mask - 0.5)
    assert _label("map", right, mask) == "map\n16x16, edge error 0.00"
    assert _label("map", -right, mask) == "map\n16x16, edge error 1.00"
    assert _label("map", torch.zeros(1, 1, 4, 4), mask) == "map\n4x4, edge error 0.50"
    assert _label("map", torch.zeros(1, 1, 4, 4), 0.6 * mask + 0.2) == "map\n4x4, edge error 0.50", "soft masks are cut"
    assert _label("map", right, torch.zeros_like(mask)) == "map\n16x16, no edge"


def test_shape_sheet(small_isnet, deconv):
    mask = torch.zeros(1, 65, 97)
    mask[:, 20:40, 30:60] = 1
    one = side_outputs(small_isnet, IMAGE, mask, tile=64)
    row = 22 + 46 + 72  # caption, two lines of names, tile
    assert one.size == (8 + 3 * 72, 3 * row)
    both = side_outputs({"plain": small_isnet, "deconv": deconv}, IMAGE, mask, tile=64)
    assert both.size == (8 + 4 * 72, 6 * row)
    shown = np.array(both)[68 : 68 + 64, 80 : 80 + 64, 0] > 127
    assert shown.mean() == pytest.approx(float(mask.mean()), abs=0.02), "the mask"


def test_value_maps_are_drawn_pixel_by_pixel(small_isnet):
    sheet = np.array(side_outputs(small_isnet, IMAGE, tile=64))
    row = 22 + 46 + 72
    coarsest = sheet[2 * row + 68 : 2 * row + 132, 8 + 2 * 72 : 8 + 2 * 72 + 64]
    blocks = coarsest.reshape(8, 8, 8, 8, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    levels = _run(small_isnet, IMAGE, None).side_logits[-1].sigmoid()[0, 0].numpy()
    assert blocks[:, 0, :, 0, 0] == pytest.approx(255 * levels, abs=1)


def test_value_models_stay_as_they_are(deconv):
    deconv.train()
    deconv.encoder.eval()
    before = {name: value.clone() for name, value in deconv.state_dict().items()}
    side_outputs(deconv, IMAGE)
    assert deconv.training
    assert not deconv.encoder.training
    assert all(torch.equal(value, before[name]) for name, value in deconv.state_dict().items())
    assert not any(module._forward_hooks for module in deconv.modules())


def test_value_principal_components():
    columns = torch.linspace(-1, 1, 12).expand(8, -1)
    feature = torch.stack([3 * columns, -columns, torch.zeros(8, 12), torch.zeros(8, 12)])[None]
    for logits in (20 * columns, -20 * columns):
        picture = _principal_components(feature, logits[None, None])
        assert picture.shape == (8, 12, 3)
        brightest = picture[:, :, 0].argmax(axis=1)
        assert (brightest == (11 if logits[0, -1] > 0 else 0)).sum() >= 7, "brighter where the prediction is foreground"
        assert picture.min() == 0
        assert picture[..., 0].max() == 1
    assert _principal_components(torch.ones(1, 1, 3, 5), torch.zeros(1, 1, 9, 15)).shape == (3, 5, 3)
    large = torch.rand(1, 2, 600, 700, generator=torch.Generator().manual_seed(0))
    assert _principal_components(large, torch.zeros(1, 1, 8, 8)).shape == (512, 512, 3)


def test_value_networks_that_take_masks(small_isnet):
    supervisor = GTEncoder.like(small_isnet)
    mask = torch.zeros(1, 65, 97)
    mask[:, 20:40, 30:60] = 1
    assert side_outputs(supervisor, IMAGE, mask, tile=32).height == 3 * (22 + 46 + 40)
    with pytest.raises(ValueError, match="mask"):
        side_outputs(supervisor, IMAGE)


def test_value_a_model_without_features():
    class Mean(Model):
        preprocessing = Preprocessing(size=32)

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, image):
            return Prediction(image.mean(dim=1, keepdim=True) * self.scale)

    assert side_outputs(Mean(), IMAGE, tile=32).size == (8 + 2 * 40, 22 + 46 + 40)


def test_error_models_and_shapes(small_isnet):
    with pytest.raises(ValueError, match="one model or more"):
        side_outputs({}, IMAGE)
    with pytest.raises(TypeError, match="str"):
        side_outputs({"a": "isnet"}, IMAGE)
    with pytest.raises(ValueError, match=r"image.*\(1, 3, 65, 97\)"):
        side_outputs(small_isnet, IMAGE[None])
    with pytest.raises(ValueError, match=r"mask.*\(3, 65, 97\)"):
        side_outputs(small_isnet, IMAGE, IMAGE)
