"""Reference values of published networks: arrays, the authors' keys, and the rules that fill their tensors."""

import gzip
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent / "golden/architectures"


def golden(name):
    """The tensors of one file."""
    return {key: torch.from_numpy(value) for key, value in np.load(GOLDEN / f"{name}.npz").items()}


def authors_keys(network):
    """Key, shape and dtype of each tensor in the authors' files, by file."""
    return json.loads(gzip.decompress((GOLDEN / f"{network}_keys.json.gz").read_bytes()))


def filler(network):
    """The module with the rule of a network's tensors, a function of the authors' key and the shape."""
    sys.path.insert(0, str(GOLDEN))  # it imports the rule that all share
    try:
        spec = importlib.util.spec_from_file_location(f"{network}_fill", GOLDEN / f"{network}_fill.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(GOLDEN))
        sys.modules.pop("fill", None)
    return module


def authors_state(keys, fill):
    """A state dict with the authors' keys, filled by a rule."""
    return {
        key: torch.zeros(shape, dtype=torch.int64) if dtype == "int64" else torch.from_numpy(np.array(fill(key, shape)))
        for key, shape, dtype in keys
    }
