"""Pictures: contact sheets of data, augmentation and side outputs; curves; error maps."""

from .._lazy import attach
from .curves import learning_curves as learning_curves
from .curves import metric_curves as metric_curves
from .overlays import error_map as error_map
from .overlays import outlined as outlined
from .samples import data_sheet as data_sheet
from .sheet import contact_sheet as contact_sheet
from .sheet import thumbnail as thumbnail
from .stages import side_outputs as side_outputs

__getattr__, __dir__ = attach(__name__, moved={"visualize": "labelled_sheet=contact_sheet"})
