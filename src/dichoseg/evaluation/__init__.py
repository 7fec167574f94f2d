"""Evaluation of a model or of predictions on disk, as in papers: scores, comparisons and failures."""

from .comparison import Comparison as Comparison
from .folders import compare_folders as compare_folders
from .folders import evaluate_folders as evaluate_folders
from .scoring import evaluate as evaluate
from .worst import Scores as Scores
from .worst import write_worst as write_worst
