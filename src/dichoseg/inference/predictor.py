"""From a photograph to its mask."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from ..contracts import Model
from ..data.reading import image_tensor, read_image, read_mask

Photograph = str | Path | PillowImage.Image | NDArray[np.uint8] | Tensor


class Predictor:
    """A model prepared once, for many photographs. The model that is given stays as it is.

    Args:
        model: Any model.
        device: Where to run, such as `"cuda"`. Default: where the model is.

    Raises:
        TypeError: Something that is not a model.
    """

    def __init__(self, model: Model, *, device: str | torch.device | None = None) -> None:
        if not isinstance(model, Model):
            raise TypeError(f"wanted a model (create_model and load_model give one); got {type(model).__name__}")
        self.device = next(model.parameters()).device if device is None else torch.device(device)
        self.model = copy.deepcopy(model).to(self.device).eval()

    @torch.inference_mode()
    def __call__(self, photograph: Photograph) -> NDArray[np.float32]:
        """Predict one photograph.

        Args:
            photograph: A path, a Pillow image, an RGB array (H, W, 3) of uint8, or a tensor (3, H, W) in [0, 1].
                A network that takes masks gets a mask in the same way: a path, or a tensor (1, H, W).

        Returns:
            Probability of foreground, (H, W) in [0, 1], at the photograph's own size.

        Raises:
            FileNotFoundError, ValueError: A file that is not there or cannot be read; the message names it.
        """
        preprocessing = self.model.preprocessing
        image = _as_tensor(photograph, preprocessing.source).to(self.device)[None]  # (1, C, H, W)
        logits = self.model.logits(preprocessing.normalize(preprocessing.resize(image)))
        probability = preprocessing.restore(logits.float().sigmoid(), image.shape[-2], image.shape[-1])
        return probability[0, 0].clamp(0, 1).cpu().numpy()


def predict(model: Model, photograph: Photograph) -> NDArray[np.float32]:
    """Predict one photograph: probability of foreground, (H, W) in [0, 1], at its own size.

    As `Predictor(model)(photograph)`, which is the one to use for many.
    """
    return Predictor(model)(photograph)


def to_uint8(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round a probability in [0, 1] to 8 bits."""
    return (probability * 255).round().astype(np.uint8)


def _as_tensor(photograph: Photograph, source: str) -> Tensor:
    if isinstance(photograph, str | Path):
        return read_mask(photograph) if source == "mask" else read_image(photograph)
    if isinstance(photograph, PillowImage.Image):
        return image_tensor(photograph)[: 1 if source == "mask" else 3]
    channels = 1 if source == "mask" else 3
    if isinstance(photograph, Tensor):
        if photograph.ndim != 3 or photograph.shape[0] != channels or not photograph.is_floating_point():
            raise ValueError(
                f"a tensor must be ({channels}, H, W), float in [0, 1]; "
                f"got {tuple(photograph.shape)} of {photograph.dtype}"
            )
        return photograph
    if isinstance(photograph, np.ndarray):
        if photograph.ndim != 3 or photograph.shape[2] != 3 or photograph.dtype != np.uint8:
            raise ValueError(f"an array must be (H, W, 3), RGB of uint8; got {photograph.shape} of {photograph.dtype}")
        return torch.from_numpy(np.ascontiguousarray(photograph)).permute(2, 0, 1).float() / 255
    raise TypeError(f"wanted a path, a Pillow image, an array or a tensor; got {type(photograph).__name__}")
