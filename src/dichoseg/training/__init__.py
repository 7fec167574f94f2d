"""Training: `fit`, one loop that trains any model, and what it reads, checks and writes.

`loop` is the loop, `step` what it repeats, `processes` who takes a step together, and `validation` what follows an
epoch; `loading` makes batches of samples; `checks` finds what would waste the run and says so; `checkpoint` is what a
run needs to go on; `run_folder` writes weights, history, curves and contact sheets; `schedules`, `callbacks`,
`parameters` and `recomputation` are what can be chosen; `gt_encoder` trains the network on masks that supervises
another one.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .callbacks import EarlyStopping as EarlyStopping
    from .callbacks import TensorBoard as TensorBoard
    from .gt_encoder import fit_gt_encoder as fit_gt_encoder
    from .loop import fit as fit
    from .parameters import freeze as freeze
    from .parameters import parameter_groups as parameter_groups
    from .recomputation import checkpoint_activations as checkpoint_activations
    from .schedules import constant as constant
    from .schedules import cosine as cosine
    from .schedules import step_decay as step_decay
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "EarlyStopping": "callbacks",
            "TensorBoard": "callbacks",
            "checkpoint_activations": "recomputation",
            "constant": "schedules",
            "cosine": "schedules",
            "fit": "loop",
            "fit_gt_encoder": "gt_encoder",
            "freeze": "parameters",
            "parameter_groups": "parameters",
            "step_decay": "schedules",
        },
    )
