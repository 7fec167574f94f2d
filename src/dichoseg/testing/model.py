"""Conformance check of whole models."""

from __future__ import annotations

import dataclasses
import functools
import math
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ..contracts import Features, Image, Model
from ..inference import Predictor
from ..runtime.seeding import seeded
from ..training import Optimization, fit
from ..weights import load_model, save_model
from .common import (
    attempt,
    build,
    check_feature_info,
    check_features,
    check_kind,
    check_preprocessing,
    require,
    require_same,
)
from .module import Subject, check_copies, check_evaluation, check_gradients, check_places
from .prediction import check_final_logits, check_form, check_prediction


def check_model(make: Callable[[], Model], *, size: tuple[int, int] = (65, 97), side: int = 96) -> None:
    """Check that a model keeps to the contract.

    - It returns a `Prediction` in train and in eval mode: logits at the image's size, also if that is odd, side logits
      that do not repeat them, and features that match its `feature_info`.
    - `logits(image)` and `features(image)` give the logits and features of the whole prediction.
    - In eval mode the result for an image does not depend on the others in the batch.
    - A gradient reaches each parameter; the input is not changed.
    - It can be copied and pickled, and runs under bfloat16 autocast and on other devices.
    - `save_model` and `load_model` restore it.
    - `Predictor` makes the same map of a photograph as the model itself.
    - A step of `fit` trains it.

    Args:
        make: Class or function without arguments that builds the model. A named model,
            `functools.partial(create_model, "isnet")`, is also rebuilt from its recipe.
        size: Height and width of the images to try, best odd.
        side: Side of the square images for training and prediction, in pixels.
    """
    with seeded(0):
        model = build("model", make)
        name = type(model).__name__
        check_kind(name, model, Model)
        check_feature_info(name, model)
        check_preprocessing(
            name, model, "set self.preprocessing = Preprocessing(...) in __init__, or take the encoder's"
        )
        if model.preprocessing.size is not None:
            model.preprocessing = dataclasses.replace(model.preprocessing, size=side)
        image = torch.randn(2, model.preprocessing.channels, *size)
        _check_prediction(name, model, image)
        subject = Subject(name, model, make, functools.partial(_run, name), (image,))
        for check in (check_evaluation, check_gradients, check_copies, check_places):
            check(subject)
        _check_saved(name, model, make, image)
        _check_predictor(name, model, side)
        _check_training(name, model, side)


def _run(name: str, model: Any, inputs: Features) -> Features:
    (image,) = inputs
    prediction = model(image)
    check_form(name, prediction, batch=len(image), size=(image.shape[-2], image.shape[-1]))
    extras = (value for value in tree_leaves(prediction.extras) if isinstance(value, Tensor))
    return (prediction.logits, *prediction.side_logits, *prediction.edge_logits, *extras)


@torch.no_grad()
def _check_prediction(name: str, model: Model, image: Image) -> None:
    size = (image.shape[-2], image.shape[-1])
    with attempt(
        name, f"forward on images of {size[0]} by {size[1]} pixels", "take any size, or name one that it takes by size="
    ):
        prediction = model.eval()(image)
    check_form(name, prediction, batch=len(image), size=size)
    check_features(f"{name}, features", prediction.features, model.feature_info, batch=len(image))
    check_prediction(name, prediction)
    check_final_logits(name, prediction, model.logits(image), "logits(image)")
    wanted = "features(image) to give the features of the prediction, in eval mode"
    require_same(name, model.features(image), prediction.features, wanted, "intermediate supervision uses both")


@torch.no_grad()
def _check_saved(name: str, model: Model, make: Callable[[], Model], image: Image) -> None:
    """Check that the model is restored from its folder: by its recipe, or without one into another instance."""
    with (
        tempfile.TemporaryDirectory() as folder,
        attempt(
            name,
            "save_model and load_model",
            "its parameters and buffers must hold its state; its recipe must rebuild it",
        ),
    ):
        save_model(model, folder)
        loaded = load_model(folder, model=None if model.recipe else make())
    wanted = "the same preprocessing after save_model and load_model"
    change = "keep it in self.preprocessing"
    require(loaded.preprocessing == model.preprocessing, name, wanted, loaded.preprocessing, change)
    require_same(
        name,
        [loaded.logits(image)],
        [model.eval().logits(image)],
        "the same logits after save_model and load_model",
        "it holds values that state_dict lacks: make them parameters, or buffers with register_buffer",
    )


def _check_predictor(name: str, model: Model, side: int) -> None:
    """Check that `Predictor`, which prepares a copy of the model, makes the same map of a photograph."""
    preprocessing = model.preprocessing
    photograph = torch.rand(preprocessing.channels, side - 3, side + 7)
    with attempt(
        name, "Predictor(model)(photograph)", "it copies the model, folds its batch norms and calls logits(image)"
    ):
        found = torch.from_numpy(Predictor(model, precision="float32")(photograph))
    with torch.no_grad():
        image = preprocessing.normalize(preprocessing.resize(photograph[None]))
        wanted = preprocessing.restore(model.eval().logits(image).sigmoid(), side - 3, side + 7)[0, 0]
    require_same(
        name,
        [found],
        [wanted],
        "the same map from Predictor as from logits(image)",
        "its copy has batch norms folded into the convolutions before them: let nothing else use the outputs of these",
    )


def _check_training(name: str, model: Model, side: int) -> None:
    """Check that a step of `fit` gives a finite loss and changes the weights."""
    before = [float(value.detach().double().square().sum()) for value in model.parameters()]
    with attempt(name, "a step of fit", "it trains on a batch of two with the model's default objective"):
        history = fit(
            model,
            [(torch.rand(3, side, side), (torch.rand(1, side, side) > 0.5).float()) for _ in range(2)],
            optimization=Optimization(optimizer=torch.optim.SGD, learning_rate=0.1, precision="float32"),
            epochs=1,
            batch_size=2,
            device="cpu",
        )
    after = [float(value.detach().double().square().sum()) for value in model.parameters()]
    require(
        math.isfinite(history[0]["loss"]) and before != after,
        name,
        "a step of fit with a finite loss that changes the weights",
        f"loss {history[0]['loss']:.4g}, weights {'changed' if before != after else 'unchanged'}",
        "let gradients through, and leave its parameters trainable",
    )
