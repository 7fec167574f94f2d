import subprocess
import sys

import torch

from dichoseg.models.mvanet import MVANET, mvanet


def test_value_names_need_no_torch():
    code = "import sys, dichoseg.models.mvanet; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_value_names_are_those_of_the_model():
    with torch.device("meta"):
        model = mvanet()
    assert set(MVANET.names.values()) == {key.rpartition(".")[0] for key in model.state_dict()}
    assert model.preprocessing.size == 1024
    assert model.multiple == 128
