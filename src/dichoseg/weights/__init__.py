"""Weights on disk: saved models, files of published networks, and published weights by name.

A saved model is a folder in the Hugging Face layout: `model.safetensors`, `config.json` and `README.md`. Foreign
files (`.pth`, `.ckpt`, `.safetensors`, `.onnx`) are read as tensors only; nothing in them is ever executed.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .card import ModelCard as ModelCard
    from .catalogue import list_weights as list_weights
    from .catalogue import resolve as resolve
    from .fetching import fetch as fetch
    from .loading import convert_weights as convert_weights
    from .loading import create_model as create_model
    from .loading import load_model as load_model
    from .loading import load_weights as load_weights
    from .saving import save_model as save_model
else:
    __getattr__, __dir__ = attach(  # the catalogue needs no torch
        __name__,
        {
            "card": "ModelCard",
            "catalogue": "list_weights resolve",
            "fetching": "fetch",
            "loading": "convert_weights create_model load_model load_weights",
            "saving": "save_model",
        },
    )
