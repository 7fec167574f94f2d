"""From photographs to masks, and from masks to scores."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor
from tqdm import tqdm

from .contracts import Model, Samples
from .data.folder import image_files
from .data.reading import image_tensor, read_image, read_mask
from .metrics.evaluator import Evaluator
from .models.weights.writing import write_atomically

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


def evaluate(
    model: Model, dataset: Samples, *, metrics: Sequence[str] = ("paper",), progress: bool = False
) -> dict[str, float]:
    """Score a model on a data set, at the masks' native size, with the numbers that papers print.

    Each prediction is rounded to 8 bits first, as `dichoseg predict` writes it, so that scoring the written files
    gives the same numbers.

    Args:
        model: Any model.
        dataset: Samples, or plain (image, mask) pairs: (3, H, W) and (1, H, W) in [0, 1].
        metrics: Names and groups, as for `dichoseg.metrics.Evaluator`, which defines them; `("fast",)` leaves out
            `weighted_f` and `hce`, the slow ones.
        progress: Whether to show a bar on a terminal.

    Returns:
        The value of each metric, by default `mae`, `max_f`, `mean_f`, `adaptive_f`, `s_measure`, `max_e`, `mean_e`,
        `adaptive_e`, `weighted_f` and `hce`.

    Raises:
        ValueError: An empty data set.
    """
    predictor = Predictor(model)
    takes_mask = model.preprocessing.source == "mask"
    evaluator = Evaluator(metrics=metrics)
    for index in tqdm(range(len(dataset)), desc="evaluate", leave=False, disable=None if progress else True):
        image, mask, *_ = dataset[index]
        probability = predictor(mask if takes_mask else image)
        evaluator.update(to_uint8(probability), (mask[0] > 128 / 255).numpy())
    return evaluator.compute()


def predict_files(predictor: Predictor, sources: Sequence[Path], out: str | Path, *, cutout: bool = False) -> list[str]:
    """Write the mask of each photograph as an 8-bit PNG of its size; one bad file does not stop the rest.

    Args:
        predictor: A prepared model.
        sources: Photographs, or folders of them, whose subfolders are kept.
        out: Folder for the masks, made if it is not there.
        cutout: Write the photograph with the mask as its alpha channel in place of the mask.

    Returns:
        What went wrong, one message per file.

    Raises:
        FileNotFoundError: A source that is not there.
        ValueError: A folder without photographs, two sources with one result, a result in the place of a source, or
            a network that takes masks; nothing is written then.
    """
    if predictor.model.preprocessing.source == "mask":
        raise ValueError(
            "this is a GT encoder, which takes masks and is used in training only; wanted a network for photographs"
        )
    results: dict[Path, Path] = {}
    for source in sources:
        if source.is_dir():
            pairs = [(path, path.relative_to(source)) for path in image_files(source)]
            if not pairs:
                raise ValueError(f"no photographs in {source}")
        elif source.is_file():
            pairs = [(source, Path(source.name))]
        else:
            raise FileNotFoundError(f"no photograph or folder at {source}")
        for path, name in pairs:
            result = Path(out) / name.with_suffix(".png")
            if result in results:
                raise ValueError(f"{results[result]} and {path} would both be written to {result}")
            results[result] = path
    read = {path.resolve() for path in results.values()}
    overwritten = sorted(result for result in results if result.resolve() in read)
    if overwritten:
        raise ValueError(
            f"{overwritten[0]} is a photograph that is read and would be overwritten; choose another folder"
        )
    failures = []
    for result, path in tqdm(results.items(), desc="predict", leave=False, disable=None):
        try:
            photograph = read_image(path)
            mask = to_uint8(predictor(photograph))
        except (OSError, ValueError) as error:
            failures.append(str(error))
            continue
        picture = PillowImage.fromarray(mask)
        if cutout:
            pixels = (photograph.permute(1, 2, 0) * 255).round().byte().numpy()
            picture = PillowImage.fromarray(np.dstack([pixels, mask]))
        result.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(result, functools.partial(picture.save, format="PNG"))
    return failures


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
