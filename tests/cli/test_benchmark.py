import json

import pytest

from dichoseg import save_model
from dichoseg.inference import timing

from .conftest import run_cli


@pytest.fixture
def model(small_isnet, tmp_path, monkeypatch):
    monkeypatch.setenv("DICHOSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(timing, "_alone", lambda call, job, way: call(job, way))
    monkeypatch.setattr(timing, "keep_memory", lambda: None)
    monkeypatch.setattr(timing, "installed_runtimes", lambda: ["onnxruntime"])
    save_model(small_isnet, tmp_path / "model")
    return tmp_path / "model"


def test_value_the_table_ends_with_what_to_use(model):
    result = run_cli("benchmark", model, "--repeat", 1, "--device", "cpu")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("torch", "onnxruntime"))][-1] == "onnxruntime"
    (advice,) = [line for line in lines if line.startswith("use --runtime ")]
    assert "times as fast as torch in float32" in advice


def test_value_json(model):
    result = run_cli("benchmark", model, "--repeat", 1, "--json", "--size", 32)
    found = json.loads(result.stdout)
    assert [row["runtime"] for row in found["timings"]][-1] == "onnxruntime"
    assert found["best"] in found["timings"]
    assert found["failures"] == {}


def test_value_a_folder_to_calibrate_8_bits_on(model, tmp_path, monkeypatch):
    seen = {}

    def noted(source, photographs, **options):
        seen.update(options)
        raise ValueError("enough")

    monkeypatch.setattr("dichoseg.inference.benchmark", noted)
    run_cli("benchmark", model, "--calibration", tmp_path)
    assert seen["calibration"] == tmp_path
