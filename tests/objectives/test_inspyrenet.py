import torch

from dichoseg import Prediction, Target
from dichoseg.objectives.inspyrenet import inspyrenet


def test_value_terms():
    prediction = Prediction(torch.randn(1, 1, 32, 32), (torch.randn(1, 1, 16, 16),))
    terms = inspyrenet().terms(prediction, Target(torch.rand(1, 1, 32, 32)))
    assert set(terms) == {"bce/main", "bce/side_1", "iou/main", "iou/side_1", "consistency/consistency_1"}
    assert terms["consistency/consistency_1"] < 1e-3
