import subprocess
import sys

import pytest
import torch

from dichoseg.training import Optimization, adamw


@pytest.mark.parametrize(
    ("options", "error", "values"),
    [
        ({"learning_rate": -1.0}, ValueError, "learning_rate.*-1"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate.*'fast'"),
        ({"optimizer": "adam"}, TypeError, "optimizer.*'adam'"),
        ({"schedule": "cosine"}, TypeError, "schedule.*'cosine'"),
        ({"accumulate": 0}, ValueError, "accumulate.*0"),
        ({"clip_norm": 0}, ValueError, "clip_norm.*0"),
        ({"ema": 1}, ValueError, "ema.*1"),
        ({"ema": 0.0}, ValueError, "ema.*0.0"),
        ({"precision": "fp16"}, ValueError, "precision.*float16.*'fp16'"),
    ],
)
def test_error_options(options, error, values):
    with pytest.raises(error, match=values):
        Optimization(**options)


def test_value_the_default_optimizer():
    optimizer = adamw([torch.nn.Parameter(torch.zeros(2))], lr=0.5)
    assert (type(optimizer), optimizer.defaults["lr"], optimizer.defaults["fused"]) == (torch.optim.AdamW, 0.5, True)


def test_value_options_are_known_without_torch():
    code = (
        "import sys; from dichoseg.training.optimization import Optimization as O; O(); print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
