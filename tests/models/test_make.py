import pytest
import torch

from dichoseg import FusedHeads, Preprocessing, create_model, list_components
from dichoseg.decoders import DeconvDecoder, EdgeGuidedDecoder
from dichoseg.encoders import TimmEncoder
from dichoseg.models.make import make_model


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
        ({"name": "isnet", "encodr": "rsu"}, "encodr.*it takes: encoder, decoder, heads"),
        ({"name": "isnet", "encoder": "convnext_tiny"}, "no 'convnext_tiny' .*timm's .* is 'timm:convnext_tiny'$"),
        ({"name": "isnet", "encoder": "resnet50.a1_in1k"}, "'timm:resnet50.a1_in1k'$"),
        ({"name": "isnet", "encoder": "rsv"}, "no 'rsv' in dichoseg.encoders; did you mean 'rsu'"),
        ({"name": "isnet", "encoder": "rsu/convnext_tiny"}, "comes from package rsu, which is not installed"),
        ({"name": "isnet", "decoder": "decov"}, "did you mean 'deconv'"),
        ({"name": "isnet", "encoder_args": {"width": 3}}, "'rsu' cannot be made from these arguments.*width"),
    ],
)
def test_error_names_and_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_model(**arguments)


@pytest.mark.parametrize(
    ("group", "arguments", "kind"),
    [
        ("models", {"name": "odd"}, "Model"),
        ("encoders", {"name": "isnet", "encoder": "odd"}, "Encoder"),
        ("decoders", {"name": "isnet", "decoder": "odd"}, "Decoder"),
    ],
)
def test_error_a_function_that_makes_something_else(install, monkeypatch, group, arguments, kind):
    install("odd", f"[dichoseg.{group}]\nodd = dichoseg.cli.options:tell\n")
    monkeypatch.setattr("dichoseg.cli.options.tell", lambda *_: torch.nn.Identity())
    with pytest.raises(TypeError, match=f"'odd' makes a Identity, which is not a dichoseg.contracts.{kind}"):
        create_model(**arguments)


def test_value_a_recipe_may_forward_its_arguments(install):
    code = "from dichoseg.models.isnet import isnet\ndef wide(**isnet_args): return isnet(**isnet_args)\n"
    install("wide", "[dichoseg.models]\nwide = wide_model:wide\n", wide_model=code)
    model = create_model("wide", encoder="timm:test_resnet", decoder="fpn")
    assert isinstance(model.encoder, TimmEncoder)
    assert model.recipe == {"name": "wide", "encoder": "timm:test_resnet", "decoder": "fpn"}


def test_error_objects_belong_to_segmenter():
    with pytest.raises(TypeError, match="compose objects with Segmenter"):
        create_model("isnet", encoder=torch.nn.Identity())


def test_value_published_preprocessing_of_u2net():
    expected = Preprocessing(
        size=320, antialias=False, scale="image_max", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    assert create_model("u2net").preprocessing == create_model("u2netp").preprocessing == expected


@pytest.mark.parametrize("encoder", ["rsu", "timm:test_resnet"])
def test_value_edge_guided_by_name(encoder):
    model = create_model("isnet", encoder=encoder, decoder="edge_guided").eval()
    assert isinstance(model.decoder, EdgeGuidedDecoder)
    with torch.no_grad():
        prediction = model(torch.rand(1, 3, 65, 97))
    assert prediction.logits.shape == prediction.edge_logits[0].shape == (1, 1, 65, 97)


def test_value_arguments_in_the_name_are_arguments():
    model = make_model(
        "isnet(decoder='fpn', decoder_args={'channels': 8}, encoder='timm:test_resnet')", pretrained=False
    )
    assert model.recipe == {
        "name": "isnet",
        "decoder": "fpn",
        "decoder_args": {"channels": 8},
        "encoder": "timm:test_resnet",
        "encoder_args": {"pretrained": False},
    }


def test_value_encoder_args_in_the_name_meet_pretrained():
    name = "isnet(encoder='timm:test_resnet', decoder='fpn', encoder_args={'out_indices': (1, 2)})"
    model = make_model(name, pretrained=False)
    assert len(model.encoder.feature_info.channels) == 2


def test_error_arguments_in_the_name():
    with pytest.raises(ValueError, match="isnet.*decodr.*encoder, decoder"):
        make_model("isnet(decodr='fpn')")
    with pytest.raises(ValueError, match="decoder is given twice, in the name .* and as an argument"):
        make_model("isnet(decoder='fpn')", decoder="rsu")
    with pytest.raises(ValueError, match=r"'isnet\(4\)' cannot be made from these arguments"):
        make_model("isnet(4)")


@pytest.mark.parametrize("error", [ImportError("No module named 'torchvision'"), RuntimeError("torchvision::nms")])
def test_error_torchvision_missing_or_of_another_torch(monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("dichoseg.models.make.make_component", fail)
    with pytest.raises(ImportError, match=r"birefnet needs the torchvision of torch .*torchvision.*pip install"):
        create_model("birefnet")
