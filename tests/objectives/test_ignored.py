import pytest
import torch

from dichoseg import Prediction, Target, create_model, list_components, load_component
from dichoseg.losses import BCELoss, DiceLoss, IoULoss
from dichoseg.objectives import DeepSupervision, EdgeSupervision
from dichoseg.objectives.ignored import counts, without_ignored

SIZE = 64


def half(mask):
    weight = torch.ones_like(mask)
    weight[..., : mask.shape[-1] // 2] = 0
    return weight


def random_logits(mask, seed=0):
    return torch.randn(mask.shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", [name for name in list_components("losses") if "/" not in name])
def test_gradient_a_loss_does_not_see_ignored_pixels(name, disc):
    weight, objective = half(disc), DeepSupervision(load_component("losses", name)())
    values = []
    for seed, flipped in ((1, disc), (2, 1 - disc)):  # other logits and another mask where pixels are ignored
        logits = torch.where(weight > 0, random_logits(disc), 9 * random_logits(disc, seed)).requires_grad_()
        value = objective(Prediction(logits), Target(torch.where(weight > 0, disc, flipped), weight=weight))
        value.backward()
        assert (logits.grad[weight == 0] == 0).all()
        assert (logits.grad[weight > 0] != 0).any()
        values.append(float(value.detach()))
    assert values[0] == values[1] != 0


@pytest.mark.parametrize("name", list_components("losses"))
def test_value_weights_of_one_change_nothing(name, disc):
    prediction, objective = Prediction(random_logits(disc)), DeepSupervision(load_component("losses", name)())
    assert objective(prediction, Target(disc, weight=torch.ones_like(disc))) == objective(prediction, disc)


def test_value_an_ignored_pixel_is_background_without_an_error(disc):
    logits, weight = random_logits(disc), half(disc)
    middle = disc.shape[-1] // 2
    inside, mask = logits[..., middle:], disc[..., middle:]
    target = Target(disc, weight=weight)
    for loss in (IoULoss(), DiceLoss()):  # sums over pixels: as if the image were cropped
        torch.testing.assert_close(DeepSupervision(loss)(Prediction(logits), target), loss(inside, mask))
    cropped = BCELoss()(inside, mask) * inside.numel() / logits.numel()  # a mean over all pixels
    torch.testing.assert_close(DeepSupervision()(Prediction(logits), target), cropped)


def test_value_an_image_without_counted_pixels_gives_no_error_and_no_gradient(disc):
    logits = random_logits(disc).requires_grad_()
    value = DeepSupervision()(Prediction(logits), Target(disc, weight=torch.zeros_like(disc)))
    value.backward()
    assert value < 1e-20
    assert not logits.grad.any()


def test_value_edges_next_to_ignored_pixels_are_unknown(disc):
    weight, logits = half(disc), random_logits(disc)
    changed = torch.where(weight > 0, disc, 1 - disc)
    values = [
        EdgeSupervision()(Prediction(logits, edge_logits=(logits,)), Target(mask, weight=weight))
        for mask in (disc, changed)
    ]
    assert values[0] == values[1]


@pytest.mark.parametrize("name", ["birefnet", "inspyrenet", "mvanet"])
def test_gradient_objectives_of_networks(name):
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 20:50, 10:60] = 1
    weight, objective = half(mask), load_component("objectives", name)()
    sides = tuple(random_logits(mask)[..., ::step, ::step] for step in (2, 4, 8))
    extras = {"gradient_logits": sides, "distant_logits": sides, "gates": tuple(side.sigmoid() for side in sides)}
    values = []
    for seed in (1, 2):
        logits = torch.where(weight > 0, random_logits(mask), random_logits(mask, seed)).requires_grad_()
        target = Target(torch.where(weight > 0, mask, float(seed > 1)), torch.ones(1, 3, SIZE, SIZE), weight)
        value = objective(Prediction(logits, sides, extras=extras), target)
        value.backward()
        assert (logits.grad[weight == 0] == 0).all()
        assert logits.grad.any()
        values.append(float(value.detach()))
    # the consistency of a pyramid compares with blurred logits, which ignored pixels reach
    assert values[0] == pytest.approx(values[1], rel=1e-3 if name == "inspyrenet" else 1e-6)


def test_gradient_features_of_a_gt_encoder(disc):
    from dichoseg import GTEncoder
    from dichoseg.objectives import IntermediateSupervision

    encoder = GTEncoder.like(create_model("u2netp", size=32))
    objective = IntermediateSupervision(encoder)
    mask = disc[..., :32, :32]
    features = [feature.clone().requires_grad_() for feature in encoder.features(mask - 0.5)]
    weight = half(mask)
    objective(Prediction(mask, features=tuple(features)), Target(mask, weight=weight)).backward()
    for feature in features:
        assert (feature.grad[..., : feature.shape[-1] // 2] == 0).all()


def test_shape_a_cell_counts_if_all_its_pixels_do():
    weight = torch.ones(1, 1, 4, 4)
    weight[..., 0, 0] = 0
    assert counts(weight, (2, 2)).tolist() == [[[[False, True], [True, True]]]]
    logits, mask = without_ignored(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), weight)
    assert logits.flatten().tolist() == [-50, 1, 1, 1]
    assert mask.flatten().tolist() == [0, 1, 1, 1]
    assert without_ignored(logits, mask, None) == (logits, mask)
