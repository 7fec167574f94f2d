"""Shared by the command line's tests."""

import pytest
from PIL import Image
from typer.testing import CliRunner

from dichoseg import SyntheticDataset, cli

RUNNER = CliRunner()
TINY = ("--encoder", "timm:test_resnet", "--size", 64, "--epochs", 1, "--batch-size", 3, "--workers", 0)


def run_cli(*arguments):
    return RUNNER.invoke(cli.app, [str(argument) for argument in arguments])


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
