"""Former place of `dichoseg.weights`; its names warn and work until 0.4."""

from ..._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {},
    moved={
        "ModelCard": "weights",
        "calibrate_batch_norm": "training",
        "convert_weights": "weights",
        "freeze_batch_norm": "training",
        "is_uncalibrated": "training",
        "load_model": "weights",
        "load_weights": "weights",
        "save_model": "weights",
    },
)
