import pytest
import torch

from dichoseg import GTEncoder, Prediction, Target, create_model
from dichoseg.losses import BCELoss
from dichoseg.masks import mask_edges
from dichoseg.objectives import DeepSupervision, EdgeSupervision, WeightedSum

TINY = {"channels": [4, 4, 8], "mid_channels": [2, 2, 4], "strides": [2, 4, 8], "stem_channels": 4}


@pytest.fixture
def edge_model():
    torch.manual_seed(0)
    return create_model("isnet", encoder_args=TINY, decoder="edge_guided", decoder_args={"channels": [4, 4, 8]})


def test_value_edge_supervision_by_hand(disc):
    logits = torch.zeros(2, 1, 65, 97)
    outputs = Prediction(logits, edge_logits=(logits,))
    terms = EdgeSupervision(BCELoss()).terms(outputs, Target(disc))
    assert list(terms) == ["edge"]
    assert float(terms["edge"]) == pytest.approx(0.693147, rel=1e-5)
    outputs = Prediction(logits, edge_logits=(logits, logits[..., ::2, ::2]))
    terms = EdgeSupervision(lambda _, edges: edges.sum(), edges=lambda mask: mask[..., :1]).terms(outputs, Target(disc))
    assert list(terms) == ["edge_1", "edge_2"]
    assert [float(term) for term in terms.values()] == [float(disc[..., 0].sum())] * 2


def test_value_edge_supervision_looks_at_edges_alone(disc):
    right = 18 * mask_edges(disc) - 9
    good, bad = (Prediction(right, edge_logits=(sign * right,)) for sign in (1, -1))
    assert float(EdgeSupervision()(good, disc)) < 1e-4 < 0.1 < float(EdgeSupervision()(bad, disc))


def test_gradient_edge_supervision_trains_a_model(edge_model, disc):
    objective = WeightedSum(mask=(1.0, DeepSupervision(BCELoss())), edge=(2.0, EdgeSupervision()))
    objective.check(edge_model)
    assert edge_model.training
    with torch.autocast("cpu", torch.bfloat16):
        outputs = edge_model(torch.rand(2, 3, 65, 97))
        terms = objective.terms(outputs, Target(disc))
    assert list(terms) == ["mask/main", *(f"mask/side_{i}" for i in range(1, 5)), "edge/edge"]
    sum(terms.values()).backward()
    assert edge_model.heads.edge_score.weight.grad.abs().sum() > 0
    assert all(torch.isfinite(p.grad).all() for p in edge_model.parameters())


@pytest.mark.parametrize("fill", [0.0, 1.0, 0.3])
def test_value_edge_supervision_without_edges(edge_model, fill):
    outputs = edge_model(torch.rand(2, 3, 65, 97))
    assert float(EdgeSupervision()(outputs, torch.full((2, 1, 65, 97), fill)).detach()) == 0


def test_value_edge_check_leaves_the_model_as_it_was(edge_model):
    edge_model.encoder.stages[0].eval()
    modes = [module.training for module in edge_model.modules()]
    before = {key: value.clone() for key, value in edge_model.state_dict().items()}
    EdgeSupervision().check(edge_model.double())
    assert [module.training for module in edge_model.modules()] == modes
    assert all(torch.equal(before[key].double(), value.double()) for key, value in edge_model.state_dict().items())


def test_error_model_without_edges(small_isnet, disc):
    message = "edge_logits.*'edge_guided'"
    with pytest.raises(ValueError, match=message):
        WeightedSum(edge=(1.0, EdgeSupervision())).check(small_isnet)
    assert small_isnet.training
    with pytest.raises(ValueError, match=message):
        EdgeSupervision().check(GTEncoder.like(small_isnet))
    with pytest.raises(ValueError, match=message):
        EdgeSupervision()(small_isnet(torch.rand(2, 3, 65, 97)), disc)
