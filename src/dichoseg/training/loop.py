"""`fit`, the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ..checking import with_hints
from ..contracts import Augmentation, Model, Objective, Samples
from ..data.layouts import open_data
from .former import with_former_arguments
from .optimization import Base, Optimization
from .plan import OnEpoch, Plan
from .rows import History
from .selection import DEFAULT_BEST
from .session import open_session

HABITS = {
    "augmentation=": "augment augmentations augs transform transforms",
    "batch_size=": "batch bs train_batch_size",
    "device=": "accelerator devices gpu gpus",
    "epochs=": "max_epochs n_epochs num_epochs num_train_epochs",
    "objective=DeepSupervision(loss)": "criterion loss loss_fn loss_function",
    "on_epoch=": "callback callbacks",
    "on_epoch=EarlyStopping(patience)": "early_stopping patience",
    "optimization=Optimization(accumulate=...)": "accumulate_grad_batches gradient_accumulation_steps",
    "optimization=Optimization(clip_norm=...)": "clip_grad gradient_clip_val grad_clip max_grad_norm",
    "optimization=Optimization(learning_rate=...)": "learning_rate lr lr0 max_lr",
    "optimization=Optimization(optimizer=functools.partial(torch.optim.AdamW, ...))": "betas momentum weight_decay",
    "optimization=Optimization(precision=...)": "amp bf16 dtype fp16 half mixed_precision use_amp",
    "optimization=Optimization(schedule=...)": "lr_schedule lr_scheduler scheduler warmup",
    "out=": "default_root_dir logdir out_dir outdir output output_dir project save_dir",
    "progress=": "enable_progress_bar verbose",
    "seed=": "random_state",
    "size= of create_model or load_model": "image_size img_size imgsz input_size resolution size",
    "train_data=": "data dataset train_dataloader train_dataset train_loader train_set",
    "val_data=": "eval_dataset val val_dataloaders val_dataset val_loader valid_data validation_data",
    "workers=": "n_workers num_workers",
}
"""Arguments of other libraries' training loops."""


@with_former_arguments
@with_hints(HABITS)
def fit(
    model: Model,
    train_data: Samples | str | Path,
    *,
    val_data: Samples | str | Path | None = None,
    objective: Objective | None = None,
    augmentation: Augmentation | None = None,
    epochs: int = 10,
    batch_size: int = 8,
    optimization: Optimization = Optimization(),
    best: str = DEFAULT_BEST,
    base: Base = "ignore",
    device: str | torch.device | None = None,
    workers: int = 0,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    on_epoch: OnEpoch | Sequence[OnEpoch] = (),
    progress: bool = True,
    sizes: Sequence[int | tuple[int, int]] = (),
) -> History:
    """Train a model.

    Each step loads images and masks, resizes them to the model's size, augments them on the device, normalizes them and
    minimizes the objective. A model whose `preprocessing.source` is `"mask"`, a GT encoder, gets the masks as its
    input. All randomness derives from `seed`; global random state is restored afterwards.

    Under `torchrun`, the ranks train together, each on its part of every batch, and the first one writes files. Weights
    and images are meanwhile in the layout that is fastest on the device, channels-last on most. A model that was
    compiled in place, by `model.compile()`, is trained compiled.

    Warnings are logged about frequent causes of a loss that does not fall: masks that are nearly all empty, a term that
    dominates the loss, batches of one image with batch norm. If the last batch of an epoch would hold a single image
    on some rank and the model has batch norm, it is left out; the order differs between epochs, so no image is lost.

    `examples/own_loop.py` does the same in plain PyTorch.

    Args:
        model: Model to train in place. Afterwards it holds the best weights by `best`, or the last ones without
            `val_data`, and is on the device and in the mode in which it came.
        train_data: Map-style data set of `Sample` or of (image, mask) pairs, images in [0, 1]; or a folder, in a layout
            that `open_folders` knows.
        val_data: Data set or folder to validate on after each epoch: `val_loss`, `quick_mae`, `quick_max_f` and
            `quick_iou`. Default: the validation set in the folder `train_data`, if it is a folder that has one.
        objective: Objective to minimize. Default: `DeepSupervision(BCELoss())`, plus `EdgeSupervision()` for a model
            that predicts edges.
        augmentation: Function `(image, mask) -> (image, mask)` of batches in [0, 1], such as `gpu_augmentation()`.
        epochs: Number of passes over the data.
        batch_size: Number of images per batch, on each rank.
        optimization: Learning rate, optimizer, schedule, accumulation, clipping, averaging and precision.
        best: Score that decides which epoch's weights are the best: `"loss"`, a validation score, a key that `on_epoch`
            adds to the epoch's row, or the name of a registered metric, such as `"mba"`, which validation then computes
            as `quick_mba`. The metric decides whether a higher score is better; keys that end in `loss` or `mae`
            improve by falling. NaN is never the best.
        base: What to do with the weights that the model comes with, for fine-tuning: `"score"` validates them first, as
            epoch 0, which may be the best one; `"average"` also scores averages of them with the best trained weights
            in the end (a quarter, a half and three quarters of each), and the best of all is kept; `"half"` keeps the
            average of half the base and half the last weights, whatever its score, for validation sets that are too
            small to choose. Live batch norms get the statistics of training images in each average. Needs `val_data`.
            Source: arXiv:2109.01903.
        device: Device to train on. Default: CUDA, else Apple's MPS if available, else the model's device.
        workers: Number of processes that load data; it does not change results. They are started once, with a copy of
            the data set. On Windows, macOS and Python 3.14, the data set must be picklable, and a script needs
            `if __name__ == "__main__":`.
        seed: Seed of the order of the data, the augmentation, and transforms in the data set.
        out: New folder for the run; `RunFolder` lists the files. Ctrl-C and SIGTERM then finish the step, save the
            state and return; a second one, two seconds later, stops at once.
        resume: Whether to resume the run in `out` if there is one, after a stop, a kill or a crash, with the same
            arguments, model and data. On a CPU the final weights are equal, bit for bit, to those of an uninterrupted
            run. To continue from some weights in a new run, use `create_model(name, weights=...)`.
        on_epoch: Function of the model, in eval mode, and the epoch's row, called after each epoch, or several such.
            Training ends when one returns True. If it has `state_dict` and `load_state_dict`, its state is resumed too.
        progress: Whether to show the progress: a line after each epoch and, within it, a bar on a terminal or in a
            notebook, else a line from time to time. The lines go to the log if it is shown at the level INFO.
        sizes: Sizes to train at, each an int or (height, width), such as `(384, 512, (512, 768))`. Every batch has one
            of them, by seed and epoch; each gets about as many batches. Validation and the saved model keep the
            model's size. If sizes differ in aspect ratio by more than a tenth, each image goes to the nearest ones;
            the data set must then be a `SizeSource`, as `FolderDataset` is. Default: the model's size.

    Returns:
        One row per epoch, before them that of the base, if it was scored. If a signal stopped training, its
        `interrupted` is True, and the model holds its last weights.

    Raises:
        FloatingPointError: A loss or a gradient is not finite. The message names the term, the step, the images and,
            with `out`, the file with the batch.
        MemoryError: The device's memory is not enough; the message says what helps.
    """
    train_data, val_data = open_data(train_data, val_data)
    plan = Plan(
        model=model,
        train_data=train_data,
        val_data=val_data,
        objective=objective,
        augmentation=augmentation,
        epochs=epochs,
        batch_size=batch_size,
        optimization=optimization,
        best=best,
        base=base,
        device=device,
        workers=workers,
        seed=seed,
        out=out,
        resume=resume,
        on_epoch=on_epoch,
        progress=progress,
        sizes=sizes,
    )
    with open_session(plan) as run:
        if not run.score_base():  # as epoch 0, if `base` asks for it
            return run.interrupt()
        for epoch in run.epochs():  # from the last saved step of the run in `out`, if it is resumed
            for batch in run.batches(epoch):  # loaded, augmented, normalized, one part for each rank
                run.step(batch)  # forward, objective, backward; the optimizer moves after a window of batches
                if run.stop_asked():  # on any rank
                    return run.interrupt()
            if not run.close(epoch) or run.stop_asked():  # validation, callbacks, best weights, files
                return run.interrupt()
        return run.finish()  # averages with the base, best weights
