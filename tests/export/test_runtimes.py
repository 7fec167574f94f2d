import importlib
import json
import sys
import types

import onnx
import pytest
import torch

from dichoseg.export import export_onnx, runtimes
from dichoseg.export.runtimes import check_installed, form_for, installed_runtimes, open_file, runtime_version

from .test_deform_conv import network
from .test_onnx_file import logits

RUNTIMES = ("onnxruntime", "openvino")


def needs(runtime):
    pytest.importorskip(runtime)


def parity(path):
    (entry,) = onnx.load(path).metadata_props
    return json.loads(entry.value)["parity"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_value_every_runtime_computes_the_models_probability(isnet, tmp_path, runtime):
    needs(runtime)
    export_onnx(isnet, tmp_path / "m.onnx")
    image, wanted = logits(isnet)
    run = open_file(runtime, (tmp_path / "m.onnx").read_bytes())
    for layout in (torch.contiguous_format, torch.channels_last):
        found = run(image.contiguous(memory_format=layout))
        torch.testing.assert_close(found, wanted.sigmoid(), atol=1e-4, rtol=0)


def test_value_openvino_in_bfloat16(isnet, tmp_path):
    needs("openvino")
    export_onnx(isnet, tmp_path / "m.onnx")
    image, wanted = logits(isnet)
    found = open_file("openvino", (tmp_path / "m.onnx").read_bytes(), bfloat16=True)(image)
    assert (found - wanted.sigmoid()).abs().mean() < 0.01


def test_value_the_compiled_model_is_kept(isnet, tmp_path, monkeypatch):
    needs("openvino")
    export_onnx(isnet, tmp_path / "m.onnx")
    content, blob, image = (tmp_path / "m.onnx").read_bytes(), tmp_path / "m.blob", logits(isnet)[0]
    first = open_file("openvino", content, compiled=blob)(image)
    written = blob.read_bytes()
    again = open_file("openvino", b"not read", compiled=blob)(image)
    assert torch.equal(first, again)
    blob.write_bytes(b"of another machine")
    assert torch.equal(open_file("openvino", content, compiled=blob)(image), first)
    assert len(blob.read_bytes()) == len(written)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_error_a_file_that_cannot_be_opened(runtime):
    needs(runtime)
    with pytest.raises(RuntimeError, match=f"^{runtime} does not run the exported file: .+"):
        open_file(runtime, b"no graph")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_error_an_image_of_another_size_names_the_sizes(isnet, tmp_path, runtime):
    needs(runtime)
    export_onnx(isnet, tmp_path / "m.onnx")
    run = open_file(runtime, (tmp_path / "m.onnx").read_bytes())
    with pytest.raises(RuntimeError, match="32.*64|64.*32"):
        run(torch.rand(1, 3, 32, 32))


def test_error_openvino_names_the_operator_that_it_lacks(tmp_path, caplog):
    needs("openvino")
    export_onnx(network(deformable=True), tmp_path / "m.onnx")
    name = f"openvino {runtime_version('openvino')}"
    assert f"the file is not for {name}: openvino does not run the exported file: " in caplog.text
    assert parity(tmp_path / "m.onnx")[name] is None
    with pytest.raises(RuntimeError, match="openvino does not run the exported file: .*DeformConv"):
        open_file("openvino", (tmp_path / "m.onnx").read_bytes())


def test_value_metadata_state_the_difference_in_every_runtime(tmp_path, caplog):
    difference = export_onnx(network(deformable=True), tmp_path / "m.onnx", deform_conv="grid_sample")
    found = parity(tmp_path / "m.onnx")
    assert list(found) == [f"{runtime} {runtime_version(runtime)}" for runtime in installed_runtimes()]
    assert found[f"onnxruntime {runtime_version('onnxruntime')}"] == difference
    assert all(value < 1e-4 for value in found.values())
    assert caplog.text == ""


def test_value_a_difference_in_another_runtime_is_told(isnet, tmp_path, caplog, monkeypatch):
    needs("openvino")
    monkeypatch.setattr(runtimes, "_openvino", lambda *arguments: lambda image: torch.zeros(1, 1, 64, 64))
    export_onnx(isnet, tmp_path / "m.onnx")
    found = parity(tmp_path / "m.onnx")[f"openvino {runtime_version('openvino')}"]
    assert 0.1 < found <= 1
    assert f"the file's probabilities differ from the model's by {found:.2g}" in caplog.text


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_error_a_runtime_that_is_not_installed(monkeypatch, runtime):
    monkeypatch.setitem(sys.modules, runtime, None)
    extra = {"onnxruntime": "onnx", "openvino": "openvino"}[runtime]
    with pytest.raises(ModuleNotFoundError, match=rf"{runtime}.*pip install 'dichoseg\[{extra}\]'"):
        check_installed(runtime)
    assert runtime not in installed_runtimes()


@pytest.mark.parametrize(("version", "form"), [("1.24.1", "grid_sample"), ("1.25.0", "native"), ("1.32.0", "native")])
def test_value_form_of_deformable_convolutions(monkeypatch, version, form):
    monkeypatch.setitem(sys.modules, "onnxruntime", types.SimpleNamespace(__version__=version))
    assert form_for("onnxruntime") == form


def test_value_versions_have_no_build():
    for runtime in installed_runtimes():
        version = runtime_version(runtime)
        assert importlib.import_module(runtime).__version__.startswith(version)
        assert "-" not in version
