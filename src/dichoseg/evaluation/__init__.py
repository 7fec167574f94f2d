"""Evaluation of a model or of predictions on disk, as in papers: scores, comparisons and failures."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .comparison import Comparison as Comparison
    from .folders import compare_folders as compare_folders
    from .folders import evaluate_folders as evaluate_folders
    from .scoring import evaluate as evaluate
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "Comparison": "comparison",
            "compare_folders": "folders",
            "evaluate": "scoring",
            "evaluate_folders": "folders",
        },
    )
