"""Model card of a saved model, for people and for the Hugging Face hub."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from ..contracts import Model
from ..runtime.files import write_text
from .format import CARD_FILE

SUMMARY_AND_USE = {
    "image": (
        "Separates the foreground of a photograph from its background; made with dichoseg.",
        'mask = dichoseg.predict("photo.jpg", model)  # (H, W) in [0, 1]',
    ),
    "mask": (
        "A GT encoder: it takes masks, and supervises a network for photographs in training.",
        "objective = dichoseg.objectives.IntermediateSupervision(model)",
    ),
}
"""Source of the input -> first sentence of the card, and line of code that uses the model."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Contents of a model card beyond the model itself.

    Args:
        data: Training data, in a sentence or two.
        scores: Metric -> value.
        evaluated_on: Data that the scores were measured on.
        license: License of the weights: an identifier of the Hugging Face hub, such as `"apache-2.0"`. The license of
            the training data can restrict it.
        notes: Anything else, such as the origin of the weights.
    """

    data: str = ""
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    evaluated_on: str = ""
    license: str = "unknown"
    notes: str = ""


def write_card(model: Model, folder: Path, card: ModelCard) -> None:
    """Write the card of a model into the model's folder."""
    write_text(folder / CARD_FILE, card_text(model, card))


def card_text(model: Model, card: ModelCard) -> str:
    """Return a model card in Markdown, which starts with the metadata that the Hugging Face hub reads."""
    from huggingface_hub import ModelCardData

    name = (model.recipe or {}).get("name", type(model).__name__)
    origin = model.origin
    card_license = origin.license or "unknown" if origin and card.license == "unknown" else card.license
    fields = ModelCardData(
        library_name="dichoseg",
        pipeline_tag="image-segmentation",
        license=card_license,
        tags=["dichoseg", "dichotomous-image-segmentation", "background-removal"],
    )
    parameters = sum(value.numel() for value in model.parameters())
    recipe = "Composed of objects." if model.recipe is None else _fields(model.recipe)
    load = "load_model(folder)" if model.recipe else "load_model(folder, model=mine)"
    summary, use = SUMMARY_AND_USE[model.preprocessing.source]
    sections = {
        "Use": f"```python\nimport dichoseg\n\nmodel = dichoseg.{load}\n{use}\n```",
        "Recipe": f"{recipe}\n\n{parameters:,} parameters.",
        "Preprocessing": _fields(model.preprocessing.to_dict()),
        "Data": card.data or "Not stated.",
        "Scores": _table(card),
        "License": f"License of the weights: {card_license}.",
    }
    if origin:
        sections["License"] += f"\n\nThe model was filled with the published weights {origin.name}: {origin.terms}."
    if card.notes:
        sections["Notes"] = card.notes
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"---\n{fields.to_yaml()}\n---\n\n# {name}\n\n{summary}\n\n{body}\n"


def _fields(values: Mapping[str, object]) -> str:
    return "\n".join(f"- {name}: `{json.dumps(value)}`" for name, value in values.items())


def _table(card: ModelCard) -> str:
    if not card.scores:
        return "Not stated."
    rows = "\n".join(f"| `{name}` | {value:.4f} |" for name, value in card.scores.items())
    on = f"On {card.evaluated_on}.\n\n" if card.evaluated_on else ""
    return f"{on}| metric | value |\n|---|---|\n{rows}"
