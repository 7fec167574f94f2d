"""Former place of `dichoseg.weights`; its names warn and work until 0.4."""

from ..._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    moved={
        "weights": "ModelCard convert_weights load_model load_weights save_model",
        "training": "calibrate_batch_norm freeze_batch_norm is_uncalibrated",
    },
)
