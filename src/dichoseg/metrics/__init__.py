"""Metrics: functions of one image, and an `Evaluator` that averages them over a data set.

A prediction is (H, W), 8-bit or float in [0, 1]; a mask is (H, W), 8-bit (foreground above 128) or bool. The
protocol is PySODMetrics': each prediction is stretched to [0, 1] first, unless `normalize=False`.
"""

from typing import TYPE_CHECKING

from .._lazy import attach
from .boundary import boundary_iou as boundary_iou
from .boundary import mean_boundary_accuracy as mean_boundary_accuracy
from .correction import hce as hce
from .evaluator import Evaluator as Evaluator
from .multi_scale import adaptive_msiou as adaptive_msiou
from .multi_scale import binary_msiou as binary_msiou
from .multi_scale import msiou_curve as msiou_curve
from .pair import Pair as Pair
from .structure import s_measure as s_measure
from .thinning import skeleton as skeleton
from .threshold import adaptive_f as adaptive_f
from .threshold import adaptive_measure as adaptive_measure
from .threshold import binary_measure as binary_measure
from .threshold import e_measure as e_measure
from .threshold import f_curve as f_curve
from .threshold import mae as mae
from .threshold import measure_curve as measure_curve
from .threshold import mse as mse
from .weighted import weighted_f_measure as weighted_f_measure

if TYPE_CHECKING:
    from .online import OnlineMetrics as OnlineMetrics
else:
    __getattr__, __dir__ = attach(__name__, {"online": "OnlineMetrics"})
