"""Former location of `dichoseg.photographs.cutout`; its names work, with a warning, until 0.4."""

from .._lazy import attach

__getattr__, __dir__ = attach(__name__, moved={"photographs": "cut_out estimate_foreground"})
