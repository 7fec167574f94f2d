"""Training: `fit`, one loop that trains any model, and what it reads, checks and writes.

`loop` is the loop; `loading` makes batches of samples; `checks` finds what would waste the run and says so;
`run_folder` writes weights, history, curves and contact sheets; `gt_encoder` trains the network on masks that
supervises another one. What `fit` is given: `schedules` move the learning rate, `callbacks` see each epoch; and what is
done to a model before: `parameters` freezes parts and groups rates, `recomputation` saves memory.
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
