import pytest
import torch

from dichoseg import SyntheticDataset
from dichoseg.losses import BCELoss
from dichoseg.metrics.online import OnlineMetrics
from dichoseg.objectives import DeepSupervision
from dichoseg.training.processes import Processes
from dichoseg.training.schedules import cosine
from dichoseg.training.step import Stepper
from dichoseg.training.validation import validate

DATA = SyntheticDataset(5, size=64)
CPU = torch.device("cpu")


def stepper(model, **options):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    settings = {"dtype": None, "clip_norm": 1.0, "ema": None, "processes": Processes()} | options
    return Stepper(model, DeepSupervision(BCELoss()), optimizer, cosine(optimizer, 10), **settings)


def test_value_the_batches_make_no_difference(small_isnet):
    one = stepper(small_isnet)
    row = validate(one, DATA, batch_size=2, workers=0, device=CPU)
    assert not small_isnet.training
    normalize = small_isnet.preprocessing.normalize
    image = torch.stack([normalize(DATA[index].image[None])[0] for index in range(5)])
    mask = torch.stack([DATA[index].mask for index in range(5)])
    with torch.no_grad():
        prediction = small_isnet(image)
        loss = float(one.objective(prediction, mask))
    metrics = OnlineMetrics()
    metrics.update(prediction.logits, mask)
    assert row == pytest.approx({"val_loss": loss, **metrics.compute()}, rel=1e-4)


def test_value_the_average_is_what_is_scored(small_isnet):
    one = stepper(small_isnet, ema=0.5)
    before = validate(one, DATA, batch_size=5, workers=0, device=CPU)
    with torch.no_grad():
        for parameter in small_isnet.parameters():
            parameter.zero_()
    assert validate(one, DATA, batch_size=5, workers=0, device=CPU) == before
