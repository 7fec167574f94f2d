"""Weights on disk: saved models, and the published networks' own files.

A saved model is a folder in the Hugging Face layout: `model.safetensors` and `config.json`.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..contracts import Model
from ..preprocessing import Preprocessing

FORMAT_VERSION = 1
WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"

# the authors' names -> ours, for IS-Net, its GT encoder and their deconv variants
_MODULE_NAMES = (
    (r"^(conv_in\.conv)\.", "encoder.stem.conv."),
    (r"^(conv_in\.bn)\.", "encoder.stem.norm."),
    (r"^(conv_in|stage0)\.", "encoder.stem."),
    (r"^outconv\.", "heads.fuse."),
    (r"\.rebnconvin\.", ".entry."),
    (r"\.conv_s1\.", ".conv."),
    (r"\.bn_s1\.", ".norm."),
)
_NUMBERED_NAMES = (
    (r"^stage(\d+)d\.", "decoder.stages.{}.", 1),
    (r"^stage(\d+)\.", "encoder.stages.{}.", 1),
    (r"^side(\d+)\.", "heads.sides.{}.", 1),
    (r"\.rebnconv(\d+)d\.", ".up.{}.", 1),
    (r"\.rebnconv(\d+)\.", ".down.{}.", 1),
    (r"^stage(\d+)up\.n_upsample\.", "heads.refine.enlarge.{}.", 3),
    (r"^stage(\d+)up\.nConvs\.", "heads.refine.join.{}.", 3),
)


def save_model(model: Model, folder: str | Path) -> None:
    """Save a model's weights, recipe and preprocessing to a folder (Hugging Face layout).

    Files are written beside their place first and then moved, so an interruption leaves the old ones whole.

    Args:
        model: Any model. One composed of objects has no recipe; `load_model(folder, model=mine)` fills it.
        folder: Made if it is not there.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    config = {
        "format_version": FORMAT_VERSION,
        "library": "dichoseg",
        "recipe": _without_downloads(model.recipe),
        "preprocessing": model.preprocessing.to_dict(),
    }
    write_atomically(folder / WEIGHTS_FILE, lambda path: save_file(state, path, metadata={"format": "pt"}))
    write_json(folder / CONFIG_FILE, config)


def load_model(source: str | Path, *, model: Model | None = None) -> Model:
    """Load a model that `save_model` or `fit` wrote.

    Args:
        source: A folder, a run's folder (its best weights are taken, else the last), or a Hugging Face hub id
            such as `"name/model"`.
        model: For a model composed of objects: the same composition, whose weights and preprocessing are filled.

    Returns:
        The model in eval mode, on the CPU.

    Raises:
        FileNotFoundError: Neither a folder with a model nor a hub id.
        ValueError: Files that do not fit together, or a model composed of objects without `model=`.
    """
    folder = _find_folder(source)
    config_path = folder / CONFIG_FILE
    try:
        config = json.loads(config_path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{config_path} is not readable JSON: {error}") from error
    if config.get("library") != "dichoseg" or config.get("format_version", 0) > FORMAT_VERSION:
        raise ValueError(
            f"{config_path} is not a dichoseg model of format {FORMAT_VERSION} or older; "
            f"it says library {config.get('library')!r}, format {config.get('format_version')!r}"
        )
    preprocessing = Preprocessing.from_dict(config["preprocessing"])
    if model is None:
        if config["recipe"] is None:
            raise ValueError(
                f"{folder} holds a model that was composed of objects; compose it again and "
                "load_model(path, model=mine)"
            )
        from .recipes import create_model

        model = create_model(**config["recipe"])
    model.preprocessing = preprocessing
    load_weights(model, folder / WEIGHTS_FILE)
    return model.eval()


def load_weights(model: Model, path: Path) -> None:
    """Fill a model from dichoseg's `.safetensors`, a run's folder, or a published network's `.pth` or `.ckpt`.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A file that cannot be read, or whose weights do not fit; nothing is changed then.
    """
    if path.is_dir():
        path = _find_folder(path) / WEIGHTS_FILE
    state = _read_state(path)
    own = model.state_dict()
    if not set(state) <= set(own):
        refined = any(key.startswith("heads.refine.") for key in own)
        state = {published_key(key, has_refined_heads=refined): value for key, value in state.items()}
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = sorted(set(own) - set(state) - counters)
    extra = sorted(set(state) - set(own))
    wrong = [key for key in sorted(set(own) & set(state)) if own[key].shape != state[key].shape]
    if missing or extra or wrong:
        parts = [
            f"{label} {len(keys)} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
            for label, keys in (("missing", missing), ("unexpected", extra), ("other shapes", wrong))
            if keys
        ]
        raise ValueError(f"{path} does not fit this model: {'; '.join(parts)}")
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise ValueError(f"{path} holds values that are not finite, first in {broken[0]}")
    model.load_state_dict(state, strict=not (counters - set(state)))


def published_key(key: str, *, has_refined_heads: bool = False) -> str:
    """Translate a parameter's name in the authors' IS-Net files to dichoseg's.

    Args:
        key: Such as `stage1.rebnconvin.conv_s1.weight`.
        has_refined_heads: Whether the network is a deconv variant, whose heads stand behind an enlarger.
    """
    for pattern, replacement in _MODULE_NAMES:
        key = re.sub(pattern, replacement, key)
    for pattern, template, first in _NUMBERED_NAMES:
        key = re.sub(pattern, _numbered(template, first), key)
    if has_refined_heads:
        key = re.sub(r"^heads\.(sides|fuse)\.", r"heads.heads.\1.", key)
    return key


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there; nothing half-written stays."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write plain values as indented JSON, whole or not at all."""
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _numbered(template: str, first: int) -> Callable[[re.Match[str]], str]:
    return lambda match: template.format(int(match[1]) - first)


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path} is not a checkpoint of tensors alone, the only kind that is read ({type(error).__name__})"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} holds no dictionary of tensors; got {type(content).__name__}")
    return {re.sub(r"^((module|net|_orig_mod)\.)+", "", str(key)): value for key, value in content.items()}


def _find_folder(source: str | Path) -> Path:
    folder = Path(source)
    for candidate in (folder, folder / "best", folder / "last"):
        if (candidate / CONFIG_FILE).is_file():
            return candidate
    if folder.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        raise FileNotFoundError(f"no model at {source}: wanted a folder with {CONFIG_FILE} and {WEIGHTS_FILE}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(str(source), allow_patterns=[WEIGHTS_FILE, CONFIG_FILE]))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no model at {source}: there is no such folder, and the hub did not give it ({error})"
        ) from error


def _without_downloads(recipe: dict[str, Any] | None) -> dict[str, Any] | None:
    """A recipe whose rebuilt model fetches no pretrained backbone: the saved weights hold it."""
    if recipe is None or not (recipe.get("encoder_args") or {}).get("pretrained"):
        return recipe
    return {**recipe, "encoder_args": {**recipe["encoder_args"], "pretrained": False}}
