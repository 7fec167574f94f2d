"""What would waste a training run, found before or early in it, and said in a sentence."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ..batch_norm import is_uncalibrated
from ..blocks import spatial_size
from ..checking import whole
from ..contracts import Mask, Model, Samples, length
from ..runtime.memory import is_out_of_memory
from ..runtime.seeding import seeded

logger = logging.getLogger(__name__)

KeepBatch = Callable[[], Path]

ENOUGH = 100
MOSTLY_EMPTY = 0.8
DOMINANT = 0.8


def check_whole_numbers(*, least: int = 1, **numbers: int | None) -> None:
    """Refuse arguments, by their names, that are no whole numbers or below `least`; None is left to its meaning."""
    for name, number in numbers.items():
        if number is not None:
            whole(name, number, least=least)


def check_validation(data: Samples, name: str = "val_data") -> None:
    """Refuse a validation set, called `name`, whose masks are all empty: every F-measure on it would be 0.

    Looks at samples until one mask holds foreground, so mostly at one.
    """
    with seeded(0):
        empty = not any((data[index][1] > 0.5).any() for index in range(length(data)))
    if empty:
        raise ValueError(
            f"nothing can be validated: {name} holds {length(data)} masks and all of them are empty (no value above "
            "0.5); are they masks, and is their foreground white?"
        )


def check_batch_norm(model: Model) -> None:
    """Refuse to train a model from a file whose batch norms are folded into the convolutions."""
    if is_uncalibrated(model):
        raise ValueError(
            "the model's batch norms pass everything through, since its file had them folded into the convolutions; in "
            "train mode they would normalise, and the weights would be lost: first call calibrate_batch_norm(model, "
            "images) with one batch, or freeze_batch_norm(model), both in dichoseg.training"
        )


def check_precision(model: Model, autocast: torch.dtype | None) -> None:
    """Refuse parameters of a type that neither the images, which are float32, nor autocast can be multiplied with."""
    for name, parameter in model.named_parameters():
        trained_as_it_is = parameter.dtype == torch.bfloat16 and autocast == torch.bfloat16
        if parameter.requires_grad and parameter.dtype != torch.float32 and not trained_as_it_is:
            raise ValueError(
                f"the model's parameters must be float32 in training; got {name} of {parameter.dtype}: call "
                "model.float(), and choose what is computed in half precision by precision="
            )


def check_finite(
    values: Mapping[str, float], epoch: int, step: int, names: Sequence[str], *, keep: KeepBatch | None
) -> None:
    """Stop at the first value that is not finite.

    Args:
        values: The loss and its terms, or the norm of the gradient, by name.
        epoch: Which one is under way.
        step: Which of its batches.
        names: Of the batch's samples.
        keep: Keeps the batch for inspection and tells where; None where there is no place for it.

    Raises:
        FloatingPointError: A value that is not finite.
    """
    broken = [name for name, value in values.items() if not math.isfinite(value)]
    if not broken:
        return
    name = next((name for name in broken if name != "loss"), broken[0])  # the term says more than the sum
    where = "" if keep is None else f" (what the network got of the last batch is in {keep()})"
    what = "gradient" if name.startswith("the gradient") else "loss"
    raise FloatingPointError(
        f"the {what} is not finite: {name} is {values[name]} in epoch {epoch}, step {step}, images "
        f"{', '.join(names)}{where}; lower the learning rate, or use precision='float32'"
    )


def check_batch_size(samples: int, batch_size: int, processes: int) -> None:
    """Refuse a batch that the data set cannot fill."""
    if batch_size * processes > samples:
        together = f" for each of {processes} processes" if processes > 1 else ""
        raise ValueError(
            f"batch_size={batch_size}{together}, but train_data holds {samples} samples; use "
            + (f"{samples // processes} or less" if samples >= processes else f"at most {samples} processes")
        )


@contextmanager
def explaining_memory(model: Model, batch_size: int, device: torch.device) -> Iterator[None]:
    """Say of what an out-of-memory error came, and what helps.

    Raises:
        MemoryError: In place of torch's.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        name = (model.recipe or {}).get("name", type(model).__name__)
        size = model.preprocessing.size
        pixels = "the images' own size" if size is None else f"{size} pixels"
        raise MemoryError(
            f"out of memory: {name} at {pixels}, batch_size="
            f"{batch_size}, on {device}. What helps: a smaller batch_size with accumulate= raised as much (the same "
            "steps); checkpoint_activations(model), which computes more and keeps less; a smaller size= of the model"
        ) from error


def some_image_is_alone(samples: int, batch_size: int, processes: int) -> bool:
    """Whether a process will have a batch of one image."""
    rest = samples % (batch_size * processes)
    return batch_size == 1 or 0 < rest < 2 * processes


def warn_of_single_images(model: Model, samples: int, batch_size: int, processes: int = 1) -> None:
    """Say where batch norm, which estimates its statistics from a batch, will see one image alone."""
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        return
    if batch_size == 1:
        logger.warning(
            "every batch holds one image, and the model's batch norm takes its statistics from the batch: expect "
            "scores in evaluation that are worse than the loss suggests; use batch_size=4 or more (accumulate= does "
            "not help here)"
        )
    elif some_image_is_alone(samples, batch_size, processes):
        logger.warning(
            "the last batch of each epoch holds one image (%d images, batch_size=%d), which disturbs batch norm; "
            "another batch_size avoids it",
            samples,
            batch_size,
        )


@torch.no_grad()
def check_batch_of_one(model: Model, device: torch.device) -> None:
    """Refuse a batch of one where batch norm would see one value per channel."""
    size = model.preprocessing.height_width
    if size is None:
        return
    single: list[str] = []
    hooks = [
        module.register_forward_pre_hook(
            lambda _, inputs, name=name: single.append(name) if spatial_size(inputs[0]) == (1, 1) else None
        )
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    try:
        model.eval()
        model.features(torch.zeros(1, model.preprocessing.channels, *size, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    if single:
        raise ValueError(
            f"a batch of one image of {size[0]}x{size[1]} pixels leaves batch norm a single value per channel (in "
            f"{single[0]}); use another batch size, so that no batch holds one image alone, more images, or larger ones"
        )


class FirstEpoch:
    """Looks at the first epoch's masks and loss, and warns of what usually explains a flat loss."""

    def __init__(self) -> None:
        self.masks = 0
        self.empty = 0
        self.judged = False

    def see(self, mask: Mask) -> None:
        """Count a batch of masks (B, 1, H, W), as the loss sees them; a hundred are enough to judge by."""
        if self.judged:
            return
        self.masks += len(mask)
        self.empty += int((mask <= 0.5).flatten(1).all(dim=1).sum())
        if self.masks >= ENOUGH:
            self._judge_masks()

    def end(self, terms: Mapping[str, float]) -> None:
        """Judge the epoch's mean of each term of the loss, and the masks where they were few."""
        if not self.judged:
            self._judge_masks()
        parts: dict[str, float] = {}
        for name, value in terms.items():
            part = name.partition("/")[0]
            parts[part] = parts.get(part, 0.0) + value
        total = sum(parts.values())
        if len(parts) < 2 or not any("/" in name for name in terms) or total <= 0:
            return
        largest = max(parts, key=lambda part: parts[part])
        if largest != next(iter(parts)) and parts[largest] > DOMINANT * total:  # the first is the main one
            logger.warning(
                "%s makes up %.0f %% of the loss in the first epoch (%s); the other terms hardly count, so lower its "
                "weight: WeightedSum(%s=(weight, objective), ...)",
                largest,
                100 * parts[largest] / total,
                ", ".join(f"{part} {value:.3g}" for part, value in parts.items()),
                largest,
            )

    def _judge_masks(self) -> None:
        self.judged = True
        if self.empty > MOSTLY_EMPTY * self.masks:
            logger.warning(
                "%d of the first %d training masks are empty (no value above 0.5), so an all-black prediction is "
                "nearly right; are they masks, is their foreground white, and does the augmentation keep the object "
                "in view?",
                self.empty,
                self.masks,
            )


def tell_overfitting(history: Sequence[Mapping[str, float]]) -> None:
    """Say what came of training on a few batches alone: whether the set-up can learn."""
    first, last = history[0]["loss"], history[-1]["loss"]
    told = (
        f"loss {first:.4g} -> {last:.4g} in {len(history)} epochs, "
        f"quick_max_f {max(row['quick_max_f'] for row in history):.3f}"
    )
    if last < 0.5 * first:
        logger.info("the set-up can learn a few batches by heart: %s", told)
    else:
        logger.warning(
            "the set-up has not learnt a few batches by heart: %s; a sound one halves its loss within some 50 steps, "
            "so give it as many, then look at the masks, the learning rate and the objective",
            told,
        )


def grouped(values: Mapping[str, float]) -> dict[str, float]:
    """Sum numbered terms: `side_1`, `side_2`, ... become `side`."""
    sums: dict[str, float] = {}
    for name, value in values.items():
        group = re.sub(r"_\d+$", "", name)
        sums[group] = sums.get(group, 0.0) + value
    return sums
