import pytest
import torch

from dichoseg import SyntheticDataset
from dichoseg.losses import BCELoss
from dichoseg.metrics.online import OnlineMetrics
from dichoseg.objectives import DeepSupervision
from dichoseg.training import Batches, Optimization
from dichoseg.training.ranks import Ranks
from dichoseg.training.step import Stepper
from dichoseg.training.validation import validate

DATA = SyntheticDataset(5, size=64)


def stepper(model, **options):
    optimization = Optimization(optimizer=torch.optim.SGD, precision="float32", **options)
    return Stepper(model, DeepSupervision(BCELoss()), optimization, steps=10, ranks=Ranks())


def test_value_the_batches_make_no_difference(small_isnet):
    one = stepper(small_isnet)
    row = validate(one, Batches(DATA, small_isnet, batch_size=2))
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
    before = validate(one, Batches(DATA, small_isnet, batch_size=5))
    with torch.no_grad():
        for parameter in small_isnet.parameters():
            parameter.zero_()
    assert validate(one, Batches(DATA, small_isnet, batch_size=5)) == before
