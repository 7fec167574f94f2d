"""Training: `fit`, one loop that trains any model, and what it reads, checks and writes.

`loop` is the loop; `loading` makes batches of samples; `checks` finds what would waste the run and says so;
`run_folder` writes weights, history, curves and contact sheets; `gt_encoder` trains the network on masks that
supervises another one.
"""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .gt_encoder import fit_gt_encoder as fit_gt_encoder
    from .loop import cosine as cosine
    from .loop import fit as fit
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "cosine": "loop",
            "fit": "loop",
            "fit_gt_encoder": "gt_encoder",
        },
    )
