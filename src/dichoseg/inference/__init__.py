"""Inference: masks predicted from photographs."""

from .._lazy import attach
from .predictor import Predictor as Predictor
from .predictor import predict as predict
from .timing import Benchmark as Benchmark
from .timing import Timing as Timing
from .timing import benchmark as benchmark

__getattr__, __dir__ = attach(__name__, moved={"photographs": "PredictedFiles predict_files", "evaluation": "evaluate"})
