"""Preprocessing of a model's input: size, resize policy and normalization, saved with its weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import torch
import torch.nn.functional as F
from torch import Tensor

from .checking import choice, whole

T = TypeVar("T")

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Conversion of a photograph to a model's input, the same in training, inference and evaluation.

    A photograph is a float tensor in [0, 1]. `resize` brings it to the model's size (still in [0, 1], so that
    augmentations can follow), `normalize` to the values that the model takes, and `restore` resizes the model's output
    to the photograph's size.

    Args:
        size: Size of the input in pixels: (height, width), an int for a square, or None for the photograph's own size.
            A pair of equal values is stored as an int.
        resize_policy: `"stretch"` ignores the aspect ratio (as IS-Net and U²-Net do); `"letterbox"` keeps it and
            pads with black; `"longest_side"` keeps it and pads nothing, so images of different shapes cannot share a
            batch.
        padding: Place of a letterbox's padding: `"end"` is the right or the bottom, `"both"` centers the photograph.
        interpolation: `"bilinear"` or `"bicubic"`, both without aligned corners.
        antialias: Whether to filter before shrinking. IS-Net as published does not.
        to_uint8: Whether to truncate the resized image to 8 bits, as IS-Net's published code does.
        channel_order: `"rgb"` or `"bgr"`.
        scale: `"unit"` leaves values in [0, 1], `"byte"` scales them to [0, 255], `"image_max"` divides each image
            by its largest value.
        mean: Mean to subtract after scaling: one value per channel, or one for all.
        std: Std to divide by after that.
        source: `"image"`, or `"mask"` for networks whose input is the mask, such as a GT encoder.
    """

    size: int | tuple[int, int] | None = 1024
    resize_policy: Literal["stretch", "letterbox", "longest_side"] = "stretch"
    padding: Literal["end", "both"] = "end"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = True
    to_uint8: bool = False
    channel_order: Literal["rgb", "bgr"] = "rgb"
    scale: Literal["unit", "byte", "image_max"] = "unit"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (1.0,)
    source: Literal["image", "mask"] = "image"

    def __post_init__(self) -> None:
        """Check the values."""
        object.__setattr__(self, "size", _plain_size(self.size))
        object.__setattr__(self, "mean", _floats("mean", self.mean))
        object.__setattr__(self, "std", _floats("std", self.std))
        for field, kind in get_type_hints(Preprocessing).items():
            if get_origin(kind) is Literal:
                choice(field, getattr(self, field), get_args(kind))
        lengths = (1,) if self.source == "mask" else (1, 3)
        if len(self.mean) not in lengths or len(self.std) not in lengths:
            count = "one value for a mask" if self.source == "mask" else "one value or three"
            raise ValueError(f"mean and std need {count}; got {self.mean} and {self.std}")
        if not all(math.isfinite(value) for value in self.mean) or not all(0 < value < math.inf for value in self.std):
            raise ValueError(f"mean must be finite, std finite and above 0; got {self.mean} and {self.std}")

    @property
    def channels(self) -> int:
        """Number of channels of the model's input: 3, or 1 for a mask."""
        return 1 if self.source == "mask" else 3

    @property
    def height_width(self) -> tuple[int, int] | None:
        """Size of the input as (height, width); None for the photograph's own size."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def input_of(self, image: T, mask: T) -> T:
        """Return the part of a sample that the model takes: the image, or the mask."""
        return mask if self.source == "mask" else image

    def with_size(self, size: int | tuple[int, int] | None) -> Preprocessing:
        """Return a copy for another size; None returns the same preprocessing."""
        return self if size is None else dataclasses.replace(self, size=size)

    def content_size(self, height: int, width: int, *, scale: float = 1.0) -> tuple[int, int]:
        """Return height and width of a photograph after `resize`, before a letterbox pads it.

        Args:
            height: Height of the photograph, in pixels.
            width: Width of the photograph, in pixels.
            scale: Factor on the model's size, above 1 if an augmentation will crop.
        """
        target = self.height_width or (height, width)
        if self.size is not None and self.resize_policy != "stretch":
            ratio = min(target[0] / height, target[1] / width)
            target = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        return round(target[0] * scale), round(target[1] * scale)

    def resize(self, image: Tensor, *, scale: float = 1.0) -> Tensor:
        """Resize an image or a mask (B, C, H, W) in [0, 1] to the model's size; still in [0, 1].

        Args:
            image: Float image in [0, 1].
            scale: Factor on the model's size, as for `content_size`.
        """
        check_floats(image)
        size = self.content_size(image.shape[-2], image.shape[-1], scale=scale)
        if self.to_uint8:
            # round first: 255 / 255 * 255 is not always 255, and truncation would show it
            resized = self._interpolate(image.mul(255).round_(), size).clamp_(0, 255).floor_().div_(255)
        elif size == tuple(image.shape[-2:]):
            resized = image
        else:
            resized = self._interpolate(image, size).clamp_(0, 1)
        if self.resize_policy == "letterbox" and self.height_width is not None:
            height, width = (round(side * scale) for side in self.height_width)
            top, left = self._offset(size, (height, width))
            resized = F.pad(resized, (left, width - size[1] - left, top, height - size[0] - top))
        return resized

    def normalize(self, image: Tensor) -> Tensor:
        """Normalize an image (B, C, H, W) in [0, 1] for the model."""
        check_floats(image)
        if self.channel_order == "bgr":
            image = image.flip(1)
        if self.scale == "byte":
            image = image * 255
        elif self.scale == "image_max":
            image = image / image.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
        mean = image.new_tensor(self.mean).view(1, -1, 1, 1)
        std = image.new_tensor(self.std).view(1, -1, 1, 1)
        return (image - mean) / std

    def restore(self, output: Tensor, height: int, width: int) -> Tensor:
        """Resize the model's output (B, 1, h, w) to the photograph's height and width, without the letterbox's padding.

        Bilinear, without aligned corners, as IS-Net's published inference does.
        """
        content = self.without_padding(output, height, width)
        return F.interpolate(content, (height, width), mode="bilinear", align_corners=False)

    def without_padding(self, output: Tensor, height: int, width: int) -> Tensor:
        """Return the part of the model's output (B, 1, h, w) that is not a letterbox's padding.

        Args:
            output: Output of the model.
            height: Height of the photograph, in pixels.
            width: Width of the photograph, in pixels.
        """
        content = self.content_size(height, width)
        top, left = self._offset(content, (output.shape[-2], output.shape[-1]))
        return output[..., top : top + content[0], left : left + content[1]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a JSON file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read the values that `to_dict` wrote; raise a ValueError for an unknown key, a TypeError for a wrong type."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown preprocessing keys: {', '.join(unknown)}; was it saved by a newer dichoseg?")
        for field in dataclasses.fields(cls):
            value = values.get(field.name, field.default)
            if isinstance(value, bool) != isinstance(field.default, bool):
                raise TypeError(f"{field.name} must not be {value!r}; its default is {field.default!r}")
        return cls(**values)

    def _offset(self, content: tuple[int, int], whole: tuple[int, int]) -> tuple[int, int]:
        """Return the rows above and the columns left of a photograph in a letterbox."""
        if self.padding == "end" or self.resize_policy != "letterbox":
            return 0, 0
        return (whole[0] - content[0]) // 2, (whole[1] - content[1]) // 2

    def _interpolate(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        if size == tuple(image.shape[-2:]):
            return image
        if self.antialias and image.dtype in (torch.float16, torch.bfloat16):
            return self._interpolate(image.float(), size).to(image.dtype)  # the CPU has no 16-bit kernel
        if len(image) == 1 and not self.antialias:
            # channels-last strides, if that is the memory layout: torch is then up to twice as fast
            image = image[0].movedim(0, -1)[None].movedim(-1, 1)
        return F.interpolate(image, size, mode=self.interpolation, align_corners=False, antialias=self.antialias)


def height_and_width(size: Any) -> tuple[int, int]:
    """Return the sides of a size, an int for a square or (height, width), as plain ints, also from NumPy or a list."""
    sides = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size,)
    if len(sides) > 2 or not sides:
        raise ValueError(f"size must be an int, (height, width) or None; got {size!r}")
    return whole("size", sides[0], least=1), whole("size", sides[-1], least=1)


def _plain_size(size: Any) -> int | tuple[int, int] | None:
    """Return a size as plain ints, as JSON needs them: an int for a square."""
    if size is None:
        return None
    height, width = height_and_width(size)
    return height if height == width else (height, width)


def _floats(name: str, values: Any) -> tuple[float, ...]:
    """Convert to plain floats, as JSON needs them, also from an array or a tensor."""
    try:
        return tuple(float(value) for value in values)
    except TypeError:
        raise TypeError(f"{name} must be one number per channel, or one for all; got {values!r}") from None


def check_floats(image: Tensor) -> None:
    """Check that an image is float, since torch would also compute with bytes."""
    if not image.is_floating_point():
        raise TypeError(f"an image must be float, in [0, 1]; got {image.dtype} (divide bytes by 255)")
