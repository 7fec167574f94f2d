import pytest
import torch
import torch.nn.functional as F

from dichoseg import Prediction, Target, list_components, load_component
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision


def prediction(value=0.0, dtype=torch.float32, requires_grad=False):
    logits = torch.full((2, 1, 65, 97), value, dtype=dtype, requires_grad=requires_grad)
    return Prediction(logits, (logits[..., ::2, ::2], logits[..., ::4, ::4]))


def test_value_deep_supervision_names_each_term(disc):
    terms = DeepSupervision(BCELoss(), side_weight=0.5).terms(prediction(), Target(disc))
    assert list(terms) == ["main", "side_1", "side_2"]
    assert [round(float(term), 4) for term in terms.values()] == [0.6931, 0.3466, 0.3466]
    assert list(DeepSupervision(BCELoss(), side_weight=0).terms(prediction(), Target(disc))) == ["main"]


@pytest.mark.parametrize("name", [n for n in list_components("losses") if "/" not in n])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [-100.0, 100.0])
@pytest.mark.parametrize("fill", [None, 0.0, 1.0])
def test_gradient_finite_at_the_extremes(name, dtype, value, fill, disc):
    mask = disc if fill is None else torch.full_like(disc, fill)
    outputs = prediction(value, dtype, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16 if dtype == torch.float32 else dtype):
        loss = DeepSupervision(load_component("losses", name)())(outputs, mask)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    loss.backward()
    assert torch.isfinite(outputs.logits.grad).all()


def test_value_a_second_term_supervises_the_final_logits_only(disc):
    for loss, terms in ((BCELoss(), ["main", "side_1", "side_2"]), (EdgeBCELoss(), ["main"])):
        assert list(DeepSupervision(loss).terms(prediction(), Target(disc))) == terms
        both = DeepSupervision(loss, side_weight=0.5).terms(prediction(), Target(disc))
        assert list(both) == ["main", "side_1", "side_2"], "unless it is asked for"
    assert type(DeepSupervision().loss) is BCELoss


def test_value_aligned_corners(disc):
    logits = torch.randn(2, 1, 5, 7)
    for aligned in (False, True):
        objective = DeepSupervision(lambda logits, _: logits[:, :, 1, 1].sum(), align_corners=aligned)
        resized = F.interpolate(logits, (65, 97), mode="bilinear", align_corners=aligned)
        assert objective.terms(Prediction(logits), Target(disc))["main"] == resized[:, :, 1, 1].sum()
