"""Models: `Image -> Prediction`, with the preprocessing that their input needs.

A model is a `Segmenter` of encoder, decoder and heads, a `GTEncoder`, or another subclass of `Model`. The registered
names are recipes: functions that build a model, whose keyword arguments `create_model` accepts.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .gt_encoder import GTEncoder as GTEncoder
    from .multi_view import MultiViewSegmenter as MultiViewSegmenter
    from .segmenter import Segmenter as Segmenter
else:
    __getattr__, __dir__ = attach(
        __name__,
        {"gt_encoder": "GTEncoder", "multi_view": "MultiViewSegmenter", "segmenter": "Segmenter", "": "weights"},
        moved={"weights": "ModelCard create_model load_model save_model"},
    )
