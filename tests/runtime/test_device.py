import pytest
import torch

from dichoseg.runtime.device import (
    autocast_dtype,
    choose_device,
    inference_dtype,
    training_layout,
    usable_device,
    uses_bfloat16,
    warn_of_emulation,
)

CPU = torch.device("cpu")


def test_value_precision():
    assert uses_bfloat16("bfloat16", CPU)
    assert not uses_bfloat16("float32", CPU)
    assert isinstance(uses_bfloat16("auto", CPU), bool)
    with pytest.raises(ValueError, match="precision must be auto, float32, bfloat16 or float16; got 'fp16'"):
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
    ("device", "capability", "layout"),
    [
        ("cpu", "AVX2", torch.contiguous_format),
        ("cpu", "AVX512", torch.channels_last),
        ("cuda", "AVX2", torch.channels_last),
        ("mps", "DEFAULT", torch.contiguous_format),
    ],
)
def test_value_training_layout(monkeypatch, device, capability, layout):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    assert training_layout(torch.device(device)) == layout


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


@pytest.mark.parametrize(
    ("native", "capability", "dtype"),
    [
        (True, (8, 0), torch.bfloat16),
        (False, (7, 5), torch.float16),  # T4
        (False, (6, 1), torch.float32),  # GTX 10
    ],
)
def test_value_auto_on_cuda_gpus(native, capability, dtype, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    cuda = torch.device("cuda")
    assert inference_dtype("auto", cuda) == dtype
    assert inference_dtype("float16", cuda) == torch.float16
    assert inference_dtype("float32", cuda) == torch.float32


def test_error_float16_on_a_cpu():
    with pytest.raises(ValueError, match="float16.*bfloat16 or float32 on cpu"):
        inference_dtype("float16", CPU)


def test_warning_of_emulated_bfloat16(monkeypatch, caplog):
    table = {"architecture": "x86_64", "amx_bf16": False, "avx512_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: table, raising=False)
    warn_of_emulation(torch.bfloat16, CPU)
    assert not caplog.messages
    table["avx512_bf16"] = False
    for dtype in (torch.float32, None):
        warn_of_emulation(dtype, CPU)
    assert not caplog.messages
    warn_of_emulation(torch.bfloat16, CPU)
    assert "no bfloat16 instructions" in caplog.messages[-1]
    table["architecture"] = "aarch64"
    caplog.clear()
    warn_of_emulation(torch.bfloat16, CPU)
    assert not caplog.messages
