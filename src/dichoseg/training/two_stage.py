"""First of two training stages: a GT encoder for a model, trained on the masks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..contracts import Model, Samples
from ..data.layouts import open_data
from ..losses.pixel import BCELoss
from ..models.gt_encoder import GTEncoder
from ..objectives.deep import DeepSupervision
from ..runtime.seeding import seeded
from ..weights.format import CONFIG_FILE
from ..weights.loading import load_model
from ..weights.saving import save_model
from .loop import fit
from .ranks import launched
from .run_folder import GT_ENCODER

logger = logging.getLogger(__name__)


def fit_gt_encoder(
    model: Model,
    train_data: Samples | str | Path,
    *,
    val_data: Samples | str | Path | None = None,
    max_f: float = 0.99,
    epochs: int = 10,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    **fit_args: Any,
) -> GTEncoder:
    """Train a GT encoder that can supervise a model's features; `IntermediateSupervision` takes it.

    It learns to reproduce each mask, until `quick_max_f` exceeds `max_f`. It is used in training only.

    Source: IS-Net (arXiv:2203.03041), section 4.1, and its code, which stops at a maximal F-measure of 0.99 on the
    training set. Differs from the code in that a separate validation set may be used, and that the network returned is
    in eval mode.

    Args:
        model: Model to be supervised later; only its `feature_info` and `preprocessing` are used.
        train_data: Samples whose masks are learned, or their folder, as in `fit`.
        val_data: Samples whose masks decide when to stop. Default: `train_data`, as published.
        max_f: Value of `quick_max_f` at which training stops.
        epochs: Maximum number of epochs.
        seed: Seed of the weights and of the training.
        out: Folder of the run, whose subfolder `gt_encoder` will hold the network. If it already holds one that fits
            the model, that is loaded instead.
        resume: Whether to resume an interrupted training, as in `fit`.
        **fit_args: Further arguments of `fit`, except `on_epoch` and `objective`.

    Returns:
        The trained network, in eval mode.

    Raises:
        KeyboardInterrupt: Training was stopped, and its state is saved.
    """
    train_data, _ = open_data(train_data, ())
    with seeded(seed):
        gt_encoder = GTEncoder.like(model)
    folder = None if out is None else gt_encoder_folder(out, resume=resume)
    if folder is not None and (folder / CONFIG_FILE).exists():
        kept = load_model(folder)
        if not isinstance(kept, GTEncoder) or (kept.feature_info, kept.preprocessing) != (
            gt_encoder.feature_info,
            gt_encoder.preprocessing,
        ):
            raise ValueError(
                f"{folder} keeps a GT encoder that does not fit this model (its features are {kept.feature_info} at "
                f"{kept.preprocessing.size} pixels, the model's {model.feature_info} at {model.preprocessing.size}); "
                "remove it, or use another folder"
            )
        logger.info("GT encoder: the one in %s is used", folder)
        return kept
    logger.info("GT encoder: training on the masks, until quick_max_f exceeds %g", max_f)
    history = fit(
        gt_encoder,
        train_data,
        val_data=train_data if val_data is None else val_data,
        epochs=epochs,
        seed=seed,
        out=None if folder is None else folder / "run",
        resume=resume,
        objective=DeepSupervision(BCELoss()),
        on_epoch=lambda _, row: row["quick_max_f"] > max_f,
        **fit_args,
    )
    if history.interrupted:
        raise KeyboardInterrupt("the training of the GT encoder was stopped; its state is saved")
    best = max(row["quick_max_f"] for row in history)
    if best <= max_f:
        logger.warning(
            "GT encoder: quick_max_f reached %.4f in %d epochs, not %g; it is used as it is; more epochs would give "
            "the image network better features to follow",
            best,
            len(history),
            max_f,
        )
    if folder is not None and launched().is_first:
        save_model(gt_encoder, folder)
    return gt_encoder.eval()


def gt_encoder_folder(out: str | Path, *, resume: bool = False) -> Path:
    """Return the folder of a run's GT encoder; refuse one whose training did not end, unless it is resumed."""
    folder = Path(out) / GT_ENCODER
    is_open = folder.exists() and not (folder / CONFIG_FILE).exists()
    if is_open and not resume and launched().is_first:  # which may have begun it, for the other ranks
        raise FileExistsError(
            f"{folder} holds a GT encoder whose training did not end; remove it to train one anew, or use its last "
            f"weights, load_model('{folder / 'run'}'), with another folder for the run"
        )
    return folder
