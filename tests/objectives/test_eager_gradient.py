import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg import Prediction, Target, list_components, load_component
from dichoseg.blocks import resize
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision, EdgeSupervision, WeightedSum


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
    terms = list(DeepSupervision(loss, side_weight=0.5).terms(outputs, Target(disc)).values())
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
    terms = DeepSupervision(loss, side_weight=0).terms(outputs, Target(disc))
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
    terms = DeepSupervision(lambda logits, mask: mask.sum()).terms(outputs, Target(disc))
    assert float(terms["side_1"]) == float(disc.sum())
    assert not terms["side_1"].requires_grad
