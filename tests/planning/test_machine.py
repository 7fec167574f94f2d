import dataclasses

import pytest
import torch

from dichoseg.planning import describe_machine
from dichoseg.runtime.device import uses_bfloat16
from dichoseg.runtime.memory import memory_limit


def test_value_cpu():
    machine = describe_machine("cpu")
    assert machine.device == "cpu"
    assert 1 <= machine.cores <= 4096
    assert machine.memory_gb == memory_limit()
    assert machine.gpu_memory_gb is None
    assert machine.training_memory_gb == machine.memory_gb
    assert machine.bfloat16 == uses_bfloat16("auto", torch.device("cpu"))


def test_value_a_gpu_bounds_training():
    assert dataclasses.replace(describe_machine("cpu"), gpu_memory_gb=8.0).training_memory_gb == 8


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_value_gpu():
    machine = describe_machine("cuda")
    assert machine.name == torch.cuda.get_device_name()
    assert machine.gpu_memory_gb == torch.cuda.get_device_properties(0).total_memory / 1e9


def test_error_device():
    with pytest.raises(ValueError, match="device must be one such as cpu"):
        describe_machine("gpu")
