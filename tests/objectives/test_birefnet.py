import pytest
import torch

from dichoseg import Prediction, load_component
from dichoseg.objectives.birefnet import birefnet


@pytest.mark.parametrize("task", ["dis5k", "cod", "hrsod"])
def test_value_weights(task):
    assert birefnet(task=task).weights == {"bce": 30, "iou": 0.5, "ssim": 5, "gradient": 1}


def test_value_weights_of_other_tasks():
    assert birefnet(task="general").weights == {"bce": 30, "iou": 0.5, "ssim": 5, "mae": 100, "gradient": 1}
    assert load_component("objectives", "birefnet(task='matting')")().weights == {
        "bce": 30,
        "ssim": 5,
        "mae": 100,
        "gradient": 1,
    }


def test_error_task():
    with pytest.raises(ValueError, match="task .*'hair'"):
        birefnet(task="hair")


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("cod", {"bce": 0, "iou": 0.5**3, "ssim": 1}),
        ("general", {"bce": 0, "iou": 0.5**3, "ssim": 1, "mae": 0.9**3}),
        ("matting", {"bce": 1, "ssim": 0.9**3, "mae": 1}),
    ],
)
def test_value_factors_of_the_last_epochs(task, wanted):
    objective, plain = birefnet(task=task, last_epochs=20), birefnet(task=task)
    torch.manual_seed(0)
    prediction, mask = Prediction(torch.randn(1, 1, 32, 48)), torch.rand(1, 1, 32, 48)
    assert objective.weights == plain.weights
    for name, part, before in zip(objective.weights, objective.objectives, plain.objectives, strict=True):
        if name != "gradient":
            part.start_epoch(153, 170)  # the third of the last 20
            assert float(part(prediction, mask)) == pytest.approx(wanted[name] * float(before(prediction, mask)))
