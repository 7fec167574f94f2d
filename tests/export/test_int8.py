import json
import logging

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from dichoseg import FeatureInfo, Prediction, Preprocessing, SyntheticDataset, load_model, predict
from dichoseg.contracts import Model
from dichoseg.export import export_onnx, int8
from dichoseg.export.int8 import BOUNDS, MOST, Agreement, compare, read_calibration

from .test_onnx_file import REMBG, in_rembg, photograph, run

LOOSE = Agreement(0.05, 0.9, 0.5)
"""Bounds for an untrained map, which is all edges, so that only the last convolution stays in float32."""
SCENES = [sample.image for sample in SyntheticDataset(8, size=64)]


class Chain(Model):
    """Six convolutions that pass brightness on; in `broken` ones channel 0 is so large that 8 bits lose the others."""

    def __init__(self, broken):
        super().__init__()
        self.feature_info = FeatureInfo((1,), (1,))
        self.preprocessing = Preprocessing(size=64, mean=(0.0,), std=(1.0,))
        layers = []
        for index in range(5):
            conv = torch.nn.Conv2d(4 if index else 3, 4, 1)
            torch.nn.init.zeros_(conv.weight)
            torch.nn.init.constant_(conv.bias, index / 1000)
            for channel in (1, 2, 3):
                conv.weight.data[channel, channel - (index == 0)] = 1 + index / 1000  # as equal ones are stored once
            conv.weight.data[0, 1] = 1e5 if index in broken else 1
            layers += [conv, torch.nn.ReLU()]
        last = torch.nn.Conv2d(4, 1, 1)
        last.weight.data[0, :, 0, 0] = torch.tensor([0.0, 4, 4, 4])
        last.bias.data.fill_(-6)
        self.layers = torch.nn.Sequential(*layers, last)

    def forward(self, image):
        return Prediction(self.layers(image))


def metadata(path):
    (entry,) = onnx.load(path).metadata_props
    return json.loads(entry.value)


def test_value_a_file_of_8_bits(isnet, tmp_path):
    export_onnx(isnet, tmp_path / "float.onnx")
    difference = export_onnx(isnet, tmp_path / "int8.onnx", precision="int8", calibration=SCENES)
    maps = {
        name: [run(tmp_path / name, image.numpy())[0][0, 0] for image in read_calibration(SCENES, isnet.preprocessing)]
        for name in ("float.onnx", "int8.onnx")
    }
    differences = [np.abs(one - other).mean() for one, other in zip(*maps.values(), strict=True)]
    assert 1e-5 < np.mean(differences) < BOUNDS.mean_difference
    held = metadata(tmp_path / "int8.onnx")
    assert difference == held["int8"]["mean_difference"] == pytest.approx(np.mean(differences), abs=1e-5)
    assert next(iter(held["parity"].values())) == difference
    assert held["int8"]["photographs"] == 8
    assert held["int8"]["float32"][-1] == "heads.sides.0"
    assert BOUNDS.iou <= held["int8"]["iou"] <= 1
    assert BOUNDS.boundary_iou <= held["int8"]["boundary_iou"] <= 1
    assert held["recipe"] == metadata(tmp_path / "float.onnx")["recipe"]
    assert "int8" not in metadata(tmp_path / "float.onnx")


def test_value_weights_have_a_scale_for_each_channel(isnet, tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "BOUNDS", LOOSE)
    export_onnx(isnet, tmp_path / "int8.onnx", precision="int8", calibration=SCENES)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    kept = [node.input[1] for node in graph.node if node.op_type == "Conv" and node.input[1] in tensors]
    assert kept == ["heads.sides.0.weight"]
    scales = {node.input[0]: node.input[1] for node in graph.node if node.op_type == "DequantizeLinear"}
    weights = [name for name in scales if name in tensors and len(tensors[name].dims) == 4]
    assert len(weights) == sum(node.op_type == "Conv" for node in graph.node) - 1
    for name in weights:
        assert tensors[name].data_type == onnx.TensorProto.INT8
        assert list(tensors[scales[name]].dims) == [tensors[name].dims[0]]
        values = onnx.numpy_helper.to_array(tensors[name]).astype(int)
        assert np.abs(values).max() <= 64, "two products with levels up to 255 fit into 16 bits"


def test_value_a_file_of_8_bits_reads_back(isnet, tmp_path):
    export_onnx(isnet, tmp_path / "int8.onnx", precision="int8", calibration=SCENES, dynamic=True)
    again = load_model(tmp_path / "int8.onnx")
    assert again.preprocessing == isnet.preprocessing
    assert np.abs(predict(SCENES[0], again) - predict(SCENES[0], isnet)).mean() < 0.01


def test_value_rembg_takes_it_as_it_takes_float32(isnet, tmp_path, monkeypatch):
    monkeypatch.setattr(int8, "BOUNDS", LOOSE)
    preset, side = "rembg-u2net", REMBG["rembg-u2net"][0]
    export_onnx(isnet, tmp_path / "float.onnx", preset=preset)
    export_onnx(isnet, tmp_path / "int8.onnx", preset=preset, precision="int8", calibration=SCENES)
    photo = photograph(side, side)
    found, wanted = (in_rembg(tmp_path / f"{name}.onnx", photo, preset) for name in ("int8", "float"))
    assert 0 < np.abs(found - wanted).mean() < 0.1


def test_value_sensitive_layers_stay_in_float32(tmp_path, caplog):
    caplog.set_level(logging.INFO, "dichoseg")
    model = Chain({2})
    export_onnx(model, tmp_path / "int8.onnx", precision="int8", calibration=SCENES)
    held = metadata(tmp_path / "int8.onnx")["int8"]
    assert set(held["float32"]) == {"layers.4", "layers.6", "layers.10"}  # what gives and takes large values; the last
    assert held["mean_difference"] < BOUNDS.mean_difference
    assert "8 bits everywhere change the map too much (mean difference 0." in caplog.text
    assert f"in float32: {', '.join(held['float32'])}" in caplog.text
    quantized = [node for node in onnx.load(tmp_path / "int8.onnx").graph.node if node.op_type == "QuantizeLinear"]
    assert quantized


@pytest.mark.parametrize(("needed", "tries"), [(1, 4), (3, 4), (5, 4), (6, 1)])
def test_value_as_few_parts_as_possible_stay_in_float32(needed, tries):
    parts = [[f"{part}.conv", f"{part}.relu"] for part in "abcdefghij"]
    kept = []

    def attempt(nodes):
        kept.append(nodes)
        agreement = Agreement(0, 1, 1) if len(nodes) >= 2 * needed else Agreement(1, 0, 0)
        return int8.Quantized(None, agreement, tuple(sorted(nodes)), [])

    found = int8._with_fewest_in_float32(parts, attempt)
    assert found.float_layers == tuple(name for part in parts[: min(needed, 5)] for name in part)
    assert found.agreement.is_within(BOUNDS) == (needed <= 5)
    assert len(kept) <= tries


def test_error_a_network_that_8_bits_break(tmp_path):
    model = Chain(range(5))
    (tmp_path / "int8.onnx").write_text("old")
    wanted = r"too much on the 8 calibration photographs: mean difference 0\.\d+, IoU 0\.\d+, .*bounds.*0\.0100.*0\.970"
    with pytest.raises(RuntimeError, match=wanted):
        export_onnx(model, tmp_path / "int8.onnx", precision="int8", calibration=SCENES)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("int8.onnx", "old")]
    assert predict(SCENES[0], model).max() > 0.5


def test_error_photographs_without_foreground(tmp_path):
    model = Chain(())
    with pytest.raises(RuntimeError, match="no calibration photograph has a foreground.*no file is written"):
        export_onnx(model, tmp_path / "int8.onnx", precision="int8", calibration=[torch.zeros(3, 64, 64)] * 8)
    assert list(tmp_path.iterdir()) == []


def test_value_figures_of_the_gate():
    square, half, nothing = (np.zeros((64, 64), np.float32) for _ in range(3))
    square[:32, :32] = 1
    half[:32, :16] = 1
    assert compare([square, nothing], [square, nothing]) == (0, 1, 1)
    assert compare([square, square], [square, nothing]) == (0.125, 1, 1)  # told by the difference alone
    assert not compare([nothing], [nothing]).is_within(BOUNDS)
    mean, iou, edges = compare([half], [square])
    assert (mean, iou) == (512 / 4096, 0.5)
    # edges of one pixel, at the image's border too: 92 and 124 pixels, of which 31 + 16 + 16 - 1 are the same
    assert edges == pytest.approx(62 / (92 + 124 - 62))
    assert compare([nothing], [square]) == (0.25, 0, 0)
    assert not compare([nothing * np.nan], [square]).is_within(Agreement(1, 0, 0))
    assert not Agreement(0.1, 1, 1).is_within(Agreement(0.09, 1, 1))
    assert Agreement(0.1, 0.5, 0.5).is_within(Agreement(0.1, 0.5, 0.5))


def test_value_photographs_are_preprocessed(tmp_path):
    preprocessing = Preprocessing(size=(32, 48))
    pixels = np.random.default_rng(0).integers(0, 255, (65, 97, 3), np.uint8)
    for index in range(40):
        Image.fromarray(pixels).save(tmp_path / f"{index:02}.png")
    images = read_calibration(tmp_path, preprocessing)
    assert len(images) == MOST
    tensor = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    wanted = preprocessing.normalize(preprocessing.resize(tensor[None]))
    torch.testing.assert_close(images[0], wanted)
    torch.testing.assert_close(read_calibration([tensor, *sorted(tmp_path.iterdir())], preprocessing)[0], wanted)


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({}, "precision='int8' needs calibration=: 8 or more photographs"),
        ({"calibration": SCENES[:7]}, "8 or more photographs; got 7"),
        ({"calibration": SCENES, "precision": "float32"}, "precision='int8'; got precision='float32'"),
        ({"calibration": SCENES, "half": True}, "half=True.*'int8'"),
        ({"calibration": SCENES, "precision": "uint8"}, "precision.*float32, int8.*'uint8'"),
        ({"calibration": [image * 255 for image in SCENES]}, r"numbers in \[0, 1\]"),
        ({"calibration": [image[:1] for image in SCENES]}, r"\(3, H, W\).*\(1, 64, 64\)"),
    ],
)
def test_error_options(isnet, tmp_path, options, values):
    with pytest.raises(ValueError, match=values):
        export_onnx(isnet, tmp_path / "int8.onnx", **{"precision": "int8", **options})
    assert list(tmp_path.iterdir()) == []


def test_error_what_is_not_a_photograph(tmp_path):
    preprocessing = Preprocessing(size=64)
    with pytest.raises(TypeError, match=r"calibration.*\(3, H, W\); got ndarray"):
        read_calibration([np.zeros((64, 64, 3), np.uint8)] * 8, preprocessing)
    with pytest.raises(ValueError, match="8 or more photographs; got 0"):
        read_calibration(tmp_path, preprocessing)
    for index in range(8):
        (tmp_path / f"{index}.jpg").write_text("no picture")
    with pytest.raises(ValueError, match=r"0\.jpg"):
        read_calibration(tmp_path, preprocessing)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_calibration(tmp_path / "absent", preprocessing)
