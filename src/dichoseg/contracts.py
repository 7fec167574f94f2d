"""The contract that every part shares: what is handed from one to the next, and the interfaces.

Tensors are annotated with the aliases below, because the signature then says the shape:

- `Image`: (B, C, H, W) float; what a model takes is normalised, what an augmentation takes is in [0, 1].
- `Mask`: (B, 1, H, W) float in [0, 1]; 1 is foreground.
- `Logits`: (B, 1, h, w) float, before the sigmoid.
- `Features`: tuple of tensors, finest first; feature *i* is about H / strides[i] by W / strides[i].
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

import numpy as np
from torch import Tensor, nn

from .preprocessing import Preprocessing as Preprocessing

Image: TypeAlias = Tensor
Mask: TypeAlias = Tensor
Logits: TypeAlias = Tensor
Features: TypeAlias = tuple[Tensor, ...]


class Sample(NamedTuple):
    """What a data set yields: one image with its mask, both at native size.

    A plain `(image, mask)` pair is accepted wherever a `Sample` is.
    """

    image: Tensor
    """(3, H, W) float32, RGB in [0, 1]."""
    mask: Tensor
    """(1, H, W) float32 in [0, 1]; 1 is foreground."""
    name: str = ""
    """What messages, files and contact sheets call it."""


class Samples(Protocol):
    """What `fit` and `evaluate` take as data: anything with a length and an index, such as a list of pairs.

    An item is a `Sample` or a plain `(image, mask)` pair.
    """

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: int, /) -> Any:
        """One sample."""


def length(data: Samples) -> int:
    """Number of samples; a TypeError where the data set has none to tell."""
    if isinstance(data, str) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise TypeError(f"a data set needs a length and an index, as a list has; got {type(data).__name__}")
    return len(data)


class _FeatureInfo(NamedTuple):
    channels: tuple[int, ...]
    strides: tuple[int, ...]


class FeatureInfo(_FeatureInfo):
    """Channels and strides of some features: two tuples, finest first.

    Args:
        channels (Sequence[int]): Channels of each feature.
        strides (Sequence[int]): Image side over feature side, each dividing the next (equal is allowed).

    Raises:
        TypeError: Something else than whole numbers.
        ValueError: Numbers that do not fit together.
    """

    __slots__ = ()

    def __new__(cls, channels: Sequence[int], strides: Sequence[int]) -> FeatureInfo:
        """Check the numbers once, where they enter."""
        channels, strides = _whole_numbers("channels", channels), _whole_numbers("strides", strides)
        if not channels or len(channels) != len(strides):
            raise ValueError(f"channels and strides need one value per feature each; got {channels} and {strides}")
        if min(channels) < 1 or min(strides) < 1:
            raise ValueError(f"channels and strides must be positive; got {channels} and {strides}")
        if any(coarse % fine for fine, coarse in zip(strides, strides[1:], strict=False)):
            raise ValueError(f"strides must divide one another, finest first; got {strides}")
        return super().__new__(cls, channels, strides)


def whole_number(name: str, value: int, *, least: int = 0) -> int:
    """An argument that says how many; a ValueError below `least`, a TypeError where it is no whole number."""
    if not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be {least} or more; got {value}")
    return int(value)


def _whole_numbers(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Plain numbers, which JSON takes, also where they come from NumPy."""
    try:
        return tuple(int(operator.index(value)) for value in values)
    except TypeError:
        raise TypeError(f"{name} must be whole numbers, one per feature; got {values!r}") from None


class Prediction(NamedTuple):
    """What every model returns, in training and evaluation alike. Read it by name."""

    logits: Logits
    """The answer, at the image's size."""
    side_logits: tuple[Logits, ...] = ()
    """Further answers for deep supervision, at their own sizes; never the answer again."""
    edge_logits: tuple[Logits, ...] = ()
    """Predicted edges; empty unless the model predicts them."""
    features: Features = ()
    """The decoder's features, which intermediate supervision sees."""


class Encoder(nn.Module, ABC):
    """Image -> Features. Says what it yields in `feature_info`, and what input it was made for."""

    feature_info: FeatureInfo
    preprocessing: Preprocessing = Preprocessing()

    @abstractmethod
    def forward(self, image: Image) -> Features:
        """Features of an image, finest first."""


class Heads(nn.Module, ABC):
    """Features -> Prediction. Built from a `FeatureInfo`."""

    @abstractmethod
    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Everything that training needs; `size` is the image's (height, width)."""

    @abstractmethod
    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """The answer alone, at the image's size, without the work that only training needs."""


class Decoder(nn.Module, ABC):
    """Features -> Features. Built from a `FeatureInfo`, with one of its own.

    A decoder resizes to its skip's own size, always, because backbones round odd sizes differently.
    """

    feature_info: FeatureInfo
    default_heads: ClassVar[Callable[[FeatureInfo], Heads] | None] = None

    @abstractmethod
    def forward(self, features: Features) -> Features:
        """Features of the decoder, finest first."""


class Model(nn.Module, ABC):
    """Image -> Prediction, with the preprocessing that its input needs.

    `recipe` holds the name and the arguments that `create_model` built it from; None for a model composed of
    objects.
    """

    feature_info: FeatureInfo
    preprocessing: Preprocessing
    recipe: dict[str, Any] | None = None

    @abstractmethod
    def forward(self, image: Image) -> Prediction:
        """Everything that training needs."""

    def logits(self, image: Image) -> Logits:
        """The answer of `forward` and nothing beyond it."""
        return self(image).logits

    def features(self, image: Image) -> Features:
        """The features that intermediate supervision sees, without the heads."""
        return self(image).features


def unwrapped(model: object) -> Model:
    """A model, also out of what `torch.compile` gives; a TypeError where it is none."""
    inside = getattr(model, "_orig_mod", model)
    if not isinstance(inside, Model):
        raise TypeError(f"wanted a model (create_model and load_model give one); got {type(model).__name__}")
    return inside


class Objective(nn.Module, ABC):
    """(Prediction, Mask) -> scalar: what `fit` minimises, the sum of named terms."""

    @abstractmethod
    def terms(self, prediction: Prediction, mask: Mask) -> dict[str, Tensor]:
        """The weighted scalar terms, each logged under its name."""

    def forward(self, prediction: Prediction, mask: Mask) -> Tensor:
        """The sum of the terms."""
        return sum(self.terms(prediction, mask).values(), start=prediction.logits.new_zeros(()))

    def check(self, model: Model) -> None:
        """Raise a ValueError where this objective cannot supervise `model`; `fit` asks before it starts."""
