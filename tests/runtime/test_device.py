import pytest
import torch

from dichoseg.runtime.device import autocast_dtype, choose_device, usable_device, uses_bfloat16

CPU = torch.device("cpu")


def test_value_precision():
    assert uses_bfloat16("bfloat16", CPU)
    assert not uses_bfloat16("float32", CPU)
    assert isinstance(uses_bfloat16("auto", CPU), bool)
    with pytest.raises(ValueError, match="precision must be auto, float32 or bfloat16; got 'fp16'"):
        uses_bfloat16("fp16", CPU)


def test_value_an_accelerator_is_taken_by_default(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert choose_device(None, CPU) == CPU
    for kind in ("mps", "cuda"):  # of both, CUDA
        monkeypatch.setattr(f"torch.{'backends.' * (kind == 'mps')}{kind}.is_available", lambda: True)
        assert choose_device(None, CPU) == torch.device(kind)
    assert choose_device("cpu", torch.device("cuda")) == CPU


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "^device must be one such as cpu, cuda, cuda:1 or mps; got 'gpu'$"),
        ("fpga", "^torch cannot use device fpga here: [^\n]+$"),
    ],
)
def test_error_device_that_is_not_there(device, message):
    with pytest.raises(ValueError, match=message):
        usable_device(device)


def test_value_autocast_dtype():
    cpu = torch.device("cpu")
    assert autocast_dtype("float32", cpu) is None
    assert autocast_dtype("bfloat16", cpu) == torch.bfloat16
    assert autocast_dtype("float16", cpu) == torch.float16
    assert autocast_dtype("auto", cpu) in (None, torch.bfloat16)
    with pytest.raises(ValueError, match="precision must be auto, float32, bfloat16 or float16; got 'half'"):
        autocast_dtype("half", cpu)
