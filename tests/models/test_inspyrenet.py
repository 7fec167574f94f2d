import subprocess
import sys

import pytest
import torch

from dichoseg import create_model, load_model, save_model
from dichoseg.models.inspyrenet import INSPYRENET, inspyrenet, names_of


def test_value_names_need_no_torch():
    code = "import sys, dichoseg.models.inspyrenet; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("backbone", ["swin_b", "res2net50"])
def test_value_names_are_those_of_the_model(backbone):
    with torch.device("meta"):
        model = inspyrenet(backbone=backbone)
    assert set(names_of(backbone).values()) == {key.rpartition(".")[0] for key in model.state_dict()}


def test_value_sizes():
    with torch.device("meta"):
        model = inspyrenet(base_size=(256, 384))
    assert model.preprocessing.size == (256, 384)
    assert [stage.size for stage in model.decoder.stages] == [(64, 96), (128, 192), (256, 384)]
    assert set(INSPYRENET.unstated) == {"base_size"}


def test_value_saved_with_its_size(tmp_path):
    torch.manual_seed(0)
    save_model(create_model("inspyrenet", backbone="res2net50", base_size=(64, 96)), tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.preprocessing.size == (64, 96)
    assert loaded.decoder.stages[2].size == (64, 96)
    again = create_model("inspyrenet", backbone="res2net50", base_size=(64, 96), weights=tmp_path)
    assert again.preprocessing.size == (64, 96)


def test_error_backbone():
    with pytest.raises(ValueError, match="backbone .*'swin_h'"):
        create_model("inspyrenet", backbone="swin_h")
