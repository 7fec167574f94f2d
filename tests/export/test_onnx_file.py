import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from dichoseg import (
    FeatureInfo,
    Preprocessing,
    RefinedHeads,
    Segmenter,
    SideHeads,
    SyntheticDataset,
    create_model,
    load_model,
    predict,
)
from dichoseg.decoders import PyramidDecoder, RSUDecoder
from dichoseg.encoders import RSUEncoder, TimmEncoder
from dichoseg.export import export_onnx, onnx_file
from dichoseg.models import MultiViewSegmenter

from ..conftest import SMALL
from .conftest import IMAGENET, Gray, at

REMBG = {
    "rembg-dis": (1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    "rembg-u2net": (320, IMAGENET["mean"], IMAGENET["std"]),
    "rembg-birefnet": (1024, IMAGENET["mean"], IMAGENET["std"]),
}


def run(file, image):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})


def in_rembg(file, photograph, preset):
    """What rembg 2.0.86 does in `dis_custom`, `u2net_custom` and `birefnet-general`, step by step."""
    size, mean, std = REMBG[preset]
    image = np.array(photograph.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))
    image = image / max(np.max(image), 1e-6)
    image = ((image - mean) / std).transpose((2, 0, 1))
    prediction = run(file, np.expand_dims(image, 0).astype(np.float32))[0][:, 0, :, :]
    if preset == "rembg-birefnet":
        prediction = 1 / (1 + np.exp(-prediction))
    prediction = (prediction - prediction.min()) / (prediction.max() - prediction.min())
    mask = Image.fromarray((np.squeeze(prediction) * 255).astype("uint8"))
    return np.asarray(mask.resize(photograph.size, Image.Resampling.LANCZOS)) / 255


def photograph(height, width):
    scene = SyntheticDataset(1, size=128)[0].image.permute(1, 2, 0)
    pixels = (scene * 255).byte().numpy()
    pixels[60:64, 60:64] = 255
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)


def stretched(probability):
    return (probability - probability.min()) / np.ptp(probability)


def logits(model, side=64):
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return image, model.eval().logits(image)


@pytest.mark.parametrize("size", [None, 65])
@pytest.mark.parametrize("model", ["isnet", "foreign"])
def test_value_a_file_gives_the_models_probability(tmp_path, request, model, size):
    model = request.getfixturevalue(model)
    difference = export_onnx(model, tmp_path / "model.onnx", size=size)
    assert difference < 1e-4
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    image, wanted = logits(model, size or 64)
    (probability,) = run(tmp_path / "model.onnx", image.numpy())
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, wanted.sigmoid().numpy(), atol=1e-4)
    assert np.ptp(probability) > 0.3


def test_value_batch_norm_is_folded_and_one_sigmoid_is_inside(isnet, tmp_path):
    export_onnx(isnet, tmp_path / "model.onnx")
    file = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(file, full_check=True)
    operations = [node.op_type for node in file.graph.node]
    assert operations.count("Sigmoid") == 1
    assert "BatchNormalization" not in operations
    assert file.opset_import[0].version >= 17
    assert [dimension.dim_value for dimension in file.graph.output[0].type.tensor_type.shape.dim] == [1, 1, 64, 64]


@pytest.mark.parametrize("model", ["isnet", "foreign"])
@pytest.mark.parametrize("half", [False, True])
def test_value_a_dynamic_file_takes_any_size(tmp_path, request, model, half):
    model = request.getfixturevalue(model)
    export_onnx(model, tmp_path / "model.onnx", dynamic=True, half=half)
    image = torch.rand(3, 3, 65, 97, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model.logits(image).sigmoid().numpy()
    (probability,) = run(tmp_path / "model.onnx", image.numpy())
    assert probability.shape == (3, 1, 65, 97)
    np.testing.assert_allclose(probability, wanted, atol=1e-2 if half else 1e-4)


def test_value_a_network_with_layer_norm(tmp_path):
    model = create_model("isnet", encoder="timm:test_convnext", preprocessing=Preprocessing(size=64))
    assert export_onnx(model, tmp_path / "model.onnx", dynamic=True) < 1e-4


def multi_view():
    return MultiViewSegmenter(TimmEncoder("test_resnet"), width=8)


def pyramid():
    encoder = RSUEncoder(**SMALL)
    return Segmenter(encoder, PyramidDecoder(encoder.feature_info, width=8, base_size=64))


@pytest.mark.parametrize("make", [multi_view, pyramid])
def test_value_networks_whose_sizes_are_computed_have_files_of_one_size(tmp_path, make):
    torch.manual_seed(0)
    model = make()
    model.preprocessing = Preprocessing(size=64)
    assert export_onnx(model, tmp_path / "fixed.onnx") < 1e-4
    assert (
        np.ptp(run(tmp_path / "fixed.onnx", np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype("f4"))[0]) > 0
    )
    with pytest.raises(RuntimeError, match="onnxruntime does not run the exported file"):
        export_onnx(model, tmp_path / "any.onnx", dynamic=True)
    assert not (tmp_path / "any.onnx").exists()


def test_value_a_model_of_native_size(isnet, tmp_path):
    at(isnet, None)
    with pytest.raises(ValueError, match="size=.*dynamic=True"):
        export_onnx(isnet, tmp_path / "model.onnx")
    assert export_onnx(isnet, tmp_path / "dynamic.onnx", dynamic=True) < 1e-4
    assert export_onnx(isnet, tmp_path / "fixed.onnx", size=65) < 1e-4
    assert load_model(tmp_path / "dynamic.onnx").preprocessing.size is None
    assert load_model(tmp_path / "fixed.onnx").preprocessing.size == 65


def test_value_half_halves_the_file(isnet, tmp_path):
    exact = export_onnx(isnet, tmp_path / "whole.onnx")
    assert exact < export_onnx(isnet, tmp_path / "half.onnx", half=True) < 1e-2
    weights = sum(value.numel() for value in isnet.parameters() if value.ndim > 1)
    saved = (tmp_path / "whole.onnx").stat().st_size - (tmp_path / "half.onnx").stat().st_size
    assert 1.5 * weights < saved <= 2 * weights
    session = onnxruntime.InferenceSession(tmp_path / "half.onnx", providers=["CPUExecutionProvider"])
    assert {place.type for place in (*session.get_inputs(), *session.get_outputs())} == {"tensor(float)"}


def test_value_half_leaves_what_it_cannot_hold(tmp_path):
    model = Gray()
    torch.nn.init.constant_(model.conv.weight, 1e-3)
    with torch.no_grad():
        model.conv.weight[0, 0] = 1e5
    assert export_onnx(model, tmp_path / "model.onnx", half=True) < 1e-4


@pytest.mark.parametrize(
    ("model", "preset"),
    [("isnet", "rembg-dis"), ("foreign", "rembg-dis"), ("foreign", "rembg-u2net"), ("isnet", "rembg-birefnet")],
)
def test_value_rembg_gives_what_predict_gives(tmp_path, request, model, preset):
    """At the tool's own size no filter takes part, and what remains is rembg's truncation to 8 bits."""
    side = REMBG[preset][0]
    model = at(request.getfixturevalue(model), side)
    export_onnx(model, tmp_path / "model.onnx", preset=preset)
    photo = photograph(side, side)
    found, wanted = in_rembg(tmp_path / "model.onnx", photo, preset), stretched(predict(photo, model))
    assert np.abs(found - wanted).max() < 1.5 / 255
    assert wanted.std() > 0.05


def test_value_rembg_and_predict_differ_by_their_filters(isnet, tmp_path):
    """Lanczos on 8 bits there, bilinear here; on the way in, and for the map on the way back."""
    at(isnet, 320)
    export_onnx(isnet, tmp_path / "model.onnx", preset="rembg-u2net")
    photo = photograph(65, 97)
    found, wanted = in_rembg(tmp_path / "model.onnx", photo, "rembg-u2net"), stretched(predict(photo, isnet))
    assert found.shape == wanted.shape == (65, 97)
    assert np.abs(found - wanted).mean() < 0.05


@pytest.mark.parametrize("half", [False, True])
def test_value_a_network_of_another_size_runs_at_its_own_in_rembg(isnet, tmp_path, half):
    export_onnx(isnet, tmp_path / "model.onnx", preset="rembg-u2net", half=half)
    photo = photograph(320, 320)
    found, wanted = in_rembg(tmp_path / "model.onnx", photo, "rembg-u2net"), stretched(predict(photo, isnet))
    assert np.abs(found - wanted).mean() < 0.03
    assert wanted.std() > 0.05


def test_value_size_with_a_preset_is_the_networks(isnet, tmp_path):
    """So the file gives what `predict` gives at that size."""
    export_onnx(isnet, tmp_path / "model.onnx", preset="rembg-u2net", size=320)
    found = in_rembg(tmp_path / "model.onnx", photograph(320, 320), "rembg-u2net")
    assert np.abs(found - stretched(predict(photograph(320, 320), at(isnet, 320)))).max() < 1.5 / 255
    assert load_model(tmp_path / "model.onnx").preprocessing.size == 320


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"half": True},
        {"dynamic": True},
        {"preset": "rembg-u2net"},
        {"preset": "rembg-u2net", "half": True},
    ],
)
def test_value_a_file_reads_back(isnet, tmp_path, options):
    export_onnx(isnet, tmp_path / "model.onnx", **options)
    _, wanted = logits(isnet)
    for again in (
        create_model("isnet", encoder_args=SMALL, weights=tmp_path / "model.onnx"),
        load_model(tmp_path / "model.onnx"),
    ):
        tolerance = 2e-2 if "half" in options else 1e-4
        torch.testing.assert_close(logits(again)[1], wanted, rtol=tolerance, atol=tolerance)
        assert again.preprocessing == isnet.preprocessing


def test_value_a_timm_file_reads_back(foreign, tmp_path):
    export_onnx(foreign, tmp_path / "model.onnx", preset="rembg-u2net")
    again = load_model(tmp_path / "model.onnx")
    assert again.preprocessing == foreign.preprocessing
    torch.testing.assert_close(logits(again)[1], logits(foreign)[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"preset": "rembg-u2net"}, {"half": True}])
def test_value_weights_have_the_models_names(tmp_path, options):
    """Also those of heads, of which the exporter's paths say nothing: `isnet_deconv` has a decoder in its heads."""
    info = FeatureInfo((4, 4), (1, 2))
    heads = RefinedHeads(RSUDecoder(info), SideHeads(info))
    encoder = RSUEncoder(channels=(4, 4), mid_channels=(2, 2), strides=(1, 2))
    model = Segmenter(encoder, RSUDecoder(info), heads, preprocessing=Preprocessing(size=32))
    export_onnx(model, tmp_path / "model.onnx", **options)
    graph = onnx.load(tmp_path / "model.onnx").graph
    convolutions = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Conv2d)]
    used = {f"{name}.weight" for name in convolutions if name != "heads.heads.sides.1"}
    assert {node.input[1] for node in graph.node if node.op_type == "Conv"} == used
    assert any("heads.refine" in name for name in used)


def test_value_metadata_say_how_the_model_is_made(isnet, tmp_path):
    export_onnx(isnet, tmp_path / "model.onnx", preset="rembg-u2net")
    (entry,) = onnx.load(tmp_path / "model.onnx").metadata_props
    held = json.loads(entry.value)
    assert entry.key == "dichoseg"
    assert held["recipe"] == {"name": "isnet", "encoder_args": SMALL}
    assert Preprocessing.from_dict(held["preprocessing"]) == isnet.preprocessing
    assert held["preset"] == "rembg-u2net"
    assert held["format_version"] == 2


def test_value_the_callers_model_and_mode_stay(isnet, tmp_path):
    isnet.train()
    before = {key: value.clone() for key, value in isnet.state_dict().items()}
    export_onnx(isnet, tmp_path / "model.onnx")
    assert all(module.training for module in isnet.modules())
    assert all(torch.equal(value, before[key]) for key, value in isnet.state_dict().items())


@pytest.mark.parametrize("dynamic", [False, True])
def test_error_a_file_that_differs_is_not_written(isnet, tmp_path, monkeypatch, dynamic):
    (tmp_path / "model.onnx").write_text("old")
    monkeypatch.setattr(onnx_file, "HALF_TOLERANCE", 1e-9)
    with pytest.raises(RuntimeError, match="1e-09.*without half"):
        export_onnx(isnet, tmp_path / "model.onnx", dynamic=dynamic, half=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("model.onnx", "old")]


@pytest.mark.parametrize("half", [False, True])
def test_error_a_size_that_tracing_froze(tmp_path, half):
    with pytest.raises(RuntimeError, match="49 by 81.*inf.*without dynamic"):
        export_onnx(Gray(frozen=True), tmp_path / "model.onnx", dynamic=True, half=half)
    assert list(tmp_path.iterdir()) == []


def test_value_a_file_that_is_there_is_replaced(tmp_path):
    (tmp_path / "model.onnx").write_text("old")
    export_onnx(Gray(), tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"))


@pytest.mark.usefixtures("full_disk")
def test_error_a_full_disk_leaves_the_old_file(tmp_path):
    (tmp_path / "model.onnx").write_text("old")
    with pytest.raises(OSError, match=r"No space left on device: '.*/model\.onnx'"):
        export_onnx(Gray(), tmp_path / "model.onnx")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("model.onnx", "old")]


def test_error_onnxruntime_does_not_run_the_file(isnet, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "_halve_weights", lambda graph: graph.node.pop())
    with pytest.raises(RuntimeError, match="onnxruntime does not run the exported file: .*"):
        export_onnx(isnet, tmp_path / "model.onnx", half=True)


def test_error_options(isnet, tmp_path):
    with pytest.raises(ValueError, match=r"dynamic.*rembg-dis.*1024"):
        export_onnx(isnet, tmp_path / "model.onnx", preset="rembg-dis", dynamic=True)
    with pytest.raises(ValueError, match="preset.*'u2net'"):
        export_onnx(isnet, tmp_path / "model.onnx", preset="u2net")
    with pytest.raises(ValueError, match="32 by 32"):
        export_onnx(Gray(sides=(64,)), tmp_path / "model.onnx", size=32)
    with pytest.raises(FileNotFoundError, match="absent"):
        export_onnx(isnet, tmp_path / "absent/model.onnx")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        export_onnx(isnet, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_error_without_the_extra(isnet, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'dichoseg\[onnx\]'"):
        export_onnx(isnet, tmp_path / "model.onnx")
