"""Creation of models by name, without reading files."""

from __future__ import annotations

import inspect
import json
from typing import Any

import torch

from ..contracts import Model
from ..registry import ComponentName, load_component, make_component


def make_model(name: str, **recipe: Any) -> Model:
    """Make a model by name, and store the name and the arguments in `model.recipe`.

    `dichoseg.create_model` also fills the model with weights.

    Args:
        name: A name in `list_components("models")`, with or without arguments in parentheses.
        **recipe: Arguments of the named recipe, as plain JSON values. `pretrained` is passed on to the encoder of a
            recipe that has `encoder_args` and no `pretrained` of its own.
    """
    wanted = ComponentName.parse(name)
    twice = sorted(wanted.keywords.keys() & recipe.keys())
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice, in the name {name!r} and as an argument")
    recipe = {**wanted.keywords, **recipe}
    name = str(wanted._replace(keywords={}))
    accepted = inspect.signature(load_component("models", str(wanted._replace(positional=(), keywords={})))).parameters
    if "pretrained" in recipe and "pretrained" not in accepted and "encoder_args" in accepted:
        recipe["encoder_args"] = {**(recipe.get("encoder_args") or {}), "pretrained": recipe.pop("pretrained")}
    try:
        plain = json.loads(json.dumps(recipe))
    except TypeError as error:
        raise TypeError(
            f"create_model takes names and plain values ({error}); compose objects with Segmenter(encoder, decoder)"
        ) from error
    try:
        model: Model = make_component("models", name, **recipe)
    except (ImportError, RuntimeError) as error:  # torch's, if torchvision was made for another version of it
        if "torchvision" not in str(error):
            raise
        raise ImportError(
            f"{name} needs the torchvision of torch {torch.__version__}, which cannot be imported ({error}): "
            "pip install --upgrade torch torchvision"
        ) from error
    model.recipe = {**plain, "name": name}
    return model
