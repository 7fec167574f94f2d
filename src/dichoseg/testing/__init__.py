"""Conformance checks of components, for plugins and for dichoseg's own.

Each check takes a class or function that builds the component, as an entry point does, tries it on small random
data, and raises a `ConformanceError` at the first violation. Random state is restored afterwards.

`check_decoder(MyDecoder)`, `check_loss(lambda: MyLoss(gamma=0.5))`
"""

from .augmentation import check_augmentation as check_augmentation
from .common import ConformanceError as ConformanceError
from .decoder import check_decoder as check_decoder
from .encoder import check_encoder as check_encoder
from .heads import check_heads as check_heads
from .loss import check_loss as check_loss
from .metric import check_metric as check_metric
from .model import check_model as check_model
from .objective import check_objective as check_objective
from .published import check_published as check_published
