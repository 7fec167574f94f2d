import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg import GTEncoder, Prediction, Target, create_model
from dichoseg.objectives import IntermediateSupervision

TINY = {"channels": [4, 4, 8], "mid_channels": [2, 2, 4], "strides": [2, 4, 8], "stem_channels": 4}


def prediction(value=0.0, dtype=torch.float32, requires_grad=False):
    logits = torch.full((2, 1, 65, 97), value, dtype=dtype, requires_grad=requires_grad)
    return Prediction(logits, (logits[..., ::2, ::2], logits[..., ::4, ::4]))


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
        terms = IntermediateSupervision(gt_encoder, loss=loss).terms(prediction, Target(disc.double()))
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
    terms = objective.terms(outputs, Target(disc))
    assert list(terms) == ["feature_1", "feature_2", "feature_3"]
    assert objective.terms(outputs, Target(disc.bool())) == terms
    objective(outputs, disc).backward()
    assert all(parameter.grad is None for parameter in gt_encoder.parameters())
    assert all(torch.equal(before[key], value) for key, value in gt_encoder.state_dict().items())
    assert not {id(p) for p in small_isnet.parameters()} & {id(p) for p in objective.parameters()}


def test_error_shapes_do_not_fit(small_isnet):
    other = create_model("isnet", encoder_args={"channels": [4, 4], "mid_channels": [2, 2], "strides": [2, 4]})
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        IntermediateSupervision(GTEncoder.like(other), student=small_isnet)
    with pytest.raises(ValueError, match="source='image'"):
        IntermediateSupervision(small_isnet)


@pytest.fixture
def edge_model():
    torch.manual_seed(0)
    return create_model("isnet", encoder_args=TINY, decoder="edge_guided", decoder_args={"channels": [4, 4, 8]})


def test_value_edge_model_takes_intermediate_supervision(edge_model, disc):
    objective = IntermediateSupervision(GTEncoder.like(edge_model), student=edge_model)
    terms = objective.terms(edge_model(torch.rand(2, 3, 65, 97)), Target(disc))
    assert all(torch.isfinite(term) for term in terms.values())
