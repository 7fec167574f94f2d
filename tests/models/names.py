"""The keys of the authors' files, against the names that each family states."""

import json
from pathlib import Path

from dichoseg import create_model, load_component

KEYS = json.loads((Path(__file__).parents[1] / "golden/architectures/keys.json").read_text())
THEIR_NAMES = {"isnet": "isnet_dis", "isnet_deconv": "deconv_disnet", "isnet_deconv_gt_encoder": "deconv_gt_encoder"}


def check_names(name):
    """The record has every module of the authors' file, in its order, and every module of the model."""
    record = load_component("published", name)
    keys = [key for key, _, _ in KEYS[THEIR_NAMES.get(name, name)] if key not in record.unused]
    assert list(record.names) == list(dict.fromkeys(key.rpartition(".")[0] for key in keys))
    own = {key.rpartition(".")[0] for key in create_model(name).state_dict()}
    assert set(record.names.values()) == own
