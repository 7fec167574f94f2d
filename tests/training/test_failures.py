import pytest
import torch

from dichoseg import SyntheticDataset, fit
from dichoseg.contracts import Objective

DATA = SyntheticDataset(6, size=64)


class Infinite(Objective):
    def terms(self, prediction, mask):
        return {"fine": prediction.logits.mean(), "broken": prediction.logits.mean() * float("inf")}


def test_error_loss_that_is_not_finite(make_isnet):
    with pytest.raises(FloatingPointError, match=r"not finite: broken is -?(inf|nan) in epoch 1, step 1, images "):
        fit(make_isnet(), DATA, objective=Infinite(), batch_size=3)


class Steep(Objective):
    def terms(self, prediction, mask):
        near_zero = prediction.logits.mean() * 0
        return {"steep": near_zero.sqrt()}  # 0, with a gradient that is not a number


def test_error_loss_that_is_not_finite_leaves_its_batch(make_isnet, tmp_path):
    with pytest.raises(FloatingPointError, match=r"broken_batch.pt\); lower the learning rate"):
        fit(make_isnet(), DATA, objective=Infinite(), batch_size=3, out=tmp_path / "run")
    batch = torch.load(tmp_path / "run" / "broken_batch.pt", weights_only=True)
    assert (batch["epoch"], batch["step"], len(batch["names"])) == (1, 1, 3)
    assert batch["image"].shape == (3, 3, 64, 64)
    assert batch["mask"].shape == (3, 1, 64, 64)


def test_error_gradient_that_is_not_finite(make_isnet):
    model = make_isnet()
    with pytest.raises(FloatingPointError, match="the gradient's norm is nan in epoch 1, step 1"):
        fit(model, DATA, objective=Steep(), batch_size=3)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_error_out_of_memory_says_what_helps(make_isnet, monkeypatch):
    def full(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    model = make_isnet()
    monkeypatch.setattr(model, "forward", full)
    with pytest.raises(
        MemoryError, match=r"out of memory: isnet at 64 pixels, batch_size=3, on cpu.*accumulate= raised as much"
    ):
        fit(model, DATA, batch_size=3)
    monkeypatch.setattr(model, "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("another one")))
    with pytest.raises(RuntimeError, match="another one"):
        fit(model, DATA, batch_size=3)
