"""Inference: masks predicted from photographs."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .predictor import Predictor as Predictor
    from .predictor import predict as predict
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "Predictor": "predictor",
            "predict": "predictor",
        },
        moved={
            "PredictedFiles": "photographs",
            "evaluate": "evaluation",
            "predict_files": "photographs",
        },
    )
