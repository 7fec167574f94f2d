import json
from pathlib import Path

import pytest

from dichoseg import create_model
from dichoseg.models.weights.published import UNUSED, published_names

KEYS = json.loads((Path(__file__).parents[2] / "golden/architectures/keys.json").read_text())
THEIR_NAMES = {"isnet": "isnet_dis", "isnet_deconv": "deconv_disnet", "isnet_deconv_gt_encoder": "deconv_gt_encoder"}


@pytest.mark.parametrize("name", published_names())
def test_value_every_key_of_the_authors_in_their_order(name):
    keys = [key for key, _, _ in KEYS[THEIR_NAMES.get(name, name)] if key not in UNUSED]
    modules = list(dict.fromkeys(key.rpartition(".")[0] for key in keys))
    assert list(published_names()[name]) == modules
    own = {key.rpartition(".")[0] for key in create_model(name).state_dict()}
    assert set(published_names()[name].values()) == own


def test_value_names():
    names = published_names()["isnet_deconv"]
    assert names["stage3d.rebnconv4d.bn_s1"] == "decoder.stages.2.up.3.norm"
    assert names["stage5.rebnconv1.conv_s1"] == "encoder.stages.4.down.0.conv"
    assert names["stage4up.n_upsample.1"] == "heads.refine.enlarge.1.1"
    assert names["side2"] == "heads.heads.sides.1"
