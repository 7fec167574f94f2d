"""Models: `Image -> Prediction`, with the preprocessing that their input needs.

A model is a `Segmenter` of encoder, decoder and heads, a `GTEncoder`, or a class of its own. The registered names
are recipes: functions that make one, whose keyword arguments can be overridden in `create_model`.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from . import weights as weights
    from .gt_encoder import GTEncoder as GTEncoder
    from .recipes import create_model as create_model
    from .segmenter import Segmenter as Segmenter
    from .weights import ModelCard as ModelCard
    from .weights import load_model as load_model
    from .weights import save_model as save_model
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "GTEncoder": "gt_encoder",
            "ModelCard": "weights",
            "Segmenter": "segmenter",
            "create_model": "recipes",
            "load_model": "weights",
            "save_model": "weights",
            "weights": "",
        },
    )
