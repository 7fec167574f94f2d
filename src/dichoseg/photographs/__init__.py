"""Masks and cut-outs for folders of photographs: plan the files, read, predict, render, write."""

from .cutout import cut_out as cut_out
from .cutout import estimate_foreground as estimate_foreground
from .job import PredictedFiles as PredictedFiles
from .job import predict_files as predict_files
