import pytest

from dichoseg import load_component
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
