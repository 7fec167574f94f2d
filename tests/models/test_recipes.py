import pytest
import torch

from dichoseg import FusedHeads, Preprocessing, create_model, list_components
from dichoseg.decoders import DeconvDecoder
from dichoseg.encoders import TimmEncoder


@pytest.mark.parametrize("name", list_components("models"))
def test_value_every_model_answers(name):
    model = create_model(name).eval()
    channels = 1 if model.preprocessing.source == "mask" else 3
    with torch.no_grad():
        prediction = model(torch.rand(1, channels, 65, 97))
    assert prediction.logits.shape == (1, 1, 65, 97)
    assert model.recipe == {"name": name}


def test_value_parts_by_name():
    model = create_model("isnet", encoder="timm:test_resnet", decoder="deconv", decoder_args={"channels": 8})
    assert isinstance(model.encoder, TimmEncoder)
    assert isinstance(model.decoder, DeconvDecoder)
    assert model.preprocessing.std != (1.0,)
    assert isinstance(create_model("isnet_deconv").heads.heads, FusedHeads)


def test_value_published_preprocessing():
    preprocessing = create_model("isnet").preprocessing
    assert preprocessing == Preprocessing(size=1024, antialias=False, to_uint8=True, mean=(0.5,), std=(1.0,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "isnett"}, "did you mean 'isnet'"),
        ({"name": "isnet", "encodr": "rsu"}, "takes no encodr; its own arguments: encoder, decoder"),
        ({"name": "isnet", "decoder": "decov"}, "did you mean 'deconv'"),
        ({"name": "isnet", "encoder_args": {"width": 3}}, "'rsu' cannot be made from these arguments.*width"),
    ],
)
def test_error_names_and_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_model(**arguments)


def test_error_objects_belong_to_segmenter():
    with pytest.raises(TypeError, match="compose objects with Segmenter"):
        create_model("isnet", encoder=torch.nn.Identity())
