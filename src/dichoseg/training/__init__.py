"""Training: `fit`, one loop that trains any model, and what it reads, checks and writes.

`loop` is the loop, `step` its step, `processes` the ranks that take it together, and `validation` follows an epoch;
`batches` loads samples; `checks` are sanity checks; `checkpoint` is the state of a run; `run_folder` writes weights,
history, curves and contact sheets; `schedules`, `callbacks`, `parameters` and `recomputation` are options; `two_stage`
trains the GT encoder that supervises another network.
"""

from ..batch_norm import calibrate_batch_norm as calibrate_batch_norm
from ..batch_norm import freeze_batch_norm as freeze_batch_norm
from ..batch_norm import is_uncalibrated as is_uncalibrated
from .callbacks import EarlyStopping as EarlyStopping
from .callbacks import TensorBoard as TensorBoard
from .loop import fit as fit
from .parameters import freeze as freeze
from .parameters import parameter_groups as parameter_groups
from .recomputation import checkpoint_activations as checkpoint_activations
from .schedules import constant as constant
from .schedules import cosine as cosine
from .schedules import step_decay as step_decay
from .two_stage import fit_gt_encoder as fit_gt_encoder
