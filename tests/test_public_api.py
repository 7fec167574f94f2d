"""The public API is this list; changing it is a decision, made here."""

import functools
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import dichoseg

ROOT = Path(__file__).parents[1]
PUBLIC = {
    "dichoseg": "FeatureInfo FolderDataset FusedHeads GTEncoder Optimization Prediction Predictor Preprocessing "
    "RefinedHeads Sample Segmenter SideHeads SyntheticDataset Target UnusableFileError augmentations contracts "
    "create_model data decoders "
    "encoders evaluate evaluate_folders evaluation export export_onnx export_program fit fit_gt_encoder heads "
    "inference list_components load_component load_model losses metrics models objectives photographs planning predict "
    "propose save_model scenes service testing training visualize weights",
    "dichoseg.encoders": "CaffeResNet50Encoder ImageReference MultiScaleInput PatchInjectionEncoder RSUEncoder "
    "Res2NetEncoder SwinEncoder TimmEncoder VGG16Encoder",
    "dichoseg.decoders": "BilateralReferenceDecoder DeconvDecoder DeconvEnlarger EdgeGuidedDecoder FPNDecoder "
    "PyramidDecoder RSUDecoder",
    "dichoseg.heads": "EdgeGuidedHeads FusedHeads GradientHeads PyramidHeads RefinedHeads SideHeads",
    "dichoseg.losses": "BCELoss BalancedBCELoss BorderBCELoss DiceLoss EdgeBCELoss EdgeMapBCELoss IoULoss MAELoss "
    "PixelIoULoss SSIMLoss StructureLoss",
    "dichoseg.objectives": "DeepSupervision EdgeSupervision FinalEpochs GradientSupervision IntermediateSupervision "
    "MultiViewSupervision PyramidConsistency PyramidSupervision WeightedSum",
    "dichoseg.augmentations": "BlurPatchesTransform BorderCropTransform Compose KorniaAugmentation RandomApply "
    "RandomBlurPatches RandomBorderCrop RandomCrop RandomElastic RandomRotate90 RandomScaleCrop SeededTransform Steps "
    "cpu_augmentation gpu_augmentation",
    "dichoseg.metrics": "Evaluator OnlineMetrics Pair adaptive_f adaptive_measure adaptive_msiou binary_measure "
    "binary_msiou boundary_iou e_measure f_curve hce mae mean_boundary_accuracy measure_curve mse msiou_curve "
    "s_measure skeleton weighted_f_measure",
    "dichoseg.models": "GTEncoder MultiViewSegmenter Segmenter",
    "dichoseg.weights": "ModelCard convert_weights create_model fetch list_weights load_model load_weights resolve "
    "save_model",
    "dichoseg.inference": "Benchmark Predictor Timing benchmark predict",
    "dichoseg.photographs": "PredictedFiles cut_out estimate_foreground predict_files",
    "dichoseg.evaluation": "Comparison Scores compare_folders evaluate evaluate_folders write_worst",
    "dichoseg.export": "export_onnx export_program",
    "dichoseg.testing": "ConformanceError check_augmentation check_decoder check_encoder check_heads check_loss "
    "check_metric check_model check_objective check_published",
    "dichoseg.training": "Batch Batches EarlyStopping Optimization TensorBoard adamw calibrate_batch_norm "
    "checkpoint_activations constant cosine fit fit_gt_encoder freeze freeze_batch_norm is_uncalibrated overfit "
    "parameter_groups step_decay",
    "dichoseg.service": "Limits create_app",
    "dichoseg.planning": "FittingOption Machine MemoryForecast Proposal Recipe describe_machine fitting_options "
    "forecast_memory propose",
    "dichoseg.visualize": "contact_sheet data_sheet error_map learning_curves metric_curves outlined "
    "side_outputs thumbnail",
    "dichoseg.data": "DataReport FolderDataset Problem find_folders open_folders pixel_limit read_image read_mask",
    "dichoseg.scenes": "SyntheticDataset",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_value_public_names(module):
    package = importlib.import_module(module)
    for path in Path(package.__file__).parent.glob("*.py") if module == "dichoseg.metrics" else ():
        importlib.import_module(f"{module}.{path.stem}" if path.stem != "__init__" else module)
    text = Path(package.__file__).read_text()
    assert set(re.findall(r"^ *from \.\S* import \w+ as (\w+)$", text, re.MULTILINE)) == set(PUBLIC[module].split())
    for name in PUBLIC[module].split():
        assert getattr(package, name) is not None
        assert name in dir(package)
        assert module != "dichoseg.metrics" or not inspect.ismodule(getattr(package, name)), "hidden by its own file"


FORMER = {"inference/cutout.py", "inference/memory.py", "models/recipes.py"}
"""Modules that only forward former names; `test_deprecated.py` tests them."""


@functools.cache
def entries() -> dict[str, object]:
    """What the reference has an entry for: path -> object."""
    text = "\n".join(path.read_text() for path in (ROOT / "docs/reference").glob("*.md"))
    found: dict[str, object] = {}
    for path in re.findall(r"^::: (\S+)", text, re.MULTILINE):
        assert path not in found, f"two entries for {path}"
        found[path] = pkgutil.resolve_name(path)
    return found


@functools.cache
def shown() -> frozenset[str]:
    """The words of examples, and of pages but for the entries of the reference."""
    pages = [re.sub(r"^::: .*", "", path.read_text(), flags=re.MULTILINE) for path in (ROOT / "docs").rglob("*.md")]
    examples = [path.read_text() for path in (ROOT / "examples").rglob("*.py")]
    return frozenset(re.findall(r"\w+", "\n".join(pages + examples)))


@pytest.mark.parametrize("module", PUBLIC)
def test_value_public_names_are_in_the_reference(module):
    for name in PUBLIC[module].split():
        value = getattr(importlib.import_module(module), name)
        if inspect.ismodule(value):
            modules = {getattr(entry, "__module__", "") for entry in entries().values()}
            assert any(part.startswith(value.__name__) for part in modules), f"{value.__name__} has no entry"
        else:
            assert any(entry is value for entry in entries().values()), f"docs/reference has no entry for {name}"


@pytest.mark.parametrize("module", PUBLIC)
def test_value_public_names_are_shown(module):
    assert [name for name in PUBLIC[module].split() if name not in shown()] == [], "in no example and on no page"


def test_value_what_the_reference_lists_has_a_docstring():
    assert [path for path, value in entries().items() if not (value.__doc__ or "").strip()] == []


def test_error_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'Fit'"):
        dichoseg.Fit  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import dichoseg",
        "import dichoseg.cli",
        "import sys; sys.argv=['dichoseg','--help']; import runpy; runpy.run_module('dichoseg')",
    ],
)
def test_value_import_is_light(statement):
    code = (
        f"try:\n    exec({statement!r})\nexcept SystemExit: pass\n"
        "import sys; print([m for m in 'torch timm kornia albumentations cv2 numpy PIL'.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_value_packages_are_reached_from_the_top():
    code = (
        "import sys\n"
        f"for name in {list(PUBLIC)[1:]}:\n"
        "    for module in [module for module in sys.modules if module.partition('.')[0] == 'dichoseg']:\n"
        "        del sys.modules[module]\n"
        "    import dichoseg; eval(name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_value_entry_points_are_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for group, written in project["entry-points"].items():
        installed = {e.name: e.value for e in metadata.entry_points(group=group) if e.dist.name == "dichoseg"}
        assert installed == written, "pyproject.toml and the installed metadata differ: reinstall (make setup)"


def test_value_version_is_in_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert dichoseg.__version__ == version, "reinstall (make setup)"
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_value_every_source_file_has_its_test():
    source, tests = ROOT / "src/dichoseg", ROOT / "tests"
    exempt = {"__init__.py", "__main__.py"}
    files = [path.relative_to(source) for path in source.rglob("*.py") if path.name not in exempt]
    files = [path for path in files if str(path) not in FORMER]
    assert len(files) > 20
    assert [str(p) for p in files if not (tests / p.parent / f"test_{p.name.lstrip('_')}").exists()] == []
