import copy
import inspect
import logging
import multiprocessing
import pickle
import random
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from dichoseg import (
    FolderDataset,
    GTEncoder,
    Optimization,
    Preprocessing,
    Sample,
    SyntheticDataset,
    create_model,
    fit,
    load_model,
)
from dichoseg.augmentations import gpu_augmentation
from dichoseg.contracts import Objective
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision, IntermediateSupervision, WeightedSum
from dichoseg.training.loop import HABITS

from ..programs import make_stand_ins, smaller

DATA = SyntheticDataset(6, size=64)


def fresh():
    torch.manual_seed(0)
    args = {"channels": [8, 8, 16], "mid_channels": [4, 4, 8], "strides": [2, 4, 8], "stem_channels": 8}
    return create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=64))


def test_value_it_learns():
    model = fresh()
    history = fit(
        model,
        SyntheticDataset(4, size=64),
        epochs=30,
        batch_size=4,
        optimization=Optimization(learning_rate=5e-3),
    )
    assert history[-1]["main"] < 0.6 * history[0]["main"]
    assert [row["epoch"] for row in history] == list(range(1, 31))


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def start_method(request):
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture(scope="module")
def without_workers():
    model = fresh()
    fit(model, DATA, epochs=1, batch_size=3)
    return model.state_dict()


def test_value_same_weights_however_workers_start(start_method, without_workers):
    model = fresh()
    fit(model, DATA, epochs=1, batch_size=3, workers=1)
    assert all(torch.equal(value, without_workers[name]) for name, value in model.state_dict().items())


def test_value_same_seed_same_weights_whatever_the_workers():
    states = []
    for workers in (0, 2):
        model = fresh()
        fit(model, DATA, augmentation=gpu_augmentation(), epochs=2, batch_size=3, workers=workers, seed=5)
        states.append(model.state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_value_accumulation_is_one_larger_batch():
    steps = []
    for batch_size, accumulate in ((6, 1), (2, 3)):
        model = fresh().eval()
        model.train = lambda mode=True, model=model: model  # batch norm with fixed statistics sees no batch size
        fit(
            model,
            DATA,
            epochs=1,
            batch_size=batch_size,
            optimization=Optimization(
                optimizer=torch.optim.SGD,
                learning_rate=0.1,
                accumulate=accumulate,
                clip_norm=None,
                precision="float32",
            ),
        )
        steps.append(model.state_dict())
    for key, value in steps[0].items():
        torch.testing.assert_close(value, steps[1][key], rtol=1e-4, atol=1e-6)


def test_value_out_folder_and_best_weights(tmp_path):
    model = fresh()
    history = fit(model, DATA, val_data=DATA, epochs=3, batch_size=3, out=tmp_path / "run")
    assert {"quick_mae", "quick_max_f", "val_loss", "loss", "main", "side_1", "learning_rate", "seconds"} <= set(
        history[0]
    )
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "best", "curves.png", "history.csv", "last", "plan.json", "sheets", "state.pt",
    ]  # fmt: skip
    assert len(list((tmp_path / "run/sheets").iterdir())) == 3
    lines = (tmp_path / "run/history.csv").read_text().splitlines()
    assert len(lines) == 4
    best = load_model(tmp_path / "run").state_dict()
    assert all(torch.equal(value, best[key]) for key, value in model.state_dict().items())


def test_value_global_state_is_left_alone():
    model = fresh().eval()
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    expected = torch.rand(1), random.random(), np.random.rand()
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    seen = []
    fit(
        model,
        DATA,
        val_data=DATA,
        augmentation=gpu_augmentation(),
        epochs=1,
        batch_size=3,
        on_epoch=lambda m, row: seen.append((m is model, row["epoch"])),
    )
    assert (torch.rand(1), random.random(), np.random.rand()) == expected
    assert torch.is_grad_enabled()
    assert not model.training
    assert seen == [(True, 1)]


def test_value_gt_encoder_then_student():
    model = fresh()
    gt_encoder = GTEncoder.like(model)
    history = fit(gt_encoder, DATA, epochs=20, batch_size=3, optimization=Optimization(learning_rate=5e-3))
    assert history[-1]["main"] < 0.5 * history[0]["main"]
    frozen = {key: value.clone() for key, value in gt_encoder.state_dict().items()}
    objective = WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), gt=(1.0, IntermediateSupervision(gt_encoder)))
    row = fit(model, DATA, objective=objective, epochs=1, batch_size=3)[0]
    assert {"bce/main", "gt/feature_1", "gt/feature_3"} <= set(row)
    assert all(torch.equal(frozen[key], value) for key, value in gt_encoder.state_dict().items())
    assert not any("gt" in key for key in model.state_dict())


def test_value_validation_loss_is_the_objective_in_evaluation(small_isnet):
    still = Optimization(optimizer=torch.optim.SGD, learning_rate=0.0, precision="float32")
    row = fit(small_isnet, DATA, val_data=DATA, epochs=1, batch_size=3, optimization=still)[0]
    image = torch.stack([DATA[index].image for index in range(6)])
    mask = torch.stack([DATA[index].mask for index in range(6)])
    with torch.no_grad():
        prediction = small_isnet.eval()(small_isnet.preprocessing.normalize(image))
    assert row["val_loss"] == pytest.approx(float(DeepSupervision(BCELoss())(prediction, mask)), rel=1e-5)


def test_value_on_epoch_ends_training(caplog):
    caplog.set_level(logging.INFO)
    history = fit(fresh(), DATA, epochs=9, batch_size=3, on_epoch=lambda _, row: row["epoch"] == 2)
    assert len(history) == 2
    assert "epoch 2: training ends here, as on_epoch asked" in caplog.text
    assert len(fit(fresh(), DATA, epochs=2, batch_size=3, on_epoch=lambda _, row: "going on")) == 2
    assert len(fit(fresh(), DATA, epochs=2, batch_size=3, on_epoch=lambda _, row: np.True_)) == 1


def test_value_a_row_that_on_epoch_extends_is_kept(tmp_path):
    def measure(model, row):
        if row["epoch"] == 2:
            row["mine/score"] = 1.0

    history = fit(fresh(), DATA, epochs=3, batch_size=3, on_epoch=measure, out=tmp_path / "run")
    assert history[1]["mine/score"] == 1.0
    header, *lines = (tmp_path / "run/history.csv").read_text().splitlines()
    assert header.endswith(",mine/score")
    assert [line.rsplit(",", 1)[1] for line in lines] == ["", "1.0", ""]


def test_error_optimizer_that_cannot_be_made_leaves_the_model_where_it_was():
    model = fresh()
    with pytest.raises(TypeError, match="unexpected keyword argument 'lr'"):
        fit(model, DATA, batch_size=3, optimization=Optimization(optimizer=lambda parameters: None))
    assert model.training


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_value_trains_where_gradients_are_off(mode):
    model = fresh()
    before = [parameter.clone() for parameter in model.parameters()]
    with mode():
        fit(model, DATA, epochs=1, batch_size=3)
        assert not torch.is_grad_enabled()
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_error_sample_whose_third_part_is_no_name():
    image, mask, _ = DATA[0]
    with pytest.raises(ValueError, match=r"^sample \d: wanted an image \(3, H, W\) .*; got \(64, 64\) and \(64, 64\)$"):
        fit(fresh(), [(image[0], mask[0], mask)] * 2, epochs=1, batch_size=2)


def test_value_a_line_for_each_epoch_without_a_terminal(capfd):
    fit(fresh(), DATA, epochs=2, batch_size=3)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert [line.partition(": loss ")[0] for line in shown.err.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    fit(fresh(), DATA, epochs=1, batch_size=3, progress=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("workers", [0, 1])
def test_error_unreadable_file_is_named_in_one_line(tmp_path, workers):
    for folder in ("im", "gt"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            (tmp_path / folder / f"{name}.png").write_text("no picture")
    with pytest.raises(ValueError, match="im/[ab].png is not an image that can be read$"):
        fit(fresh(), FolderDataset(tmp_path / "im", tmp_path / "gt"), batch_size=2, workers=workers)


def test_error_samples():
    image, mask, _ = DATA[0]
    with pytest.raises(ValueError, match="sample 0: the mask must lie in .*; got 0 to 2"):
        fit(fresh(), [(image, mask * 255)] * 2, batch_size=2)
    with pytest.raises(ValueError, match="odd: wanted an image"):
        fit(fresh(), [Sample(image, mask[..., 1:], "odd")] * 2, batch_size=2)
    model = fresh()
    model.preprocessing = Preprocessing(size=None)
    with pytest.raises(ValueError, match="images of different sizes cannot share a batch"):
        fit(model, [(image, mask), (image[..., 1:], mask[..., 1:])], batch_size=2)


def test_value_average_of_the_weights():
    seen = []
    model, raw = fresh(), fresh()
    fit(raw, DATA, batch_size=3, epochs=2)
    fit(
        model,
        DATA,
        batch_size=3,
        epochs=2,
        optimization=Optimization(ema=0.75),
        on_epoch=lambda shown, _: seen.append(shown),
    )
    # two steps an epoch: the first average is the first weights
    weights = []

    def record(optimizer, steps):
        optimizer.register_step_post_hook(
            lambda *_: weights.append([value.clone() for value in optimizer.param_groups[0]["params"]])
        )
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    fit(fresh(), DATA, batch_size=3, epochs=2, optimization=Optimization(schedule=record))
    expected = weights[0]
    for later in weights[1:]:
        expected = [0.75 * old + 0.25 * new for old, new in zip(expected, later, strict=True)]
    for value, own in zip(expected, model.parameters(), strict=True):
        torch.testing.assert_close(own, value.contiguous(), rtol=1e-4, atol=1e-6)
    assert not torch.equal(next(raw.parameters()), next(model.parameters()))
    assert seen[0] is not model


def test_value_precisions_one_after_the_other_and_the_model_as_before():
    results = {}
    for precision in ("float32", "bfloat16", "float16", "float32"):
        model = fresh()
        history = fit(model, DATA, batch_size=3, epochs=2, optimization=Optimization(precision=precision))
        if precision in results:
            assert results[precision] == history[-1]["loss"]
        results[precision] = history[-1]["loss"]
    assert results["bfloat16"] == pytest.approx(results["float32"], rel=0.05)
    assert results["float16"] == pytest.approx(results["float32"], rel=0.05)
    assert len(set(results.values())) == 3
    assert all(parameter.is_contiguous() and parameter.grad is None for parameter in model.parameters())
    image = torch.rand(1, 3, 64, 64)
    model.eval()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(image).logits, model(image).logits)


def test_error_gradient_under_accumulation_names_the_window():
    class First(Objective):
        calls = 0

        def terms(self, prediction, mask):
            First.calls += 1
            zero = prediction.logits.mean() * 0
            return {"steep": zero.sqrt() if First.calls == 1 else zero}

    with pytest.raises(FloatingPointError, match=r"the gradient is not finite: .* step 2, images \w+, \w+, \w+, \w+"):
        fit(fresh(), DATA, objective=First(), batch_size=2, optimization=Optimization(accumulate=2))


def test_value_a_row_of_numpy_s_numbers_can_be_resumed(tmp_path):
    def add(model, row):
        row["mine"] = np.float64(0.5)

    arguments = {"batch_size": 3, "epochs": 1, "out": tmp_path / "run", "on_epoch": add}
    history = fit(fresh(), DATA, **arguments)
    assert "mine" in (tmp_path / "run" / "history.csv").read_text().splitlines()[0].split(",")
    assert fit(fresh(), DATA, resume=True, **arguments) == history


def test_value_a_compiled_model_keeps_its_keys(tmp_path):
    model = fresh()
    keys = list(model.state_dict())
    model.compile(backend="eager")
    fit(model, DATA, batch_size=3, epochs=1, out=tmp_path / "run", optimization=Optimization(ema=0.9))
    assert list(model.state_dict()) == keys
    assert list(load_model(tmp_path / "run" / "last").state_dict()) == keys


def test_value_several_callables_and_what_a_resumed_one_gets(tmp_path):
    class Recorder:
        def __init__(self):
            self.rows = []

        def __call__(self, model, row):
            self.rows.append(row)
            return row["epoch"] == 1

        def state_dict(self):
            return {"rows": self.rows}

        def load_state_dict(self, state):
            self.rows = state["rows"]

    first, second, third = Recorder(), Recorder(), Recorder()
    history = fit(fresh(), DATA, batch_size=3, epochs=2, out=tmp_path / "run", on_epoch=[first, second])
    assert first.rows == second.rows == history
    assert len(history) == 1
    fit(fresh(), DATA, batch_size=3, epochs=2, out=tmp_path / "run", on_epoch=third, resume=True)
    assert third.rows == history


def test_value_a_callable_with_the_former_resume(tmp_path):
    class Recorder:
        def __call__(self, model, row):
            return True

        def resume(self, history):
            self.history = history

    history = fit(fresh(), DATA, batch_size=3, epochs=2, out=tmp_path / "run", on_epoch=Recorder())
    again = Recorder()
    with pytest.warns(DeprecationWarning, match="state_dict"):
        fit(fresh(), DATA, batch_size=3, epochs=2, out=tmp_path / "run", on_epoch=again, resume=True)
    assert again.history == history


def test_value_an_own_loop_is_equal_bit_for_bit(tmp_path, monkeypatch):
    make_stand_ins(tmp_path)
    monkeypatch.chdir(tmp_path)
    program = smaller((Path(__file__).parents[2] / "examples/own_loop.py").read_text())
    (tmp_path / "own_loop.py").write_text(program.replace("EPOCHS = 1", "EPOCHS = 2"))
    own = runpy.run_path("own_loop.py")
    assert len(own["history"]) == 2
    assert own["scores"] == {name: own["history"][-1][name] for name in own["scores"]}
    expected = own["same"].state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in own["model"].state_dict().items())


def test_value_a_row_says_how_fast_it_went():
    (row,) = fit(fresh(), DATA, batch_size=3, epochs=1)
    assert 0 < row["busy"] < 1
    assert row["images_per_second"] > 6 / row["seconds"] * 0.99
    assert row["memory_gb"] > 0.05


@pytest.mark.parametrize("ema", [None, 0.5])
@pytest.mark.parametrize("val_data", [None, DATA], ids=["unvalidated", "validated"])
def test_value_on_epoch_gets_the_model_in_eval_mode(ema, val_data):
    training = []
    model = fresh()
    fit(
        model,
        DATA,
        val_data=val_data,
        optimization=Optimization(ema=ema),
        epochs=2,
        batch_size=3,
        on_epoch=lambda model, _: training.append(model.training),
    )
    assert training == [False, False]
    assert model.training, "as it came"


def test_value_without_validation_the_average_is_what_remains():
    model, shown = fresh(), []

    def keep(average, row):
        shown.append(copy.deepcopy(average.state_dict()))

    fit(model, DATA, epochs=2, batch_size=3, optimization=Optimization(ema=0.9), on_epoch=keep)
    assert all(torch.equal(value, shown[-1][key]) for key, value in model.state_dict().items())
    alone = fresh()
    fit(alone, DATA, epochs=2, batch_size=3)
    assert any(not torch.equal(value, shown[-1][key]) for key, value in alone.state_dict().items())


def test_value_folders_in_place_of_data_sets(monkeypatch, small_isnet):
    opened = []
    monkeypatch.setattr("dichoseg.training.loop.open_data", lambda *given: opened.append(given) or (DATA, None))
    monkeypatch.setattr("dichoseg.training.loop.Plan", lambda **options: opened.append(options["train_data"]) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(small_isnet, "data", val_data="other")
    assert opened == [("data", "other"), DATA]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"lr": 1e-3}, r"optimization=Optimization\(learning_rate=...\)"),
        ({"loss": BCELoss()}, r"objective=DeepSupervision\(loss\)"),
        ({"num_workers": 2}, "workers="),
        ({"lr_scheduler": None}, r"optimization=Optimization\(schedule=...\)"),
        ({"max_epochs": 2}, "epochs="),
        ({"imgsz": 64}, "size= of create_model or load_model"),
    ],
)
def test_error_arguments_of_other_loops(given, wanted):
    with pytest.raises(TypeError, match=rf"fit has no argument '{next(iter(given))}'; wanted {wanted}$"):
        fit(fresh(), DATA, epochs=1, **given)


def test_value_the_arguments_that_messages_name_exist():
    parameters = inspect.signature(fit).parameters
    for ours, theirs in HABITS.items():
        assert ours.partition("=")[0] in (*parameters, "size")
        assert not set(theirs.split()) & parameters.keys()
