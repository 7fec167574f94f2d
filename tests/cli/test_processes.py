import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image
from torch.distributed import HashStore

from dichoseg import Predictor, SyntheticDataset, save_model
from dichoseg.cli import processes
from dichoseg.cli.processes import from_first, gather, is_first, own_device, own_part
from dichoseg.photographs import predict_files

from .conftest import run_cli

COUNT = 20
KILLED = """
import os, signal, sys
from dichoseg import cli
from dichoseg.photographs import job

write, written = job._write, []

def count(path, content):
    write(path, content)
    written.append(path)
    if os.environ["RANK"] == "1" and len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

job._write = count
cli.main()
"""


@pytest.fixture
def as_rank(monkeypatch):
    """Set the environment of one of two processes."""

    def set_rank(rank, world_size=2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world_size))

    return set_rank


@pytest.fixture
def photographs(tmp_path, small_isnet):
    """Twenty photographs, a model, and the masks that one process writes."""
    save_model(small_isnet, tmp_path / "model")
    (tmp_path / "in").mkdir()
    for image, _, name in (SyntheticDataset(COUNT, size=48)[index] for index in range(COUNT)):
        Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(tmp_path / f"in/{name}.png")
    predict_files(Predictor(small_isnet), [tmp_path / "in"], tmp_path / "alone")
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def test_value_without_a_launcher(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert own_part() == (0, 1)
    assert is_first()
    assert gather("a", 5) == [5]
    assert from_first("b", 6) == 6
    assert own_device(torch.device("cuda")) == torch.device("cuda")


def test_value_the_first_process_gathers(as_rank, monkeypatch):
    store = HashStore()
    monkeypatch.setattr(processes, "_store", lambda: store)
    as_rank(1)
    assert not is_first()
    assert gather("name", {"of": "1"}) == []
    as_rank(0)
    assert is_first()
    assert gather("name", {"of": "0"}) == [{"of": "0"}, {"of": "1"}]
    assert from_first("folder", "a") == "a"
    as_rank(1)
    assert from_first("folder", "") == "a"


def test_value_the_first_process_waits(as_rank, monkeypatch):
    store = HashStore()
    monkeypatch.setattr(processes, "_store", lambda: store)
    monkeypatch.setattr(processes, "SECONDS", 0.01)
    as_rank(0)
    with ThreadPoolExecutor(1) as pool:
        gathered = pool.submit(gather, "name", 0)
        processes._give("name_1", 1)
        assert gathered.result(timeout=60) == [0, 1]


def test_value_each_process_has_its_own_gpu(as_rank, monkeypatch):
    as_rank(1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert own_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert own_device(torch.device("cpu")) == torch.device("cpu")


def test_value_two_processes_share_the_photographs(photographs, torchrun):
    arguments = ("--model", photographs / "model", "--out", photographs / "out")
    output, _ = torchrun(2, "-m", "dichoseg", "predict", photographs / "in", *arguments)
    assert contents(photographs / "out") == contents(photographs / "alone")
    (line,) = [line for line in output.splitlines() if "written" in line]
    assert line.startswith(f"{COUNT} written to {photographs / 'out'}, ")
    assert "skipped" not in line


def test_value_a_killed_process_leaves_its_files_to_the_next_run(photographs, torchrun):
    script, out = photographs / "script.py", photographs / "out"
    script.write_text(KILLED)
    arguments = ("predict", photographs / "in", "--model", photographs / "model", "--out", out)
    with pytest.raises(AssertionError, match="SIGKILL"):
        torchrun(2, script, *arguments)
    done = len(contents(out))
    assert 3 <= done < COUNT
    output, _ = torchrun(2, "-m", "dichoseg", *arguments, "--resume")
    assert f"{COUNT - done} written" in output
    assert f"{done} skipped (already written)" in output
    assert contents(out) == contents(photographs / "alone")


def test_value_two_processes_share_what_is_evaluated(data, small_isnet, torchrun):
    save_model(small_isnet, data / "model")
    arguments = ("evaluate", data / "model", data / "train", "--metrics", "mae", "--workers", 0)
    shared, _ = torchrun(2, "-m", "dichoseg", *arguments, "--out", data / "scores")
    alone, _ = torchrun(1, "-m", "dichoseg", *arguments)
    assert shared.replace(f"written to {data / 'scores'}\n", "") == alone
    assert not [path for path in (data / "scores").iterdir() if path.is_dir()]


def test_error_a_photograph_that_fails_in_another_process(photographs, torchrun):
    for name in ("0.png", "1.png"):  # the first ones, of both processes
        (photographs / "in" / name).write_text("no picture")
    arguments = ("--model", photographs / "model", "--out", photographs / "out")
    with pytest.raises(AssertionError) as error:
        torchrun(2, "-m", "dichoseg", "predict", photographs / "in", *arguments)
    assert str(error.value).count("is not an image that can be read") == 2
    assert contents(photographs / "out") == contents(photographs / "alone")


def test_error_a_folder_that_another_machine_does_not_have(data, small_isnet, as_rank, monkeypatch):
    store = HashStore()
    monkeypatch.setattr(processes, "_store", lambda: store)
    store.set("folder", pickle.dumps("/absent/folder"))
    save_model(small_isnet, data / "model")
    as_rank(1)
    result = run_cli("evaluate", data / "model", data / "train", "--metrics", "mae")
    assert "/absent/folder" in str(result.exception)
    assert "--out that all machines share" in str(result.exception)
