"""A model as a folder in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path

from ...contracts import Model, unwrapped
from .card import ModelCard, card_text
from .config import config_of, read_config
from .layout import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, find_folder, local_folder
from .loading import configure, fill, from_file, load_weights
from .reading import read_weights
from .writing import write_json, write_safetensors, write_text


def save_model(model: Model, folder: str | Path, *, card: ModelCard | None = None) -> None:
    """Save a model to a folder in the Hugging Face layout: weights, `config.json`, and a model card.

    `config.json` holds the format's version, the recipe, the preprocessing, and whether batch norm is frozen. Files are
    written beside their place first and then moved, so an interruption leaves the old ones whole. `hf upload name/model
    folder` uploads it to the Hugging Face hub.

    Args:
        model: Any model, compiled or not. One composed of objects has no recipe; `load_model(folder, model=mine)` fills
            it.
        folder: Made if it is not there.
        card: What `README.md` shall say of the data, the scores and the licence.

    Raises:
        TypeError: Something that is not a model, such as a wrapper around one; nothing is written then.
        OSError: The folder or a file in it cannot be written.
    """
    model = unwrapped(model)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    write_safetensors(folder / WEIGHTS_FILE, state)
    write_json(folder / CONFIG_FILE, config_of(model))
    write_text(folder / CARD_FILE, card_text(model, card or ModelCard()))


def load_model(source: str | Path, *, model: Model | None = None, revision: str | None = None) -> Model:
    """Load a model that `save_model` or `fit` wrote, or that a published network's file holds.

    No code from a folder or a file is run.

    Args:
        source: A folder, a run's folder (its best weights are taken, else the last), a Hugging Face hub id such as
            `"name/model"`, or a file such as `u2net.pth` or `isnet-general-use.onnx`, whose network is recognised.
        model: For a model composed of objects: the same composition, whose weights and preprocessing are filled.
        revision: Branch, tag or commit on the hub. Default: its main branch.

    Returns:
        The model in eval mode, on the CPU.

    Raises:
        FileNotFoundError: Neither a file, nor a folder with a model, nor a hub id that can be fetched.
        ValueError: Files that hold no model or do not fit together, a part from a package that is not installed (the
            message names it), or a model composed of objects without `model=`.
    """
    path = Path(source)
    if path.is_file() and local_folder(path) is None:
        if revision is not None:
            raise ValueError(f"{path} is on this machine, where there are no revisions; got revision={revision!r}")
        if model is None:
            return from_file(path)[0].eval()
        load_weights(model, path)
        return model.eval()
    folder = find_folder(source, revision=revision)
    config = read_config(folder)
    if model is None:
        if config["recipe"] is None:
            raise ValueError(
                f"{folder} holds a model that was composed of objects; compose it again and "
                "load_model(path, model=mine)"
            )
        from ..recipes import create_model

        try:
            model = create_model(**config["recipe"])
        except ValueError as error:
            raise ValueError(f"the model in {folder} cannot be made: {error}") from error
    fill(model, read_weights(folder / WEIGHTS_FILE))
    configure(model, config)
    return model.eval()
