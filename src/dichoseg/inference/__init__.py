"""Inference: masks predicted from photographs."""

from .._lazy import attach
from .predictor import Predictor as Predictor
from .predictor import predict as predict

__getattr__, __dir__ = attach(__name__, moved={"photographs": "PredictedFiles predict_files", "evaluation": "evaluate"})
