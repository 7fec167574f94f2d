"""Former public paths and names warn and work until 0.4."""

import importlib
import subprocess
import sys

import pytest

import dichoseg

MOVED = {
    "dichoseg.models": {"dichoseg.weights": "ModelCard create_model load_model save_model"},
    "dichoseg.models.weights": {
        "dichoseg.weights": "ModelCard convert_weights load_model load_weights save_model",
        "dichoseg.training": "calibrate_batch_norm freeze_batch_norm is_uncalibrated",
    },
    "dichoseg.models.recipes": {
        "dichoseg.weights": "create_model",
        "dichoseg.models.isnet": "isnet isnet_gt_encoder isnet_deconv isnet_deconv_gt_encoder",
        "dichoseg.models.u2net": "u2net u2netp",
        "dichoseg.models.egnet": "egnet_resnet50 egnet_vgg16",
    },
    "dichoseg.inference": {
        "dichoseg.evaluation": "evaluate",
        "dichoseg.photographs": "predict_files PredictedFiles",
    },
    "dichoseg.inference.memory": {"dichoseg.runtime.memory": "keep_memory"},
    "dichoseg.inference.cutout": {"dichoseg.photographs": "cut_out estimate_foreground"},
    "dichoseg.losses": {"dichoseg.objectives": "DeepSupervision EdgeSupervision IntermediateSupervision WeightedSum"},
    "dichoseg.decoders": {"dichoseg.heads": "EdgeGuidedHeads"},
    "dichoseg.data": {"dichoseg.scenes": "SyntheticDataset"},
    "dichoseg.blocks": {
        "dichoseg.heads": "FusedHeads RefinedHeads SideHeads",
        "dichoseg.masks": "edge_band mask_edges",
    },
}
CASES = [(old, new, name) for old, places in MOVED.items() for new, names in places.items() for name in names.split()]


@pytest.mark.parametrize(("old", "new", "name"), CASES)
def test_value_a_former_path_is_the_new_one(old, new, name):
    package = importlib.import_module(old)
    with pytest.warns(DeprecationWarning, match=rf"{old}\.{name} is {new}\.{name} since 0\.2, and goes in 0\.4"):
        former = getattr(package, name)
    assert former is getattr(importlib.import_module(new), name)
    assert name not in dir(package), "listed at its new place only"


def test_value_a_former_import_statement():
    with pytest.warns(DeprecationWarning, match=r"dichoseg\.losses\.WeightedSum is dichoseg\.objectives\.WeightedSum"):
        from dichoseg.losses import WeightedSum  # noqa: F401
    with pytest.warns(DeprecationWarning, match="freeze_batch_norm since"):
        dichoseg.models.weights.freeze_batch_norm  # noqa: B018


def test_value_a_renamed_function():
    with pytest.warns(
        DeprecationWarning, match=r"visualize\.labelled_sheet is dichoseg\.visualize\.contact_sheet since"
    ):
        assert dichoseg.visualize.labelled_sheet is dichoseg.visualize.contact_sheet


def test_value_a_former_subpackage_is_an_attribute():
    code = "import dichoseg; print(dichoseg.models.weights.load_weights.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "dichoseg.weights.loading"


def test_error_a_name_that_never_was():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dichoseg.models.weights.nothing  # noqa: B018
