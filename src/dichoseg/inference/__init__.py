"""From photographs to masks, and from masks to scores."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .files import PredictedFiles as PredictedFiles
    from .files import predict_files as predict_files
    from .predictor import Predictor as Predictor
    from .predictor import predict as predict
    from .scoring import evaluate as evaluate
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "PredictedFiles": "files",
            "Predictor": "predictor",
            "evaluate": "scoring",
            "predict": "predictor",
            "predict_files": "files",
        },
    )
