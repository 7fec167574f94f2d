import pytest
import torch

from dichoseg import FusedHeads, Preprocessing, Segmenter, create_model
from dichoseg.decoders import DeconvDecoder
from dichoseg.encoders import RSUEncoder


@pytest.mark.parametrize("size", [(33, 33), (65, 97), (64, 128)])
@pytest.mark.parametrize("decoder", ["rsu", "deconv"])
def test_shape_any_size(size, decoder):
    model = create_model("isnet", decoder=decoder).eval()
    with torch.no_grad():
        prediction = model(torch.rand(1, 3, *size))
    assert prediction.logits.shape == (1, 1, *size)
    assert [feature.shape[1] for feature in prediction.features] == list(model.feature_info.channels)


def test_value_logits_and_features_skip_work_not_numbers(small_isnet):
    model = small_isnet.eval()
    image = torch.rand(2, 3, 65, 97)
    calls = []
    for side in model.heads.sides[1:]:
        side.register_forward_hook(lambda *_: calls.append(1))
    prediction = model(image)
    assert len(calls) == 2
    assert torch.equal(model.logits(image), prediction.logits)
    for one, other in zip(model.features(image), prediction.features, strict=True):
        assert torch.equal(one, other)
    assert len(calls) == 2, "side heads ran for the answer alone"


def test_value_default_heads_may_be_a_function():
    class Plain(DeconvDecoder):
        def default_heads(feature_info):
            return FusedHeads(feature_info)

    encoder = RSUEncoder(channels=(4, 8), mid_channels=(2, 4), strides=(2, 4), stem_channels=4)
    assert isinstance(Segmenter(encoder, Plain(encoder.feature_info)).heads, FusedHeads)


def test_value_composed_of_objects():
    encoder = RSUEncoder(channels=(4, 8), mid_channels=(2, 4), strides=(2, 4), stem_channels=4)
    decoder = DeconvDecoder(encoder.feature_info)
    model = Segmenter(encoder, decoder, FusedHeads(decoder.feature_info), preprocessing=Preprocessing(size=64))
    assert model.recipe is None
    assert model.preprocessing.size == 64
    assert len(model(torch.rand(2, 3, 65, 97)).side_logits) == 2
