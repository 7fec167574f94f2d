"""Weights on disk: saved models and the published networks' own files.

A saved model is a folder in the Hugging Face layout: `model.safetensors`, `config.json` and `README.md`. Foreign
files (`.pth`, `.ckpt`, `.safetensors`, `.onnx`) are read as tensors only; nothing in them is ever executed.
"""

from .card import ModelCard as ModelCard
from .loading import convert_weights as convert_weights
from .loading import create_model as create_model
from .loading import load_model as load_model
from .loading import load_weights as load_weights
from .saving import save_model as save_model
