"""Shared by the command line's tests."""

import contextlib
import io
from typing import NamedTuple

import pytest
from PIL import Image

from dichoseg import SyntheticDataset, cli

from ..web import server as server
from ..web import tiny_weights as tiny_weights
from ..web import web as web

TINY = ("--encoder", "timm:test_resnet", "--size", 64, "--epochs", 1, "--batch-size", 3, "--workers", 0)


class Result(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str
    exception: Exception | None

    @property
    def output(self):
        return self.stdout + self.stderr


def run_cli(*arguments):
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    code, exception = 0, None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.run([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code or 0
        except Exception as error:
            code, exception = 1, error
    return Result(code, out.getvalue(), err.getvalue(), exception)


@pytest.fixture
def data(tmp_path):
    for part in ("train/im", "train/gt"):
        (tmp_path / part).mkdir(parents=True)
    for image, mask, name in (SyntheticDataset(5, size=64)[index] for index in range(5)):
        Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(tmp_path / f"train/im/{name}.jpg")
        Image.fromarray((mask[0] * 255).byte().numpy()).save(tmp_path / f"train/gt/{name}.png")
    return tmp_path


@pytest.fixture
def messy(data):
    """Eight pairs of which one cannot be read and one mask has another size, and an image without mask."""
    for name in "xyz":
        Image.new("RGB", (64, 64)).save(data / f"train/im/{name}.png")
    for name in "xy":
        Image.new("L", (32, 32), 255).save(data / f"train/gt/{name}.png")
    (data / "train/im/y.png").write_text("no picture")
    return data
