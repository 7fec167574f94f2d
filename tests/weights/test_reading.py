import pickle

import pytest
import torch
from safetensors.torch import save_file

from dichoseg.weights.reading import read_weights

STATE = {"conv.weight": torch.arange(6.0).view(1, 6), "conv.bias": torch.zeros(1)}


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
def test_value_torch_files(tmp_path, legacy, wrapper):
    content = STATE if wrapper is None else {wrapper: STATE, "epoch": 3, "hyper_parameters": {"lr": 0.1}}
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    stored = read_weights(tmp_path / "w.pth")
    assert stored.kind == "torch checkpoint"
    assert {key: value.tolist() for key, value in stored.state.items()} == {
        key: value.tolist() for key, value in STATE.items()
    }


def test_value_safetensors(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    assert set(read_weights(tmp_path / "w.safetensors").state) == set(STATE)


@pytest.mark.parametrize("legacy", [False, True])
def test_error_malicious_pickle_is_not_run(tmp_path, capsys, legacy):
    path = tmp_path / "bad.pth"
    torch.save({"a": Malicious()}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=r"bad.pth is not a complete checkpoint of tensors only.*print"):
        read_weights(path)
    path.write_bytes(pickle.dumps({"a": Malicious()}))
    with pytest.raises(ValueError, match="bad.pth is not a complete checkpoint"):
        read_weights(path)
    assert "executed" not in capsys.readouterr().out


def test_error_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights at .*nothing.pth"):
        read_weights(tmp_path / "nothing.pth")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello")
    (tmp_path / "text.onnx").write_text("hello")
    for suffix in ("pth", "safetensors", "onnx"):
        with pytest.raises(ValueError, match=f"text.{suffix} is not a "):
            read_weights(tmp_path / f"text.{suffix}")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "module.pth")
    with pytest.raises(ValueError, match=r"it holds torch.nn.modules.linear.Linear"):
        read_weights(tmp_path / "module.pth")
    torch.save({"epoch": 3, "loss": 0.1}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match="must hold a dict of tensors only; epoch, loss are not tensors"):
        read_weights(tmp_path / "numbers.pth")
    torch.save({**STATE, "epoch": 3}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match="tensors only; epoch are not tensors"):
        read_weights(tmp_path / "numbers.pth")
    torch.save({}, tmp_path / "empty.pth")
    with pytest.raises(ValueError, match="got an empty dict"):
        read_weights(tmp_path / "empty.pth")
    torch.save({"x": torch.tensor([float("nan")])}, tmp_path / "nan.pth")
    with pytest.raises(ValueError, match="nan.pth holds values that are not finite, first in x"):
        read_weights(tmp_path / "nan.pth")


@pytest.mark.filterwarnings("ignore")  # of torch, about quantised and sparse tensors
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(2).to_sparse(),
        lambda: torch.zeros(1, dtype=torch.complex64),
        lambda: torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.qint8),
        lambda: torch.full((1,), 1e300, dtype=torch.float64),
    ],
    ids=["sparse", "complex", "quantised", "beyond float32"],
)
def test_error_tensors_that_are_no_weights(tmp_path, make):
    torch.save({"x": make()}, tmp_path / "kind.pth")
    with pytest.raises(
        ValueError, match=r"kind.pth (holds a tensor that is not of plain numbers: x is|holds values|is not a)"
    ):
        read_weights(tmp_path / "kind.pth")


@pytest.mark.parametrize("legacy", [False, True])
def test_error_truncated_anywhere(tmp_path, legacy):
    path = tmp_path / "w.pth"
    state = {f"layer{index}.weight": torch.rand(10, 10) for index in range(40)}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for end in range(0, len(whole) - 1, len(whole) // 60):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="w.pth is not a complete checkpoint"):
            read_weights(path)


def test_error_zip_of_something_else(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "photos.pth", "w") as archive:
        archive.writestr("a.jpg", b"1")
    with pytest.raises(ValueError, match="photos.pth is not a complete checkpoint"):
        read_weights(tmp_path / "photos.pth")


def test_value_a_network_and_its_average(tmp_path, caplog):
    torch.save({"ema": {"a": torch.zeros(1)}, "model": {"a": torch.ones(1)}, "epoch": 3}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").state == {"a": torch.ones(1)}
    assert "'model' is read, of the networks model, ema" in caplog.text
