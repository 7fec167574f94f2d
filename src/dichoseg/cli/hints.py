"""Add the command line's options to messages of the library, which name only Python's arguments."""

from __future__ import annotations

import logging
import re

OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in (
        "accumulate", "allow_missing", "batch_size", "best", "both", "clip_norm", "cutout", "device", "ema", "epochs",
        "foreground", "gt_encoder_epochs", "gt_encoder_weight", "ignore", "images", "learning_rate", "margin",
        "mask_suffix", "masks", "patience", "precision", "quality", "resize_masks", "resume", "rows", "seed", "size",
        "threads", "threshold", "workers",
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


class Formatter(logging.Formatter):
    """Log messages as they are, with the command line's options."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message."""
        return with_options(super().format(record))
