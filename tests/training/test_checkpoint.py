import os
import signal
import subprocess
import sys

import pytest
import torch

from dichoseg import Optimization, Preprocessing, SyntheticDataset, create_model, fit
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision
from dichoseg.training import run_folder
from dichoseg.training.checkpoint import Cursor, load_state, parts_of, save_state
from dichoseg.training.ranks import Ranks
from dichoseg.training.step import Stepper
from dichoseg.untrusted import UnusableFileError

SCRIPT = """
import os, signal, sys
import kornia.augmentation, matplotlib.figure, torch, torch._dynamo  # which fit would import in each life
from dichoseg import Optimization, Preprocessing, SyntheticDataset, create_model, fit
from dichoseg.augmentations import gpu_augmentation

def live(out, fatal, workers, how):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    args = {"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8}
    model = create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=32))
    augment, seen = gpu_augmentation(elastic=0, clahe=0), 0

    def augmentation(image, mask):
        nonlocal seen
        seen += 1
        if seen == fatal:
            os.kill(os.getpid(), getattr(signal, how))
        return augment(image, mask)

    history = fit(
        model, SyntheticDataset(8, size=32), val_data=SyntheticDataset(2, size=32, seed=9), augmentation=augmentation,
        epochs=3, batch_size=2, optimization=Optimization(accumulate=3), workers=workers, out=out, resume=True,
    )
    losses = sorted(name for row in history for name in row).count("loss")
    torch.save((len(history), losses, model.state_dict()), out + "/final.pth")

for line in sys.stdin:  # each life is a process of its own, which finds all that it imports already read
    out, fatal, workers, how = line.rstrip().split("\\t")
    process = os.fork()
    if process == 0:
        live(out, int(fatal), int(workers), how)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs the script until it ends; gives how its lives ended, and what the last one left."""
    script = tmp_path_factory.mktemp("script") / "train.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:

        def live(*arguments):
            print(*arguments, sep="\t", file=program.stdin, flush=True)
            return int(program.stdout.readline())

        def run_script(out, *, fatal=(), workers=0, how="SIGKILL"):
            codes = []
            for step in [*fatal, 0]:
                (out / "final.pth").unlink(missing_ok=True)
                codes.append(live(out, step, workers, how))
            assert codes[-1] == 0, "its traceback is in what was written to stderr"
            return codes, *torch.load(out / "final.pth", weights_only=True)

        yield run_script


@pytest.fixture(scope="module")
def uninterrupted(run, tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))[-1]


@pytest.mark.parametrize(("fatal", "workers"), [((2, 6), 0), ((7,), 2), ((4, 1, 3), 0)])
def test_value_killed_and_resumed_is_as_if_nothing_had_been(run, uninterrupted, tmp_path, fatal, workers):
    codes, *_, weights = run(tmp_path, fatal=fatal, workers=workers)
    assert codes == [-signal.SIGKILL] * len(fatal) + [0]
    assert weights.keys() == uninterrupted.keys()
    assert all(torch.equal(value, uninterrupted[key]) for key, value in weights.items())


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT"])
def test_value_asked_to_stop_in_the_middle_of_an_epoch(run, uninterrupted, tmp_path, how):
    codes, rows, losses, weights = run(tmp_path, fatal=(5, 1), how=how)
    assert codes == [0, 0, 0], "it finishes the step, saves and returns"
    assert (rows, losses) == (3, 3)
    assert all(torch.equal(value, uninterrupted[key]) for key, value in weights.items())


def small(channels=8):
    torch.manual_seed(0)
    args = {"channels": [8, channels], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8}
    return create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=32))


DATA = SyntheticDataset(4, size=32)


def test_value_a_run_that_has_ended_stays_ended(tmp_path):
    calls = []

    def on_epoch(model, row):
        calls.append(row)
        return len(calls) == 2

    model = small()
    history = fit(model, DATA, batch_size=4, epochs=5, out=tmp_path, on_epoch=on_epoch)
    other = small()
    again = fit(other, DATA, batch_size=4, epochs=5, out=tmp_path, on_epoch=on_epoch, resume=True)
    assert again == history
    assert len(calls) == 2
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in model.state_dict().items())


def test_error_not_the_same_run(tmp_path):
    fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path)
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(FileExistsError, match="already holds something"):
        fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path)
    with pytest.raises(ValueError, match="the model's recipe was .* and is"):
        fit(small(channels=16), DATA, batch_size=4, epochs=1, out=tmp_path, resume=True)
    with pytest.raises(ValueError, match="the number of samples was 4, and is 6 now"):
        fit(small(), SyntheticDataset(6, size=32), batch_size=4, epochs=1, out=tmp_path, resume=True)
    with pytest.raises(ValueError, match="epochs was 1, and is 2 now"):
        fit(small(), DATA, batch_size=4, epochs=2, out=tmp_path, resume=True)
    same = {"batch_size": 4, "epochs": 1, "out": tmp_path, "resume": True}
    with pytest.raises(ValueError, match="the optimizer was AdamW .*'lr': 0.001.*, and is SGD"):
        fit(small(), DATA, optimization=Optimization(optimizer=torch.optim.SGD), **same)
    with pytest.raises(ValueError, match="ema was None, and is 0.9 now"):
        fit(small(), DATA, optimization=Optimization(ema=0.9), **same)
    with pytest.raises(ValueError, match="the augmentation was None, and is .*lambda"):
        fit(small(), DATA, augmentation=lambda image, mask: (image, mask), **same)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_error_state_that_is_cut_off(tmp_path):
    fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path)
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(ValueError, match="state.pt cannot be read"):
        fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path, resume=True)


def test_error_run_of_another_version(tmp_path, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(run_folder, "FORMAT_VERSION", 99)
        fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path)
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="format 99"):
        fit(model, DATA, batch_size=4, epochs=2, out=tmp_path, resume=True)
    (tmp_path / "plan.json").unlink()  # as of version 0.1
    with pytest.raises(ValueError, match="format 3 or older"):
        fit(model, DATA, batch_size=4, epochs=2, out=tmp_path, resume=True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_value_average_and_scaler_are_resumed(tmp_path):
    def trained(out, stop):
        def on_epoch(model, row):
            if row["epoch"] == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        model = small()
        options = Optimization(ema=0.5, precision="float16")
        fit(model, DATA, batch_size=2, epochs=3, out=out, resume=True, optimization=options, on_epoch=on_epoch)
        return model.state_dict()

    uninterrupted = trained(tmp_path / "a", stop=0)
    trained(tmp_path / "b", stop=1)
    resumed = trained(tmp_path / "b", stop=0)
    assert all(torch.equal(value, resumed[key]) for key, value in uninterrupted.items())


@pytest.mark.parametrize("ema", [Optimization(), Optimization(ema=0.5)], ids=["plain", "averaged"])
def test_value_asked_to_stop_while_it_validates(tmp_path, ema):
    class Validation(SyntheticDataset):
        reads = stop_at = 0

        def __getitem__(self, index):
            self.reads += 1
            if self.reads == self.stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().__getitem__(index)

    def trained(out, stop_at=0):
        validation = Validation(4, size=32, seed=1)
        validation.stop_at = stop_at
        model = small()
        rows = fit(model, DATA, val_data=validation, batch_size=2, epochs=2, out=out, resume=True, optimization=ema)
        scores = [{key: row[key] for key in ("loss", "val_loss", "quick_mae", "quick_max_f")} for row in rows]
        return scores, model.state_dict(), validation.reads

    scores, weights, _ = trained(tmp_path / "a")
    stopped, _, reads = trained(tmp_path / "b", stop_at=2)  # one is read before training starts
    assert (stopped, reads) == ([], 3), "the rest of the validation set was not read"
    resumed, state, _ = trained(tmp_path / "b")
    assert resumed == scores
    assert all(torch.equal(value, state[key]) for key, value in weights.items())


def test_value_the_optimiser_s_state_gets_the_layout_of_the_weights(tmp_path):
    fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path)
    content = torch.load(tmp_path / "state.pt", weights_only=True)
    for state in content["optimizer"]["state"].values():
        state["exp_avg"] = state["exp_avg"].contiguous()  # as a device without channels-last layout leaves it
    torch.save(content, tmp_path / "state.pt")
    one = stepper(small().to(memory_format=torch.channels_last))
    load_state(tmp_path / "state.pt", parts_of(one))
    for parameter, state in one.optimizer.state.items():
        assert state["exp_avg"].stride() == parameter.stride()


def stepper(model):
    return Stepper(model, DeepSupervision(BCELoss()), Optimization(), steps=10, ranks=Ranks())


def test_error_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    cursor = Cursor(epoch=2)
    parts = {**parts_of(stepper(small())), "cursor": cursor}
    state = tmp_path / "state.pt"
    save_state(state, parts)

    def cut_off(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device", file.name)

    monkeypatch.setattr(torch, "save", cut_off)
    cursor.epoch = 3
    with pytest.raises(OSError, match="No space left"):
        save_state(state, parts)
    assert [item.name for item in tmp_path.iterdir()] == ["state.pt"]
    load_state(state, parts)
    assert cursor.epoch == 2


class Curious:
    """A data set that has something else under the name of `files`."""

    files = "mine"

    def __len__(self):
        return len(DATA)

    def __getitem__(self, index):
        return DATA[index]


class Scaled(DeepSupervision):
    """An objective that learns."""

    def __init__(self):
        super().__init__(BCELoss())
        self.scale = torch.nn.Parameter(torch.ones(()))

    def terms(self, prediction, mask):
        return {name: term * self.scale for name, term in super().terms(prediction, mask).items()}


def test_value_what_is_compared_knows_any_data_and_objective(tmp_path):
    fit(small(), Curious(), batch_size=4, epochs=1, out=tmp_path, objective=Scaled())
    assert "objective" in torch.load(tmp_path / "state.pt", weights_only=True)
    (tmp_path / ".0123456789ab").write_text("half of a file")
    arguments = {"batch_size": 4, "epochs": 1, "out": tmp_path, "resume": True}
    with pytest.raises(ValueError, match=r"the objective was Scaled\(.*BCELoss.*, and is DeepSupervision"):
        fit(small(), Curious(), **arguments)
    with pytest.raises(ValueError, match="clip_norm was 1.0, and is 2.0 now"):
        fit(small(), Curious(), objective=Scaled(), optimization=Optimization(clip_norm=2.0), **arguments)
    with pytest.raises(ValueError, match="precision was .*, and is torch.float16 now"):
        fit(small(), Curious(), objective=Scaled(), optimization=Optimization(precision="float16"), **arguments)
    with pytest.raises(ValueError, match="the number of validation samples was 0, and is 4 now"):
        fit(small(), Curious(), objective=Scaled(), val_data=DATA, **arguments)
    frozen = small()
    frozen.encoder.stem.requires_grad_(False)
    with pytest.raises(ValueError, match="the number of parameters that learn was"):
        fit(frozen, Curious(), objective=Scaled(), **arguments)
    fit(small(), Curious(), objective=Scaled(), **arguments)
    assert not (tmp_path / ".0123456789ab").exists()


def test_error_a_file_that_cannot_grow_names_it(tmp_path):
    pytest.importorskip("resource")
    state = tmp_path / "state.pt"
    fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path)
    before = state.read_bytes()
    script = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from pathlib import Path
import torch
from dichoseg.runtime.files import write_state
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
write_state(Path(sys.argv[1]), {"weights": torch.zeros(100000)})
"""
    ran = subprocess.run([sys.executable, "-c", script, state], capture_output=True, text=True, check=False)
    errors = [line for line in ran.stderr.splitlines() if line.startswith("OSError")]
    assert any(f"{state}" in line for line in errors), ran.stderr  # what measures coverage may add an error of its own
    assert state.read_bytes() == before
    assert not [item for item in tmp_path.iterdir() if item.name.startswith(".")]


def test_value_the_learning_rate_of_an_interrupted_epoch_is_that_of_its_start(tmp_path):
    def rates(out, stop_at):
        seen = 0

        def augmentation(image, mask):
            nonlocal seen
            seen += 1
            if seen == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            return image, mask

        rows = fit(small(), DATA, batch_size=2, epochs=3, augmentation=augmentation, out=out, resume=True)
        return [row["learning_rate"] for row in rows]

    uninterrupted = rates(tmp_path / "a", 0)
    assert len(set(uninterrupted)) == 3
    assert rates(tmp_path / "b", 3) == uninterrupted[:1]
    assert rates(tmp_path / "b", 0) == uninterrupted


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("cursor"),
        lambda content: content["cursor"].update(more=1),
        lambda content: content.update(cursor=5),
        lambda content: content.update(model={"a": torch.zeros(1)}),
        lambda content: content.update(model=[1]),
        lambda content: content["optimizer"].update(param_groups=[]),
        lambda content: content.update(schedule=None),
        lambda content: content.update(callbacks=3),
    ],
    ids=range(8),
)
def test_error_state_of_another_kind(tmp_path, change):
    fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path)
    content = torch.load(tmp_path / "state.pt", weights_only=True)
    change(content)
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(UnusableFileError, match="state.pt"):
        fit(small(), DATA, batch_size=4, epochs=1, out=tmp_path, resume=True)
