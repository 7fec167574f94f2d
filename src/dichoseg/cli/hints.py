"""Add the command line's options to messages of the library, which name only Python's arguments."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in (
        "accumulate", "allow_missing", "batch_size", "best", "both", "calibration", "clip_norm", "cutout", "detail",
        "device", "ema", "epochs", "foreground", "format", "gt_encoder_epochs", "gt_encoder_weight", "ignore", "images",
        "learning_rate", "margin", "mask_suffix", "masks", "max_bytes", "max_pixels", "max_size", "memory", "out",
        "patience", "port", "precision", "prediction_suffix", "quality", "queue", "resize_masks", "resume",
        "rows", "runtime", "seed", "size", "sizes", "threads", "threshold", "timeout", "workers", "worst",
    )
} | {"strict": "--skip-broken"}  # fmt: skip
"""Option for an argument that a message names, as in `resize_masks=True` or `epochs must be`."""
CALLS = {
    "checkpoint_activations(model)": "--checkpoint-activations",
    "needs val_data": "--val-fraction",
    "without(report.unusable)": "--skip-broken",
    "report()": "dichoseg check",
}
"""Option or command for a call that a message names."""
_ARGUMENT = re.compile(rf"\b({'|'.join(OPTIONS)})=('[^']*'|True|False|\d*)")
_SUBJECT = re.compile(rf"^({'|'.join(OPTIONS)})(?= must )")


def with_options(text: str) -> str:
    """Return a message with the option after each argument and call that has one."""
    text = _SUBJECT.sub(lambda match: OPTIONS[match[1]], text)
    text = _ARGUMENT.sub(lambda match: f"{match[0]} ({OPTIONS[match[1]]})", text)
    for call, option in CALLS.items():
        text = text.replace(call, f"{call} ({option})")
    return text


HABITS = {
    "--accumulate": ("--accumulate-grad-batches", "--accumulation-steps", "--grad-accum"),
    "--background": ("--bg", "--bgcolor", "--background-color"),
    "--batch-size": ("--batch", "--bs", "-b"),
    "--checkpoint-activations": ("--gradient-checkpointing", "--grad-checkpointing"),
    "--clip-norm": ("--clip-grad", "--gradient-clip-val", "--max-grad-norm"),
    "--cutout": ("--alpha", "--rgba"),
    "--device": ("--gpu", "--gpus", "--accelerator", "-d"),
    "--encoder": ("--backbone",),
    "--epochs": ("--epoch", "--max-epochs", "--num-epochs", "-e"),
    "--format": ("--ext", "--extension", "--output-format"),
    "--flips": ("--tta", "--augment"),
    "--learning-rate": ("--lr", "--lr0"),
    "--mask-suffix": ("--suffix",),
    "--model": ("--arch", "--checkpoint", "--ckpt", "--weights", "-m"),
    "--out": ("--output", "--output-dir", "--outdir", "--save-dir", "--project", "--name", "-o"),
    "--patience": ("--early-stopping",),
    "--precision": ("--amp", "--fp16", "--half", "--bf16", "--dtype"),
    "--pretrained": ("--imagenet",),
    "--quiet": ("-q", "--silent"),
    "--resume": ("--continue", "--skip-existing"),
    "--runtime": ("--backend", "--engine", "--provider"),
    "--schedule": ("--scheduler", "--lr-scheduler"),
    "--size": ("--imgsz", "--img-size", "--image-size", "--input-size", "--resolution"),
    "--traceback": ("--debug", "--stacktrace"),
    "--val-fraction": ("--val-split", "--validation-split", "--val-size"),
    "--verbose": ("-v",),
    "--version": ("-V",),
    "--weights": ("--checkpoint", "--ckpt", "--finetune", "--init"),
    "--workers": ("--num-workers", "-j"),
}
"""Options that other programs have for ours."""


def habit_hint(arguments: Sequence[str], known: Mapping[str, Any]) -> str | None:
    """Return a message about the first argument that another program takes; known are options with their types."""
    if len(arguments) > 1 and arguments[0] == "serve" and not arguments[1].startswith("-"):
        return f"models of serve follow --models: dichoseg serve --models {arguments[1]}"
    before = ""
    for argument in itertools.takewhile(lambda argument: argument != "--", arguments):
        given = argument.partition("=")[0]
        meant = next((ours for ours, theirs in HABITS.items() if given in theirs and ours in known), None)
        if meant is not None and given not in known:
            return f"no option {given}; it is {meant} here"
        if known.get(before) is bool and argument.lower() in ("true", "false"):
            return f"{before} is a flag, which takes no value; got {argument}"
        before = argument
    return None


class Formatter(logging.Formatter):
    """Log messages as they are, with the command line's options."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message."""
        return with_options(super().format(record))
