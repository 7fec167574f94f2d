import subprocess
import sys

import pytest
import torch

from dichoseg import create_model, load_model, save_model
from dichoseg.models.birefnet import BIREFNET, BIREFNET_LITE, birefnet, names_of


def test_value_names_need_no_torch():
    code = "import sys, dichoseg.models.birefnet; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [("swin_t", 96), ("swin_s", 96), ("swin_b", 128), ("swin_l", 192), ("pvt_v2_b0", 32), ("resnet50", 256)],
)
def test_value_names_are_those_of_the_model(backbone, channels):
    with torch.device("meta"):
        model = birefnet(backbone=backbone)
    assert model.encoder.feature_info.channels == (3, *(2 * width for width in model_widths(model)))
    assert model.encoder.feature_info.channels[1] == 2 * channels
    assert model.encoder.feature_info.strides == (1, 4, 8, 16, 32)
    assert set(names_of(backbone).values()) == {key.rpartition(".")[0] for key in model.state_dict()}
    if backbone not in ("swin_t", "swin_l"):
        assert BIREFNET.variants[f"backbone={backbone!r}"] == names_of(backbone)


def model_widths(model):
    return model.encoder.encoder.encoder.feature_info.channels


def test_value_records():
    assert BIREFNET.names == names_of("swin_l")
    assert BIREFNET_LITE.names == names_of("swin_t")
    assert set(BIREFNET.unstated) == set(BIREFNET_LITE.unstated) == {"patch_order"}


def test_value_saved_with_its_patch_order(tmp_path):
    torch.manual_seed(0)
    model = create_model("birefnet", backbone="pvt_v2_b0", patch_order="columns").eval()
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.recipe == {"name": "birefnet", "backbone": "pvt_v2_b0", "patch_order": "columns"}
    image = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        assert torch.equal(loaded.logits(image), model.logits(image))
    again = create_model("birefnet", backbone="pvt_v2_b0", weights=tmp_path)
    assert again.recipe["patch_order"] == "columns"
    with pytest.raises(ValueError, match="patch_order='columns'; got 'rows'"):
        create_model("birefnet", backbone="pvt_v2_b0", patch_order="rows", weights=tmp_path)


def test_error_backbone():
    with pytest.raises(ValueError, match="backbone .*'swin_h'"):
        create_model("birefnet", backbone="swin_h")
