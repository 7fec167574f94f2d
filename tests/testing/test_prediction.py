import pytest
import torch

from dichoseg import Prediction
from dichoseg.testing import ConformanceError
from dichoseg.testing.prediction import check_final_logits, check_form, check_prediction

LOGITS = torch.randn(2, 1, 9, 7, generator=torch.Generator().manual_seed(0))


class More(Prediction):
    """A named tuple with another field would be one as well."""


def test_value_predictions():
    check_form("m", Prediction(LOGITS), batch=2, size=(9, 7))
    check_form("m", More(LOGITS), batch=2, size=(9, 7))
    check_prediction("m", Prediction(0 * LOGITS, (0 * LOGITS,)))  # constant maps are alike and no repetition
    check_final_logits("m", Prediction(LOGITS), LOGITS, "logits")


def test_error_edges_and_features():
    with pytest.raises(ConformanceError, match="m: wanted a tuple of tensors in edge_logits; got a tensor of shape"):
        check_form("m", Prediction(LOGITS, edge_logits=LOGITS), batch=2, size=(9, 7))
    with pytest.raises(ConformanceError, match=r"in edge_logits; got \[\(1, 1, 9, 7\)\]"):
        check_form("m", Prediction(LOGITS, edge_logits=(LOGITS[:1],)), batch=2, size=(9, 7))
    with pytest.raises(ConformanceError, match=r"in features; got a tensor of shape \(2, 1, 9, 7\)"):
        check_form("m", Prediction(LOGITS, features=LOGITS), batch=2, size=(9, 7))
    with pytest.raises(ConformanceError, match="wanted finite numbers; got torch.float32 with 126 that are not"):
        check_prediction("m", Prediction(LOGITS, edge_logits=(LOGITS / 0,)))
    with pytest.raises(ConformanceError, match="to give the logits of the prediction"):
        check_final_logits("m", Prediction(LOGITS), LOGITS[..., :3], "logits")
