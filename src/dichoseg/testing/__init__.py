"""Checks that a part keeps to the contract: for plugins and for dichoseg's own parts alike.

Each check takes what builds the part, as an entry point does (a class, or a function), tries the part on small random
data, and raises a `ConformanceError` at the first thing that is wrong. Random state is left as it was found.

`check_decoder(MyDecoder)`, `check_loss(lambda: MyLoss(gamma=0.5))`
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .augmentation import check_augmentation as check_augmentation
    from .common import ConformanceError as ConformanceError
    from .decoder import check_decoder as check_decoder
    from .encoder import check_encoder as check_encoder
    from .loss import check_loss as check_loss
    from .model import check_model as check_model
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "ConformanceError": "common",
            "check_augmentation": "augmentation",
            "check_decoder": "decoder",
            "check_encoder": "encoder",
            "check_loss": "loss",
            "check_model": "model",
        },
    )
