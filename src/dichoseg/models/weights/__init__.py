"""Weights on disk: saved models, the published networks' own files, and what turns one into the other.

A saved model is a folder in the Hugging Face layout: `model.safetensors`, `config.json` and `README.md`. Foreign
files are read as tensors alone (`.pth`, `.ckpt`, `.safetensors`, `.onnx`); nothing in them is ever run.
"""

from typing import TYPE_CHECKING

from ..._lazy import attach

if TYPE_CHECKING:
    from .batch_norm import calibrate_batch_norm as calibrate_batch_norm
    from .batch_norm import freeze_batch_norm as freeze_batch_norm
    from .batch_norm import is_uncalibrated as is_uncalibrated
    from .card import ModelCard as ModelCard
    from .conversion import convert_weights as convert_weights
    from .loading import load_weights as load_weights
    from .saved import load_model as load_model
    from .saved import save_model as save_model
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "ModelCard": "card",
            "calibrate_batch_norm": "batch_norm",
            "convert_weights": "conversion",
            "freeze_batch_norm": "batch_norm",
            "is_uncalibrated": "batch_norm",
            "load_model": "saved",
            "load_weights": "loading",
            "save_model": "saved",
        },
    )
