"""Save a model as a folder in the Hugging Face layout."""

from __future__ import annotations

from pathlib import Path

from ..contracts import Model, unwrapped
from ..runtime.files import write_json, write_safetensors
from .card import ModelCard, write_card
from .format import CONFIG_FILE, WEIGHTS_FILE, config_of


def save_model(model: Model, folder: str | Path, *, card: ModelCard | None = None) -> None:
    """Save a model to a folder in the Hugging Face layout: weights, `config.json`, and a model card.

    `config.json` holds the format version, the recipe, the preprocessing, and whether batch norm is frozen. Files are
    written atomically, so an interruption leaves the old ones intact. `hf upload name/model folder` uploads the folder
    to the Hugging Face hub.

    Args:
        model: Any model, compiled or not. One composed of objects has no recipe; `load_model(folder, model=mine)` fills
            it.
        folder: Folder of the model, created if it does not exist.
        card: Contents of `README.md` on data, scores and license.
    """
    model = unwrapped(model)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    write_safetensors(folder / WEIGHTS_FILE, state)
    write_json(folder / CONFIG_FILE, config_of(model))
    write_card(model, folder, card or ModelCard())
