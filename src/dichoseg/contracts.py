"""The contract that all parts share: the types they exchange, and the interfaces.

Tensors are annotated with the aliases below, so that a signature states the shapes:

- `Image`: (B, C, H, W) float; normalized for a model, in [0, 1] for an augmentation.
- `Mask`: (B, 1, H, W) float in [0, 1]; 1 is foreground.
- `Logits`: (B, 1, h, w) float, before the sigmoid.
- `Features`: tuple of tensors, finest first; feature *i* is about H / strides[i] by W / strides[i].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias, runtime_checkable

from torch import Tensor, nn

from .checking import whole
from .preprocessing import Preprocessing as Preprocessing
from .records import Metric as Metric
from .records import Weights

Image: TypeAlias = Tensor
Mask: TypeAlias = Tensor
Logits: TypeAlias = Tensor
Features: TypeAlias = tuple[Tensor, ...]
Loss: TypeAlias = Callable[[Logits, Mask], Tensor]
Augmentation: TypeAlias = Callable[[Image, Mask], tuple[Image, Mask]]


class _Sample(NamedTuple):
    image: Tensor
    """(3, H, W) float32, RGB in [0, 1]."""
    mask: Tensor
    """(1, H, W) float32 in [0, 1]; 1 is foreground."""
    name: str = ""
    """Name in messages, files and contact sheets."""


class Sample(_Sample):
    """Item of a data set: one image with its mask, both at native size, and a name.

    A plain `(image, mask)` pair is accepted wherever a `Sample` is. The `weight` is an attribute and no item of the
    tuple, so that `image, mask, name = sample` holds with and without it.
    """

    weight: Tensor | None = None
    """(1, H, W): 1 for pixels that count, 0 for ignored ones; None if all pixels count."""

    def __new__(cls, image: Tensor, mask: Tensor, name: str = "", weight: Tensor | None = None) -> Sample:
        """Make a sample.

        Args:
            image: (3, H, W) float32, RGB in [0, 1].
            mask: (1, H, W) float32 in [0, 1]; 1 is foreground.
            name: Name in messages, files and contact sheets.
            weight: (1, H, W): 1 for pixels that count, 0 for ignored ones. Default: all pixels count.
        """
        sample = super().__new__(cls, image, mask, name)
        sample.weight = weight
        return sample

    def _replace(self, **changes: Any) -> Sample:
        """Return a sample with some parts replaced, as a named tuple does; it keeps the weight."""
        return Sample(**{**self._asdict(), "weight": self.weight, **changes})


class Samples(Protocol):
    """Data for `fit` and `evaluate`: anything with a length and an index, such as a list of pairs.

    An item is a `Sample` or a plain `(image, mask)` pair.
    """

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: int, /) -> Any:
        """One sample."""


@runtime_checkable
class PixelSource(Protocol):
    """Data set that can also return a sample's pixels as its file stores them, which makes training faster.

    `fit` uses `load_pixels` if a data set has it, also inside `torch.utils.data.Subset` and `ConcatDataset`. A subclass
    that overrides `__getitem__` or `load` only is read through that.
    """

    def load_pixels(self, index: int, *, at_least: int | None = None) -> Sample:
        """Return one sample whose image and mask are uint8 in [0, 255] or float32 in [0, 1].

        Args:
            index: Index of the sample.
            at_least: Number of pixels that the image's shorter side must keep; a decoder may reduce the image down to
                that, by a factor that divides both sides. The mask keeps its native size. None keeps the native size of
                both.
        """


@runtime_checkable
class SizeSource(Protocol):
    """Data set that knows its images' sizes without decoding them.

    `fit(sizes=...)` needs it for sizes of several aspect ratios, and finds it as it finds a `PixelSource`.
    """

    def image_size(self, index: int) -> tuple[int, int]:
        """Return the height and width of one sample's image."""


def length(data: Samples) -> int:
    """Return the number of samples; raise a TypeError if the data set has no length or no index."""
    if isinstance(data, str) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        advice = ": give the loader's data set" if hasattr(data, "dataset") else ""
        raise TypeError(f"a data set needs a length and an index, as a list has; got {type(data).__name__}{advice}")
    return len(data)


class _FeatureInfo(NamedTuple):
    channels: tuple[int, ...]
    strides: tuple[int, ...]


class FeatureInfo(_FeatureInfo):
    """Channels and strides of features: two tuples, finest first."""

    __slots__ = ()

    def __new__(cls, channels: Sequence[int], strides: Sequence[int]) -> FeatureInfo:
        """Make a record from any sequences of ints.

        Args:
            channels: Channels of each feature.
            strides: Image side over feature side, each dividing the next (equal is allowed).
        """
        channels = tuple(whole("channels", value, least=1) for value in channels)  # plain ints, as JSON needs them
        strides = tuple(whole("strides", value, least=1) for value in strides)
        if not channels or len(channels) != len(strides):
            raise ValueError(f"channels and strides need one value per feature each; got {channels} and {strides}")
        if any(coarse % fine for fine, coarse in zip(strides, strides[1:], strict=False)):
            raise ValueError(f"strides must divide one another, finest first; got {strides}")
        return super().__new__(cls, channels, strides)


class Prediction(NamedTuple):
    """Return value of every model, in train and in eval mode. Read it by field name."""

    logits: Logits
    """Final logits, at the image's size."""
    side_logits: tuple[Logits, ...] = ()
    """Further logits for deep supervision, at their own sizes; never the final logits again."""
    edge_logits: tuple[Logits, ...] = ()
    """Logits of predicted edges; empty unless the model predicts them."""
    features: Features = ()
    """Features of the decoder, for intermediate supervision."""
    extras: dict[str, Any] = {}  # noqa: RUF012  # a named tuple has no default factory; nothing writes to it
    """Further named outputs, read only by an objective made for them. The default is shared: never change it."""


class Target(NamedTuple):
    """Target of an objective: the mask, and the image and pixel weights that belong to it."""

    mask: Mask
    """(B, 1, H, W) in [0, 1]."""
    image: Image | None = None
    """(B, C, H, W), the model's normalized input; None if the caller has none."""
    weight: Tensor | None = None
    """(B, 1, H, W): 1 for pixels that count, 0 for ignored ones; None if all pixels count."""

    def unweighted_mask(self, objective: Objective) -> Mask:
        """Return the mask; raise a ValueError if there are weights, which `objective` does not use."""
        if self.weight is not None:
            raise ValueError(f"{type(objective).__name__} does not support pixel weights; got Target(weight=...)")
        return self.mask


class Encoder(nn.Module, ABC):
    """Image -> Features, described by `feature_info`; `preprocessing` describes the input it was made for."""

    feature_info: FeatureInfo
    preprocessing: Preprocessing = Preprocessing()

    @abstractmethod
    def forward(self, image: Image) -> Features:
        """Return the features of an image, finest first."""


class Heads(nn.Module, ABC):
    """Features -> Prediction. Built from a `FeatureInfo`."""

    @abstractmethod
    def forward(self, features: Features, size: tuple[int, int]) -> Prediction:
        """Return everything that training needs; `size` is the image's (height, width)."""

    @abstractmethod
    def logits(self, features: Features, size: tuple[int, int]) -> Logits:
        """Return the final logits at the image's size, without the work that only training needs."""


class Decoder(nn.Module, ABC):
    """Features -> Features. Built from a `FeatureInfo`, with one of its own.

    A decoder always resizes to its skip's own size, because backbones round odd sizes differently.
    """

    feature_info: FeatureInfo
    default_heads: ClassVar[Callable[[FeatureInfo], Heads] | None] = None

    @abstractmethod
    def forward(self, features: Features) -> Features:
        """Return the decoder's features, finest first."""


class Model(nn.Module, ABC):
    """Image -> Prediction. A subclass sets `feature_info` and `preprocessing` in its `__init__`."""

    feature_info: FeatureInfo
    """Channels and strides of the prediction's features."""
    preprocessing: Preprocessing
    """Preprocessing of the input."""
    recipe: dict[str, Any] | None = None
    """Name and arguments that `create_model` built the model from; None if it was composed of objects."""
    origin: Weights | None = None
    """Record of the published weights that the model was filled with by name, whose license is on its card."""

    @abstractmethod
    def forward(self, image: Image) -> Prediction:
        """Return everything that training needs."""

    def logits(self, image: Image) -> Logits:
        """Return the final logits of `forward`, without the rest."""
        return self(image).logits

    def features(self, image: Image) -> Features:
        """Return the features for intermediate supervision, without running the heads."""
        return self(image).features


class Objective(nn.Module, ABC):
    """(Prediction, Target) -> scalar that `fit` minimizes: the sum of named terms."""

    @abstractmethod
    def terms(self, prediction: Prediction, target: Target) -> dict[str, Tensor]:
        """Return the weighted scalar terms, each logged under its name."""

    def forward(self, prediction: Prediction, target: Target | Mask) -> Tensor:
        """Return the sum of the terms; a bare mask (B, 1, H, W) is converted to a `Target`."""
        if not isinstance(prediction, Prediction):
            raise TypeError(f"an objective takes the prediction of a model; got {type(prediction).__name__}")
        if isinstance(target, Tensor):
            target = Target(target)
        return sum(self.terms(prediction, target).values(), start=prediction.logits.new_zeros(()))

    def check(self, model: Model) -> None:
        """Raise a ValueError if this objective cannot supervise `model`; `fit` calls it before it starts."""

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Adapt to an epoch, from 1, of a run; `fit` calls it, on this objective and on those inside it."""


def unwrapped(model: object) -> Model:
    """Return a model, also from inside `torch.compile`'s wrapper; raise a TypeError for anything else."""
    inside = getattr(model, "_orig_mod", model)
    if not isinstance(inside, Model):
        raise TypeError(f"wanted a model (create_model and load_model give one); got {type(model).__name__}")
    return inside
