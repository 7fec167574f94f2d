"""Pictures: contact sheets of data, augmentation and side outputs; curves; error maps."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .curves import learning_curves as learning_curves
    from .curves import metric_curves as metric_curves
    from .overlays import error_map as error_map
    from .overlays import outlined as outlined
    from .samples import data_sheet as data_sheet
    from .sheet import contact_sheet as contact_sheet
    from .sheet import thumbnail as thumbnail
    from .stages import side_outputs as side_outputs
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "contact_sheet": "sheet",
            "data_sheet": "samples",
            "error_map": "overlays",
            "learning_curves": "curves",
            "metric_curves": "curves",
            "outlined": "overlays",
            "side_outputs": "stages",
            "thumbnail": "sheet",
        },
        moved={"labelled_sheet": "visualize:contact_sheet"},
    )
