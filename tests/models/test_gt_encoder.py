import torch

from dichoseg import GTEncoder, Segmenter, create_model
from dichoseg.decoders import RSUDecoder
from dichoseg.encoders import TimmEncoder


def test_value_like_isnet_is_the_published_one():
    ours, published = GTEncoder.like(create_model("isnet")), create_model("isnet_gt_encoder")
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in published.state_dict().items()}
    assert ours.preprocessing == published.preprocessing
    assert ours.preprocessing.source == "mask"


def test_shape_like_any_model():
    timm = TimmEncoder("test_convnext")
    models = (create_model("isnet", decoder="deconv"), Segmenter(timm, RSUDecoder(timm.feature_info)))
    for model in models:
        gt_encoder = GTEncoder.like(model).eval()
        assert gt_encoder.feature_info == model.feature_info
        mask = torch.rand(1, 1, 65, 97)
        prediction = gt_encoder(mask)
        assert prediction.logits.shape == mask.shape
        assert [f.shape[1] for f in prediction.features] == list(model.feature_info.channels)
        assert torch.equal(gt_encoder.logits(mask), prediction.logits)
