"""From a foreign file to a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ...contracts import Model
from .card import ModelCard
from .layout import local_folder
from .loading import from_file
from .reading import StoredWeights
from .saved import save_model


class Conversion(NamedTuple):
    """What came of a conversion."""

    model: Model
    stored: StoredWeights


def convert_weights(
    source: str | Path, folder: str | Path, *, name: str | None = None, license: str = "unknown"
) -> Conversion:
    """Recognise the published network that a file holds, and save it as a model of dichoseg.

    Args:
        source: A file that `load_weights` reads.
        folder: A new or empty folder for the model.
        name: The network, where it is known: a name in `list_components("models")`. Default: it is recognised by the
            file's keys and shapes.
        license: Of the weights, for the model card: an identifier of the Hugging Face hub, such as `"apache-2.0"`.

    Returns:
        The model, with its published preprocessing, and what the file held.

    Raises:
        FileExistsError: The folder already holds something.
        ValueError: A file that holds no published network, or not the named one. Nothing is written then.
    """
    source, folder = Path(source), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} already holds something; wanted a new folder for the model")
    if source.is_dir() or local_folder(source) is not None:
        raise ValueError(f"{source} is a folder or a saved model, for load_model; wanted a foreign file of weights")
    model, stored, left = from_file(source, name=name)
    notes = f"Converted from `{source.name}` ({stored.kind})."
    if left:
        notes += f" It held the answer alone: {len(left)} tensors of other heads are new and untrained."
    save_model(model, folder, card=ModelCard(license=license, notes=notes))
    return Conversion(model.eval(), stored)
