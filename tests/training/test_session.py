import subprocess
import sys

import pytest
import torch

from dichoseg import Optimization, Preprocessing, SyntheticDataset, fit
from dichoseg.training import Batches
from dichoseg.training.session import window

DATA = SyntheticDataset(5, size=64)


@pytest.mark.parametrize(
    ("accumulate", "windows"),
    [
        (1, [(True, 2, True), (True, 2, True), (True, 1, True)]),
        (2, [(True, 4, False), (False, 4, True), (True, 1, True)]),
        (9, [(True, 5, False), (False, 5, False), (False, 5, True)]),
    ],
)
def test_value_accumulation_windows(small_isnet, accumulate, windows):
    batches = Batches(DATA, small_isnet, batch_size=2, drop_last=False)
    assert [window(batches.counts(1), step, accumulate) for step in (1, 2, 3)] == windows


def test_value_windows_of_batches_of_several_sizes():
    counts = [2, 5, 3, 5, 1]
    assert [window(counts, step, 2)[1] for step in range(1, 6)] == [7, 7, 8, 8, 1]
    assert [window(counts, step, 3)[1] for step in range(1, 6)] == [10, 10, 10, 6, 6]


def test_value_the_run_s_workers_live_as_long_as_the_run(small_isnet):
    seen = []

    def note(model, row):
        seen.append({process.pid for process in torch.multiprocessing.active_children()})

    fit(small_isnet, DATA, val_data=DATA, epochs=3, batch_size=5, workers=1, on_epoch=note)
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 2, "one for each data set"
    assert not seen[0] & {process.pid for process in torch.multiprocessing.active_children()}


def test_value_no_worker_outlives_a_run_that_fails(small_isnet):
    with pytest.raises(ValueError, match="mask") as kept:
        fit(small_isnet, [(DATA[0].image, DATA[0].mask * 2)] * 4, val_data=DATA, epochs=1, batch_size=2, workers=2)
    assert kept.traceback  # which holds the run's frames
    assert not torch.multiprocessing.active_children()


def test_error_a_folder_that_another_process_uses(small_isnet, tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from dichoseg.training.run_folder import RunFolder\n"
        "with RunFolder(sys.argv[1]).alone(resume=False): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        for resume in (False, True):
            with pytest.raises(FileExistsError, match=f"{tmp_path} is in use by process {other.pid} on "):
                fit(small_isnet, SyntheticDataset(2, size=64), batch_size=2, epochs=1, out=tmp_path, resume=resume)
        other.kill()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    fit(small_isnet, SyntheticDataset(2, size=64), batch_size=2, epochs=1, out=tmp_path)
    assert (tmp_path / "state.pt").exists()
    assert not (tmp_path / ".lock").exists()


def test_value_learning_rates_of_a_window(small_isnet):
    small_isnet.preprocessing = Preprocessing(size=96)
    rows = fit(small_isnet, DATA, epochs=2, batch_size=1, optimization=Optimization(accumulate=2))
    assert rows[1]["learning_rate"] == pytest.approx(0.5e-3)  # three of six steps are done
