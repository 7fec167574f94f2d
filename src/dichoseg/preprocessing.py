"""What a model expects of its input: size, resize policy and normalisation, saved with its weights."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The way from a photograph to a model's input, the same in training, inference and evaluation.

    A photograph is a float tensor in [0, 1]. `resize` brings it to the model's size (still in [0, 1], so that
    augmentations can follow), `normalize` to the values that the model takes, and `restore` brings a map that
    came out of the model back to the photograph's size.

    Args:
        size: Side of the square input, in pixels; None keeps the photograph's own size.
        resize_policy: `"stretch"` ignores the aspect ratio (as IS-Net and U²-Net do); `"letterbox"` keeps it and
            fills the right or the lower end with black; `"longest_side"` keeps it and fills nothing, so images
            of different shapes cannot share a batch.
        interpolation: `"bilinear"` or `"bicubic"`, both without aligned corners.
        antialias: Whether shrinking filters first. IS-Net as published does not.
        to_uint8: Truncate the resized image to 8 bits, as IS-Net's published code does.
        channel_order: `"rgb"` or `"bgr"`.
        scale: `"unit"` leaves values in [0, 1], `"byte"` puts them in [0, 255], `"image_max"` divides each image
            by its largest value.
        mean: Subtracted from each channel after scaling. One value per channel, or one for all.
        std: Divides each channel after that.
        source: `"image"`, or `"mask"` for networks that look at the mask itself, such as a GT encoder.

    Raises:
        TypeError: A size that is no whole number, or a mean or std that is no sequence of numbers.
        ValueError: A value out of its range, or one for each of three channels where the input is the mask.
    """

    size: int | None = 1024
    resize_policy: Literal["stretch", "letterbox", "longest_side"] = "stretch"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    antialias: bool = True
    to_uint8: bool = False
    channel_order: Literal["rgb", "bgr"] = "rgb"
    scale: Literal["unit", "byte", "image_max"] = "unit"
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (1.0,)
    source: Literal["image", "mask"] = "image"

    def __post_init__(self) -> None:
        """Check the values once, where they enter."""
        object.__setattr__(self, "size", _whole_number(self.size))
        object.__setattr__(self, "mean", _numbers("mean", self.mean))
        object.__setattr__(self, "std", _numbers("std", self.std))
        if self.size is not None and self.size < 1:
            raise ValueError(f"size must be a positive number of pixels or None; got {self.size}")
        choices = {
            "resize_policy": ("stretch", "letterbox", "longest_side"),
            "interpolation": ("bilinear", "bicubic"),
            "channel_order": ("rgb", "bgr"),
            "scale": ("unit", "byte", "image_max"),
            "source": ("image", "mask"),
        }
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                raise ValueError(f"{field} must be one of {', '.join(allowed)}; got {getattr(self, field)!r}")
        lengths = (1,) if self.source == "mask" else (1, 3)
        if len(self.mean) not in lengths or len(self.std) not in lengths:
            count = "one value for a mask" if self.source == "mask" else "one value or three"
            raise ValueError(f"mean and std need {count}; got {self.mean} and {self.std}")
        if not all(math.isfinite(value) for value in self.mean) or not all(0 < value < math.inf for value in self.std):
            raise ValueError(f"mean must be finite, std finite and above 0; got {self.mean} and {self.std}")

    @property
    def channels(self) -> int:
        """Channels of the model's input: 3, or 1 where it is the mask."""
        return 1 if self.source == "mask" else 3

    def content_size(self, height: int, width: int, *, scale: float = 1.0) -> tuple[int, int]:
        """Height and width of a photograph after `resize`, before a letterbox fills it up.

        Args:
            height: The photograph's height, in pixels.
            width: Its width.
            scale: Factor on the model's size, above 1 where an augmentation will crop.
        """
        target = (height, width) if self.size is None else (self.size, self.size)
        if self.size is not None and self.resize_policy != "stretch":
            ratio = self.size / max(height, width)
            target = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        return round(target[0] * scale), round(target[1] * scale)

    def resize(self, image: Tensor, *, scale: float = 1.0) -> Tensor:
        """Bring an image or a mask (B, C, H, W) in [0, 1] to the model's size; still in [0, 1].

        Args:
            image: Floats in [0, 1].
            scale: As for `content_size`.

        Raises:
            TypeError: Whole numbers, such as the bytes of a file.
        """
        _check_floats(image)
        size = self.content_size(image.shape[-2], image.shape[-1], scale=scale)
        if self.to_uint8:
            # whole numbers first: 255 / 255 * 255 is not always 255, and truncation would show it
            resized = self._interpolate(image.mul(255).round_(), size).clamp_(0, 255).floor_().div_(255)
        elif size == tuple(image.shape[-2:]):
            resized = image
        else:
            resized = self._interpolate(image, size).clamp_(0, 1)
        if self.resize_policy == "letterbox" and self.size is not None:
            side = round(self.size * scale)
            resized = F.pad(resized, (0, side - size[1], 0, side - size[0]))
        return resized

    def normalize(self, image: Tensor) -> Tensor:
        """Turn an image (B, C, H, W) in [0, 1] into the values that the model takes.

        Raises:
            TypeError: Whole numbers, such as the bytes of a file.
        """
        _check_floats(image)
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
        """Bring a map (B, 1, h, w) that came out of the model to the photograph's height and width.

        Bilinear, without aligned corners, as IS-Net's published inference does.
        """
        content = self.content_size(height, width)
        output = output[..., : content[0], : content[1]]
        return F.interpolate(output, (height, width), mode="bilinear", align_corners=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read what `to_dict` wrote. A key that does not exist is an error (ValueError)."""
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"preprocessing knows no {', '.join(unknown)}; was it saved by a newer dichoseg?")
        return cls(**values)

    def _interpolate(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        if size == tuple(image.shape[-2:]):
            return image
        if self.antialias and image.dtype in (torch.float16, torch.bfloat16):
            return self._interpolate(image.float(), size).to(image.dtype)  # the CPU has no such filter in 16 bits
        if len(image) == 1 and not self.antialias:
            # where each pixel's channels lie side by side, strides that say so: torch is then up to twice as fast
            image = image[0].movedim(0, -1)[None].movedim(-1, 1)
        return F.interpolate(image, size, mode=self.interpolation, align_corners=False, antialias=self.antialias)


def _whole_number(size: Any) -> int | None:
    """A size as a plain number, which JSON takes, also where it comes from NumPy."""
    try:
        return None if size is None else int(operator.index(size))
    except TypeError:
        raise TypeError(f"size must be a whole number of pixels or None; got {size!r}") from None


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    """Plain numbers, which JSON takes, also where they come from an array or a tensor."""
    try:
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TypeError
        return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be one number per channel, or one for all, in a tuple; got {values!r}") from None


def _check_floats(image: Tensor) -> None:
    if not image.is_floating_point():
        raise TypeError(f"an image is floats in [0, 1]; got {image.dtype} (divide bytes by 255)")
