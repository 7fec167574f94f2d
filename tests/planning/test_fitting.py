import dataclasses

import pytest

from dichoseg import Optimization
from dichoseg.planning import MemoryForecast, fitting_options
from dichoseg.planning import fitting as fitting_module
from dichoseg.training import freeze_batch_norm

PARTS = [field.name for field in dataclasses.fields(MemoryForecast)]


def ways(options):
    return [(one.batch_size, one.accumulate, one.recompute, one.freeze_encoder, one.size) for one in options]


def test_value_least_harm_first(monkeypatch, make_isnet):
    """With forecasts of a GB for each image of 64 pixels, halved by recomputation and by a frozen encoder."""

    def fake(model, *, size, batch_size, recompute, freeze_encoder, **rest):
        total = batch_size * (size or 64) / 64 / 2**recompute / 2**freeze_encoder
        return MemoryForecast(**dict.fromkeys(PARTS, 0.0) | {"activations": total})

    monkeypatch.setattr(fitting_module, "forecast_memory", fake)
    model = make_isnet()
    freeze_batch_norm(model)
    assert ways(fitting_options(model, 8, batch_size=8)) == [(8, 1, False, False, None)]
    assert ways(fitting_options(model, 4, batch_size=8)) == [(4, 2, False, False, None), (8, 1, True, False, None)]
    assert ways(fitting_options(model, 2, batch_size=8)) == [
        (2, 4, False, False, None), (4, 2, True, False, None), (4, 2, False, True, None), (8, 1, True, True, None)
    ]  # fmt: skip
    found = fitting_options(model, 0.5, batch_size=1, smaller_sizes=[32], optimization=Optimization(accumulate=3))
    assert ways(found) == [(1, 3, True, False, None)]
    found = fitting_options(model, 0.25, batch_size=1, smaller_sizes=[32])
    assert ways(found) == [(1, 1, True, False, 32)]
    with pytest.raises(ValueError, match=r"nothing fits 0.2 GB: the smallest forecast is 0.25 GB"):
        fitting_options(model, 0.2, batch_size=4)


def test_value_batch_norm_keeps_two_images(small_isnet):
    with pytest.raises(ValueError, match="nothing fits 0.01 GB"):
        fitting_options(small_isnet, 0.01, batch_size=2, device="cpu")
    (option,) = fitting_options(small_isnet, 1e3, batch_size=2, device="cpu")
    assert (option.batch_size, option.accumulate) == (2, 1)
    assert option.forecast.total < 1e3
