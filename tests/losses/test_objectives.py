import re
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg import GTEncoder, Prediction, create_model, list_components, load_component
from dichoseg.blocks import mask_edges, resize
from dichoseg.losses import (
    BCELoss,
    DeepSupervision,
    EdgeBCELoss,
    EdgeSupervision,
    IntermediateSupervision,
    WeightedSum,
)

TINY = {"channels": [4, 4, 8], "mid_channels": [2, 2, 4], "strides": [2, 4, 8], "stem_channels": 4}


def prediction(value=0.0, dtype=torch.float32, requires_grad=False):
    logits = torch.full((2, 1, 65, 97), value, dtype=dtype, requires_grad=requires_grad)
    return Prediction(logits, (logits[..., ::2, ::2], logits[..., ::4, ::4]))


def test_value_deep_supervision_names_each_term(disc):
    terms = DeepSupervision(BCELoss(), side_weight=0.5).terms(prediction(), disc)
    assert list(terms) == ["main", "side_1", "side_2"]
    assert [round(float(term), 4) for term in terms.values()] == [0.6931, 0.3466, 0.3466]
    assert list(DeepSupervision(BCELoss(), side_weight=0).terms(prediction(), disc)) == ["main"]


def test_value_weighted_sum(disc):
    objective = WeightedSum(type=(2.0, DeepSupervision(BCELoss())), edge=(0.5, DeepSupervision(EdgeBCELoss())))
    terms = objective.terms(prediction(), disc)
    assert float(terms["type/main"]) == pytest.approx(2 * 0.693147, rel=1e-5)
    assert float(terms["edge/side_2"]) == pytest.approx(0.5 * 0.693147 / 2, rel=1e-5)
    assert float(objective(prediction(), disc)) == pytest.approx(sum(float(term) for term in terms.values()))


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


@pytest.mark.parametrize("name", [n for n in list_components("losses") if "/" not in n])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (10, 33)])
@pytest.mark.parametrize("mask", ["random", "empty", "full", "one pixel"])
def test_gradient_is_that_of_the_value(name, size, mask):
    generator = torch.manual_seed(1)
    masks = torch.rand(2, 1, *size, generator=generator, dtype=torch.float64).round()
    if mask != "random":
        masks = torch.full_like(masks, float(mask == "full"))
        masks[..., 0, 0] += mask == "one pixel"
    logits = torch.randn(2, 1, *size, generator=generator, dtype=torch.float64, requires_grad=True)
    loss = load_component("losses", name)()
    few = logits.numel() <= 100  # else not each number of the gradient, but their sums with random weights
    assert torch.autograd.gradcheck(lambda logits: loss(logits, masks), logits, fast_mode=not few)


def outputs_to_learn(dtype=torch.float32):
    generator = torch.manual_seed(3)
    sizes = (65, 97), (33, 49), (5, 7)
    maps = [torch.randn(2, 1, *size, generator=generator).to(dtype).requires_grad_() for size in sizes]
    return maps, Prediction(maps[0], tuple(maps[1:]), edge_logits=(maps[1],), features=tuple(maps))


@pytest.mark.parametrize("name", [n for n in list_components("losses") if "/" not in n])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_is_that_of_the_plain_sum(name, dtype, disc):
    loss = load_component("losses", name)()
    maps, outputs = outputs_to_learn(dtype)
    plain = [weight * loss(resize(x.float(), (65, 97)), disc) for weight, x in zip((1, 0.5, 0.5), maps, strict=True)]
    terms = list(DeepSupervision(loss, side_weight=0.5).terms(outputs, disc).values())
    assert all(torch.equal(*pair) for pair in zip(terms, plain, strict=True))
    wanted, found = (torch.autograd.grad(3 * sum(values), maps) for values in (plain, terms))
    for pair in zip(found, wanted, strict=True):
        assert pair[0].dtype == dtype
        torch.testing.assert_close(*pair, rtol=1e-4 if dtype == torch.float32 else 1e-2, atol=1e-8)


def bytes_kept(compute):
    """In tensors that are kept for the backward pass."""
    kept = weakref.WeakSet()

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor
            kept.add(self)

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda one: one.tensor):
        result = compute()
    storages = {one.tensor.untyped_storage().data_ptr(): one.tensor.untyped_storage().nbytes() for one in kept}
    del result
    return sum(storages.values())


@pytest.mark.parametrize("name", ["bce", "ssim", "structure"])
def test_value_one_map_of_its_own_size_is_kept_of_each(name, disc):
    maps, outputs = outputs_to_learn(torch.bfloat16)
    loss = load_component("losses", name)()
    numbers = 4 * sum(x.numel() for x in maps)
    terms = 4 * 3 * 8  # and the terms' weights
    for objective in (DeepSupervision(loss), WeightedSum(a=(0.5, DeepSupervision(loss)))):
        assert numbers <= bytes_kept(lambda objective=objective: objective(outputs, disc)) <= numbers + terms
    assert bytes_kept(lambda: EdgeSupervision(loss)(outputs, disc)) <= 4 * maps[1].numel() + terms
    with torch.no_grad():
        assert bytes_kept(lambda: DeepSupervision(loss)(outputs, disc)) == 0


def test_gradient_is_scaled_before_it_is_rounded(disc):
    """So that a gradient scaler keeps small ones."""
    gradients = []
    for factor in (1.0, 2.0**16):
        maps, outputs = outputs_to_learn(torch.float16)
        (factor * 1e-6 * DeepSupervision(BCELoss())(outputs, disc)).backward()
        gradients.append(maps[0].grad.float() / factor)
    assert not gradients[0].any()
    assert gradients[1].abs().max() > 1e-11


def test_gradient_of_a_loss_that_draws_random_numbers(disc):
    def loss(logits, mask):
        return (torch.rand(()) * logits * mask).sum()

    maps, outputs = outputs_to_learn()
    torch.manual_seed(0)
    terms = DeepSupervision(loss, side_weight=0).terms(outputs, disc)
    random = torch.rand(())  # the second of them: the loss drew one
    (gradient,) = torch.autograd.grad(terms["main"], maps[0])
    torch.manual_seed(0)
    assert torch.equal(gradient, torch.rand(()) * disc)
    assert torch.equal(random, torch.rand(()))


def test_gradient_reaches_what_a_loss_learns_itself(disc):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, logits, mask):
            return F.binary_cross_entropy_with_logits(self.scale * logits, mask)

    maps, outputs = outputs_to_learn()
    objective = DeepSupervision(Scaled())
    objective(outputs, disc).backward()
    wanted, plain = outputs_to_learn()[0], Scaled()
    sum(plain(resize(x, (65, 97)), disc) for x in wanted).backward()
    assert objective.loss.scale.grad == pytest.approx(float(plain.scale.grad), rel=1e-5)
    for x, y in zip(maps, wanted, strict=True):
        torch.testing.assert_close(x.grad, y.grad)


def test_gradient_twice_and_of_a_constant(disc):
    maps, outputs = outputs_to_learn()
    value = DeepSupervision(BCELoss())(outputs, disc)
    first, second = (torch.autograd.grad(value, maps, retain_graph=True) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        torch.autograd.grad(value, maps, create_graph=True)
    terms = DeepSupervision(lambda logits, mask: mask.sum()).terms(outputs, disc)
    assert float(terms["side_1"]) == float(disc.sum())
    assert not terms["side_1"].requires_grad


def absolute_error(features, target):
    return abs(features - target).mean()


def smooth_absolute_error(features, target):
    error = abs(features - target)
    return np.where(error < 1, error**2 / 2, error - 0.5).mean()


def divergence(features, target):
    p, q = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (target, features))
    return (p * np.log(p / q)).mean()


def test_value_of_each_published_feature_loss(small_isnet, disc):
    gt_encoder = GTEncoder.like(small_isnet).double()
    prediction = small_isnet.double()(torch.rand(2, 3, 65, 97, dtype=torch.float64))
    features = [5 * feature.detach().numpy() for feature in prediction.features]
    with torch.no_grad():
        targets = gt_encoder.eval().features(gt_encoder.preprocessing.normalize(disc.double()))
    prediction = Prediction(prediction.logits, features=tuple(torch.from_numpy(feature) for feature in features))
    documented = re.findall("`loss=(.*)`", IntermediateSupervision.__doc__)
    losses = [None, *(eval(text, {"nn": nn, "F": F}) for text in documented)]
    for loss, by_hand in zip(
        losses, [lambda f, t: ((f - t) ** 2).mean(), absolute_error, smooth_absolute_error, divergence], strict=True
    ):
        terms = IntermediateSupervision(gt_encoder, loss=loss).terms(prediction, disc.double())
        expected = [by_hand(feature, target.numpy()) for feature, target in zip(features, targets, strict=True)]
        assert [float(term) for term in terms.values()] == pytest.approx(expected, rel=1e-9)
        assert min(expected) > 0


def test_gradient_of_a_feature_loss_under_autocast(small_isnet, disc):
    seen = []

    def loss(features, target):
        seen.append((features.dtype, target.dtype, features.shape == target.shape, target.requires_grad))
        return F.kl_div(features.log_softmax(1), target.softmax(1), reduction="none").mean()

    objective = IntermediateSupervision(GTEncoder.like(small_isnet), student=small_isnet, loss=loss)
    with torch.autocast("cpu", torch.bfloat16):
        objective(small_isnet(torch.rand(2, 3, 65, 97)), disc).backward()
    assert seen == [(torch.float32, torch.float32, True, False)] * 3
    gradients = [parameter.grad for parameter in small_isnet.encoder.parameters()]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


def test_value_gt_encoder_is_frozen_and_apart(small_isnet, disc):
    gt_encoder = GTEncoder.like(small_isnet)
    objective = IntermediateSupervision(gt_encoder, student=small_isnet).train()
    assert not gt_encoder.training
    before = {key: value.clone() for key, value in gt_encoder.state_dict().items()}
    outputs = small_isnet(torch.rand(2, 3, 65, 97))
    terms = objective.terms(outputs, disc)
    assert list(terms) == ["feature_1", "feature_2", "feature_3"]
    assert objective.terms(outputs, disc.bool()) == terms
    objective(outputs, disc).backward()
    assert all(parameter.grad is None for parameter in gt_encoder.parameters())
    assert all(torch.equal(before[key], value) for key, value in gt_encoder.state_dict().items())
    assert not {id(p) for p in small_isnet.parameters()} & {id(p) for p in objective.parameters()}


def test_error_shapes_do_not_fit(small_isnet):
    other = create_model("isnet", encoder_args={"channels": [4, 4], "mid_channels": [2, 2], "strides": [2, 4]})
    with pytest.raises(ValueError, match=r"GTEncoder.like\(model\) makes one that fits"):
        IntermediateSupervision(GTEncoder.like(other), student=small_isnet)
    with pytest.raises(ValueError, match="takes masks; got a model with preprocessing.source='image'"):
        IntermediateSupervision(small_isnet)


def test_error_weights_that_are_no_weights():
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="the weight of bce must be a finite number, 0 or more; got"):
            WeightedSum(bce=(weight, DeepSupervision(BCELoss())))
        with pytest.raises(ValueError, match="side_weight must be a finite number, 0 or more; got"):
            DeepSupervision(BCELoss(), side_weight=weight)
    with pytest.raises(TypeError, match=r"the weight of bce must be a number; got '0\.5'"):
        WeightedSum(bce=("0.5", DeepSupervision(BCELoss())))


def test_error_weighted_sum():
    with pytest.raises(TypeError, match=r"DeepSupervision\(loss\) makes an objective"):
        WeightedSum(bce=(1.0, nn.BCEWithLogitsLoss()))
    with pytest.raises(ValueError, match="needs a part"):
        WeightedSum()


@pytest.fixture
def edge_model():
    torch.manual_seed(0)
    return create_model("isnet", encoder_args=TINY, decoder="edge_guided", decoder_args={"channels": [4, 4, 8]})


def test_value_edge_supervision_by_hand(disc):
    logits = torch.zeros(2, 1, 65, 97)
    outputs = Prediction(logits, edge_logits=(logits,))
    terms = EdgeSupervision(BCELoss()).terms(outputs, disc)
    assert list(terms) == ["edge"]
    assert float(terms["edge"]) == pytest.approx(0.693147, rel=1e-5)
    outputs = Prediction(logits, edge_logits=(logits, logits[..., ::2, ::2]))
    terms = EdgeSupervision(lambda _, edges: edges.sum(), edges=lambda mask: mask[..., :1]).terms(outputs, disc)
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
        terms = objective.terms(outputs, disc)
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


def test_value_edge_model_takes_intermediate_supervision(edge_model, disc):
    objective = IntermediateSupervision(GTEncoder.like(edge_model), student=edge_model)
    terms = objective.terms(edge_model(torch.rand(2, 3, 65, 97)), disc)
    assert all(torch.isfinite(term) for term in terms.values())


def test_error_model_without_edges(small_isnet, disc):
    message = "needs a model that predicts edges.*decoder 'edge_guided'"
    with pytest.raises(ValueError, match=message):
        WeightedSum(edge=(1.0, EdgeSupervision())).check(small_isnet)
    assert small_isnet.training
    with pytest.raises(ValueError, match=message):
        EdgeSupervision().check(GTEncoder.like(small_isnet))
    with pytest.raises(ValueError, match=message):
        EdgeSupervision()(small_isnet(torch.rand(2, 3, 65, 97)), disc)
