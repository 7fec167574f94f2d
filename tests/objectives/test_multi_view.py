import pytest
import torch
import torch.nn.functional as F

from dichoseg import Prediction, Target, create_model
from dichoseg.objectives import MultiViewSupervision


def prediction():
    torch.manual_seed(0)
    main, side, distant = (torch.randn(2, 1, side, side) for side in (32, 8, 4))
    return Prediction(main, (side,), extras={"distant_logits": (distant,), "gates": (side.sigmoid(),)})


def test_value_terms():
    mask = torch.rand(2, 1, 32, 32)
    terms = MultiViewSupervision(torch.nn.BCEWithLogitsLoss()).terms(prediction(), Target(mask))
    bce = F.binary_cross_entropy_with_logits
    made = prediction()
    assert float(terms["main"]) == pytest.approx(float(bce(made.logits, mask)), rel=1e-5)
    assert float(terms["side_1"]) == pytest.approx(float(bce(made.side_logits[0], mask[..., ::4, ::4])), rel=1e-5)
    distant = bce(made.extras["distant_logits"][0], mask[..., ::8, ::8])
    assert float(terms["distant_1"]) == pytest.approx(0.3 * float(distant), rel=1e-5)
    gate = bce(made.extras["gates"][0], mask[..., ::4, ::4])  # a second sigmoid
    assert float(terms["gate_1"]) == pytest.approx(0.3 * float(gate), rel=1e-5)


def test_error_no_views():
    with pytest.raises(ValueError, match="distant_logits"):
        MultiViewSupervision().terms(Prediction(torch.zeros(1, 1, 8, 8)), Target(torch.zeros(1, 1, 8, 8)))
    with pytest.raises(ValueError, match="distant_logits"):
        MultiViewSupervision().check(create_model("u2netp"))
