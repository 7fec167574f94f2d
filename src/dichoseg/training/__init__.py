"""Training: `fit`, one loop that trains any model, and its parts.

`loop` holds the loop; `plan` checks its arguments; `session` sets a run up and does the work of each step and epoch,
with `batches`, `step`, `validation`, `checkpoint` and `run_folder`. `optimization`, `schedules`, `callbacks`,
`parameters` and `recomputation` are options. `two_stage` trains a GT encoder, which supervises another network.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from ..batch_norm import calibrate_batch_norm as calibrate_batch_norm
    from ..batch_norm import freeze_batch_norm as freeze_batch_norm
    from ..batch_norm import is_uncalibrated as is_uncalibrated
    from .batches import Batch as Batch
    from .batches import Batches as Batches
    from .callbacks import EarlyStopping as EarlyStopping
    from .callbacks import TensorBoard as TensorBoard
    from .loop import fit as fit
    from .optimization import Optimization as Optimization
    from .optimization import adamw as adamw
    from .overfit import overfit as overfit
    from .parameters import freeze as freeze
    from .parameters import parameter_groups as parameter_groups
    from .recomputation import checkpoint_activations as checkpoint_activations
    from .schedules import constant as constant
    from .schedules import cosine as cosine
    from .schedules import step_decay as step_decay
    from .two_stage import fit_gt_encoder as fit_gt_encoder
else:
    __getattr__, __dir__ = attach(
        __name__,
        {
            "..batch_norm": "calibrate_batch_norm freeze_batch_norm is_uncalibrated",
            "batches": "Batch Batches",
            "callbacks": "EarlyStopping TensorBoard",
            "loop": "fit",
            "optimization": "Optimization adamw",
            "overfit": "overfit",
            "parameters": "freeze parameter_groups",
            "recomputation": "checkpoint_activations",
            "schedules": "constant cosine step_decay",
            "two_stage": "fit_gt_encoder",
        },
    )
