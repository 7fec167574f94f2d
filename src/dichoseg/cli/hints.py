"""Add the command line's options to messages of the library, which name only Python's arguments."""

from __future__ import annotations

import logging
import re

OPTIONS = {
    "accumulate": "--accumulate",
    "allow_missing": "--allow-missing",
    "batch_size": "--batch-size",
    "cutout": "--cutout",
    "foreground": "--foreground",
    "images": "--images",
    "mask_suffix": "--mask-suffix",
    "masks": "--masks",
    "precision": "--precision",
    "resize_masks": "--resize-masks",
    "resume": "--resume",
    "size": "--size",
    "strict": "--skip-broken",
}
"""Option for an argument that a message names, as in `resize_masks=True`."""
CALLS = {
    "checkpoint_activations(model)": "--checkpoint-activations",
    "needs val_data": "--val-fraction",
    "without(report.unusable)": "--skip-broken",
    "report()": "dichoseg check",
}
"""Option or command for a call that a message names."""
_ARGUMENT = re.compile(rf"\b({'|'.join(OPTIONS)})=('[^']*'|True|False|\d*)")


def with_options(text: str) -> str:
    """Return a message with the option after each argument and call that has one."""
    text = _ARGUMENT.sub(lambda match: f"{match[0]} ({OPTIONS[match[1]]})", text)
    for call, option in CALLS.items():
        text = text.replace(call, f"{call} ({option})")
    return text


class Formatter(logging.Formatter):
    """Log messages as they are, with the command line's options."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message."""
        return with_options(super().format(record))
