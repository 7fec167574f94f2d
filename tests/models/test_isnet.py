import subprocess
import sys

import pytest

from dichoseg import create_model
from dichoseg.models.isnet import ISNET_DECONV

from .names import check_names


@pytest.mark.parametrize("name", ["isnet", "isnet_gt_encoder", "isnet_deconv", "isnet_deconv_gt_encoder"])
def test_value_every_key_of_the_authors_in_their_order(name):
    check_names(name)


def test_value_names():
    names = ISNET_DECONV.names
    assert names["stage3d.rebnconv4d.bn_s1"] == "decoder.stages.2.up.3.norm"
    assert names["stage5.rebnconv1.conv_s1"] == "encoder.stages.4.down.0.conv"
    assert names["stage4up.n_upsample.1"] == "heads.refine.enlarge.1.1"
    assert names["side2"] == "heads.heads.sides.1"


@pytest.mark.parametrize("family", ["isnet", "u2net", "egnet"])
def test_value_names_need_no_torch(family):
    code = f"import sys, dichoseg.models.{family}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_value_parts_by_name_with_arguments():
    model = create_model("isnet", encoder="timm:test_resnet", decoder="fpn(channels=8)", heads="fused")
    assert type(model.heads).__name__ == "FusedHeads"
    assert set(model.feature_info.channels) == {8}
