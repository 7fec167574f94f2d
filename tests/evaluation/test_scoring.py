import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import Predictor, SyntheticDataset, evaluate
from dichoseg.metrics import Evaluator
from dichoseg.photographs import predict_files


def test_value_evaluate_equals_scoring_the_written_files(small_isnet, tmp_path):
    data = SyntheticDataset(3, size=96)
    for image, _, name in (data[index] for index in range(3)):
        Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy()).save(tmp_path / f"{name}.png")
    stored = [
        (
            torch.from_numpy(np.array(Image.open(tmp_path / f"{data[i].name}.png"))).permute(2, 0, 1) / 255,
            data[i].mask,
        )
        for i in range(3)
    ]
    assert predict_files(Predictor(small_isnet, precision="float32"), [tmp_path], tmp_path / "out").failures == ()
    evaluator = Evaluator(metrics=("paper",))
    for index in range(3):
        evaluator.update(
            np.array(Image.open(tmp_path / "out" / f"{data[index].name}.png")),
            stored[index][1][0].numpy() > 128 / 255,
        )
    assert evaluate(small_isnet, stored) == evaluator.compute()


def test_error_nothing_to_score(small_isnet):
    with pytest.raises(ValueError, match="the data set holds no samples to score"):
        evaluate(small_isnet, [])
