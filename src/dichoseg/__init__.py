"""Dichotomous image segmentation: separate the foreground of a high-resolution photograph from its background.

Public names are imported on first use, so `import dichoseg` loads nothing heavy.
"""

from typing import TYPE_CHECKING

from ._lazy import attach

if TYPE_CHECKING:
    __version__: str
    from . import augmentations as augmentations
    from . import contracts as contracts
    from . import data as data
    from . import decoders as decoders
    from . import encoders as encoders
    from . import evaluation as evaluation
    from . import export as export
    from . import heads as heads
    from . import inference as inference
    from . import losses as losses
    from . import metrics as metrics
    from . import models as models
    from . import objectives as objectives
    from . import photographs as photographs
    from . import planning as planning
    from . import scenes as scenes
    from . import service as service
    from . import testing as testing
    from . import training as training
    from . import visualize as visualize
    from . import weights as weights
    from .contracts import FeatureInfo as FeatureInfo
    from .contracts import Prediction as Prediction
    from .contracts import Sample as Sample
    from .contracts import Target as Target
    from .data import FolderDataset as FolderDataset
    from .evaluation import evaluate as evaluate
    from .evaluation import evaluate_folders as evaluate_folders
    from .export import export_onnx as export_onnx
    from .export import export_program as export_program
    from .heads import FusedHeads as FusedHeads
    from .heads import RefinedHeads as RefinedHeads
    from .heads import SideHeads as SideHeads
    from .inference import Predictor as Predictor
    from .inference import predict as predict
    from .models import GTEncoder as GTEncoder
    from .models import Segmenter as Segmenter
    from .planning import propose as propose
    from .preprocessing import Preprocessing as Preprocessing
    from .registry import list_components as list_components
    from .registry import load_component as load_component
    from .scenes import SyntheticDataset as SyntheticDataset
    from .training import Optimization as Optimization
    from .training import fit as fit
    from .training import fit_gt_encoder as fit_gt_encoder
    from .untrusted import UnusableFileError as UnusableFileError
    from .weights import create_model as create_model
    from .weights import load_model as load_model
    from .weights import save_model as save_model
else:
    _MODULES = {
        "_version": "__version__",
        "contracts": "FeatureInfo Prediction Sample Target",
        "data": "FolderDataset",
        "evaluation": "evaluate evaluate_folders",
        "export": "export_onnx export_program",
        "heads": "FusedHeads RefinedHeads SideHeads",
        "inference": "Predictor predict",
        "models": "GTEncoder Segmenter",
        "planning": "propose",
        "preprocessing": "Preprocessing",
        "registry": "list_components load_component",
        "scenes": "SyntheticDataset",
        "training": "Optimization fit fit_gt_encoder",
        "untrusted": "UnusableFileError",
        "weights": "create_model load_model save_model",
        "": "augmentations contracts data decoders encoders evaluation export heads inference losses metrics models "
        "objectives photographs planning scenes service testing training visualize weights",
    }
    __getattr__, __dir__ = attach(__name__, _MODULES)
    __all__ = sorted(name for name in " ".join(_MODULES.values()).split() if name != "__version__")
