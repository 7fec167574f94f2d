import copy
import os
import pickle
import time

import numpy as np
import pytest
import torch

from dichoseg import GTEncoder, Predictor, SyntheticDataset
from dichoseg.export import export_onnx, int8, onnx_file
from dichoseg.export.runtimes import open_file
from dichoseg.inference import exported

from ..export.conftest import with_contrast
from ..export.test_deform_conv import network

RUNTIMES = ("onnxruntime", "openvino")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of this test's own."""
    monkeypatch.setenv("DICHOSEG_HOME", str(tmp_path / "home"))
    return tmp_path / "home/exported"


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture
def exports(monkeypatch):
    """The number of exports so far."""
    made, make = [], exported.make_file

    def counted(*arguments, **options):
        made.append(arguments)
        return make(*arguments, **options)

    monkeypatch.setattr(exported, "make_file", counted)
    return made


def scene(size=97):
    return SyntheticDataset(1, size=size)[0].image[:, : size * 2 // 3]


def check(model, runtime, **options):
    photograph = scene()
    found = Predictor(model, runtime=runtime, precision="float32", **options)(photograph)
    wanted = Predictor(model, precision="float32", **options)(photograph)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert found.shape == photograph.shape[1:]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 96},
        {"size": (64, 96)},
        {"flips": True, "scales": (0.75, 1)},
        {"detail": "borders", "normalize": "minmax"},
    ],
)
def test_value_the_map_is_torchs(varied_isnet, runtime, options):
    check(varied_isnet, runtime, **options)


def test_value_a_model_of_native_size(varied_isnet, runtime):
    varied_isnet.preprocessing = varied_isnet.preprocessing.__class__(size=None)
    check(varied_isnet, runtime)


def test_value_a_model_whose_input_has_the_photographs_aspect_ratio(varied_isnet, runtime):
    varied_isnet.preprocessing = varied_isnet.preprocessing.__class__(size=64, resize_policy="longest_side")
    check(varied_isnet, runtime)


def test_value_deformable_convolutions_in_the_form_that_the_runtime_has(runtime):
    check(network(deformable=True), runtime)


def test_value_openvino_in_bfloat16(varied_isnet, cache):
    pytest.importorskip("openvino")
    found = Predictor(varied_isnet, runtime="openvino", precision="bfloat16")(scene())
    assert np.abs(found - Predictor(varied_isnet, precision="float32")(scene())).mean() < 0.01
    Predictor(varied_isnet, runtime="openvino", precision="float32")
    names = sorted(path.name.partition(".")[2] for path in cache.iterdir() if path.suffix != ".lock")
    assert names == ["bfloat16.blob", "float32.blob", "onnx"]


def test_value_a_file_is_exported_once(varied_isnet, runtime, exports):
    first = Predictor(varied_isnet, runtime=runtime)
    for again in (Predictor(varied_isnet, runtime=runtime), copy.copy(first), pickle.loads(pickle.dumps(first))):
        assert np.array_equal(again(scene()), first(scene()))
    assert len(exports) == 1


def test_value_what_changes_the_function_is_exported_again(varied_isnet, runtime, exports, monkeypatch):
    Predictor(varied_isnet, runtime=runtime)
    changes = [
        lambda: varied_isnet.heads.sides[0].bias.data.add_(1),
        lambda: setattr(varied_isnet, "preprocessing", varied_isnet.preprocessing.with_size(96)),
        lambda: setattr(varied_isnet.encoder, "more", torch.nn.Identity()),
        lambda: monkeypatch.setattr(exported, "runtime_version", lambda runtime: "99"),
    ]
    for count, change in enumerate(changes, start=2):
        change()
        Predictor(varied_isnet, runtime=runtime)
        assert len(exports) == count


def test_value_the_code_of_the_layers_is_a_part_of_the_key(install, runtime, exports, tmp_path):
    code = "from tests.export.conftest import Gray as Base\nclass Gray(Base):\n    pass\n"
    install("gray", "", gray_net=code)
    import gray_net

    Predictor(gray_net.Gray(), runtime=runtime)
    model = gray_net.Gray()
    count = len(exports)
    Predictor(model, runtime=runtime)
    (tmp_path / "site/gray_net.py").write_text(code + "# other code\n")
    Predictor(model, runtime=runtime)
    assert len(exports) == count + 2


def test_value_files_that_are_not_used_are_removed(varied_isnet, runtime, cache):
    Predictor(varied_isnet, runtime=runtime)
    old, used = cache / "old.onnx", set(cache.iterdir())
    old.write_text("x")
    ancient = time.time() - 31 * 24 * 3600
    for path in (old, *used):
        os.utime(path, (ancient, ancient))
    Predictor(varied_isnet, runtime=runtime)  # so it is used
    Predictor(varied_isnet, runtime=runtime, size=96)
    assert not old.exists()
    assert all(path.exists() for path in used if path.suffix != ".lock")


def test_value_a_broken_file_is_made_again(varied_isnet, cache):
    first = Predictor(varied_isnet, runtime="onnxruntime")(scene())
    (path,) = cache.glob("*.onnx")
    path.write_bytes(b"broken")
    with pytest.raises(RuntimeError, match="does not run the exported file"):
        Predictor(varied_isnet, runtime="onnxruntime")
    assert np.array_equal(Predictor(varied_isnet, runtime="onnxruntime")(scene()), first)


def test_value_a_cache_that_cannot_be_written(varied_isnet, runtime, cache, caplog):
    cache.parent.write_text("a file")
    check(varied_isnet, runtime)
    assert f"{cache} cannot be written" in caplog.text


def test_value_a_file_system_without_locks(varied_isnet, runtime, monkeypatch):
    def refused(lock, timeout):
        raise NotImplementedError("no locks")

    monkeypatch.setattr("filelock.FileLock.acquire", refused)
    check(varied_isnet, runtime)


@pytest.mark.parametrize(
    ("runtime", "options", "values"),
    [
        ("onnx", {}, "runtime.*onnxruntime, openvino.*'onnx'"),
        ("openvino", {"compile": True}, "compile=True.*'openvino'"),
        ("onnxruntime", {"device": "cuda"}, "device='cuda'.*'onnxruntime'"),
        ("openvino", {"detail": "blend"}, "detail='blend'.*'openvino'"),
    ],
)
def test_error_options_of_torch(varied_isnet, runtime, options, values):
    with pytest.raises(ValueError, match=values):
        Predictor(varied_isnet, runtime=runtime, **options)


@pytest.mark.parametrize("precision", ["float16", "half"])
def test_error_precision(varied_isnet, runtime, precision):
    with pytest.raises(ValueError, match=f"precision.*auto, float32.*'{runtime}'.*'{precision}'"):
        Predictor(varied_isnet, runtime=runtime, precision=precision)


def test_error_a_network_that_onnx_cannot_express(varied_isnet, runtime, cache):
    class Spectrum(torch.nn.Module):
        def forward(self, features):
            return torch.fft.rfft2(features[0]).abs(), *features[1:]

    varied_isnet.decoder = torch.nn.Sequential(varied_isnet.decoder, Spectrum())
    with pytest.raises(ValueError, match="ONNX cannot express this model: .*fft_rfft"):
        Predictor(varied_isnet, runtime=runtime)
    assert list(cache.glob("*.onnx")) == []


def test_error_a_file_that_differs(varied_isnet, runtime, cache, monkeypatch):
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)
    with pytest.raises(RuntimeError, match="would differ from the model"):
        Predictor(varied_isnet, runtime=runtime)
    assert list(cache.glob("*.onnx")) == []


def test_error_a_gt_encoder(small_isnet, runtime):
    with pytest.raises(ValueError, match="GT encoder"):
        Predictor(GTEncoder.like(small_isnet), runtime=runtime)


SCENES = [sample.image for sample in SyntheticDataset(8, size=97)]
INT8 = {"precision": "int8"}


@pytest.fixture
def isnet(varied_isnet):
    return with_contrast(varied_isnet)


def test_value_8_bits_give_the_exported_files_map(isnet, tmp_path, exports, cache):
    predictor = Predictor(isnet, **INT8, calibration=SCENES)
    export_onnx(isnet, tmp_path / "int8.onnx", precision="int8", calibration=SCENES)
    run = open_file("onnxruntime", (tmp_path / "int8.onnx").read_bytes())
    photograph, preprocessing = scene(), isnet.preprocessing
    probability = run(preprocessing.normalize(preprocessing.resize(photograph[None])))
    wanted = preprocessing.restore(probability, *photograph.shape[1:])[0, 0].clamp(0, 1).numpy()
    np.testing.assert_allclose(predictor(photograph), wanted, atol=1e-5)
    assert np.abs(wanted - Predictor(isnet, precision="float32")(photograph)).max() > 1e-3
    assert len(exports) == 1
    again = pickle.loads(pickle.dumps(predictor))
    assert np.array_equal(again(photograph), predictor(photograph))
    assert len(exports) == 1
    Predictor(isnet, **INT8, calibration=SCENES[::-1])
    assert len(exports) == 2
    assert len(list(cache.glob("*.onnx"))) == 2


def test_error_8_bits_that_break_the_network(isnet, cache, monkeypatch):
    monkeypatch.setattr(int8, "BOUNDS", int8.Agreement(1e-9, 1, 1))
    monkeypatch.setattr(int8, "PARTS", 1)
    with pytest.raises(RuntimeError, match=r"mean difference 0\.\d+, IoU 0\.\d+"):
        Predictor(isnet, **INT8, calibration=SCENES)
    assert list(cache.glob("*.onnx")) == []
    assert Predictor(isnet, runtime="onnxruntime")(scene()).max() > 0.5


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (
            {**INT8, "runtime": "torch", "calibration": SCENES},
            "precision='int8' needs runtime='onnxruntime'; got .*'torch'",
        ),
        (INT8, "precision='int8' needs calibration=: 8 or more"),
        ({**INT8, "calibration": SCENES[:3]}, "8 or more photographs; got 3"),
        ({"calibration": SCENES}, "calibration is for precision='int8'; got precision='auto'"),
    ],
)
def test_error_8_bits(isnet, options, values):
    with pytest.raises(ValueError, match=values):
        Predictor(isnet, **options)
