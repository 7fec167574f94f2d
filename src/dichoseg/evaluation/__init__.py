"""Evaluation of predictions on disk: scores as papers print them, models side by side, pictures of what failed."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .comparison import Comparison as Comparison
    from .folders import compare_folders as compare_folders
    from .folders import evaluate_folders as evaluate_folders
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "Comparison": "comparison",
            "compare_folders": "folders",
            "evaluate_folders": "folders",
        },
    )
