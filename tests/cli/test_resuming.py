import re

import torch

from dichoseg import load_model

from .conftest import TINY, run_cli


def test_error_resumed_with_another_option(data):
    out = data / "run"
    command = ("train", data, "--out", out, "--resume", out, *TINY)
    assert run_cli(*command).exit_code == 0
    noted = (out / "command.json").read_bytes()
    result = run_cli(*command, "--loss", "iou")
    assert re.search(r"--loss was None, and is \['iou'\] now", str(result.exception))
    assert (out / "command.json").read_bytes() == noted
    assert run_cli(*command, "--workers", 1).exit_code == 0
    (out / "command.json").write_text('{"data": "x", "colour": 1}')
    assert "does not know: colour" in str(run_cli("train", "--resume", out).exception)
    (out / "command.json").write_text("[]")
    assert "cannot be read: it names no data" in str(run_cli("train", "--resume", out).exception)


def test_value_resume_needs_the_folder_alone(data, monkeypatch):
    from dichoseg.training import loop

    out = data / "run"
    real, calls = loop.save_checkpoint, []

    def killed_at_the_second(*args, **kwargs):
        real(*args, **kwargs)
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("killed")

    arguments = ("train", data, *TINY, "--epochs", 3, "--seed", 4, "--loss", "edge_bce:0.5")
    assert run_cli(*arguments, "--out", data / "whole").exit_code == 0
    monkeypatch.setattr(loop, "save_checkpoint", killed_at_the_second)
    assert "killed" in str(run_cli(*arguments, "--out", out).exception)
    assert "already holds something" in str(run_cli(*arguments, "--out", out).exception)
    result = run_cli("train", "--resume", out, "--epochs", 3)
    assert "--resume takes everything from the run, but --epochs was given too" in str(result.exception)
    result = run_cli("train", "--resume", out)
    assert result.exit_code == 0, result.output
    expected, resumed = (load_model(folder / "last").state_dict() for folder in (data / "whole", out))
    assert all(torch.equal(value, resumed[key]) for key, value in expected.items())


def test_error_resume_where_there_is_no_run(data):
    assert "no run of `dichoseg train` in" in str(run_cli("train", "--resume", data).exception)
    assert "wanted DATA and --out, or --resume" in str(run_cli("train", data).exception)
    result = run_cli("train", data, "--out", data / "a", "--resume", data / "b")
    assert "are two folders; a run goes on in its own" in str(result.exception)
