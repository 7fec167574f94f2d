"""Masks and cut-outs for folders of photographs: plan the files, read, predict, render, write."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .cutout import cut_out as cut_out
    from .cutout import estimate_foreground as estimate_foreground
    from .job import PredictedFiles as PredictedFiles
    from .job import predict_files as predict_files
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "PredictedFiles": "job",
            "cut_out": "cutout",
            "estimate_foreground": "cutout",
            "predict_files": "job",
        },
    )
