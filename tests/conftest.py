"""Shared by all tests: threads, no network, small data."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from dichoseg import Preprocessing, create_model
from dichoseg.contracts import Model

SMALL = {
    "channels": [8, 8, 16],
    "mid_channels": [4, 4, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}


@pytest.fixture(autouse=True)
def same_number_of_threads() -> Iterator[None]:
    """Every test leaves torch its number of threads: more than cores would slow down all later tests of the process."""
    before = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == before


@pytest.fixture
def make_isnet() -> Callable[[], Model]:
    """Make a tiny IS-Net for 64-pixel images, the same each time."""

    def make() -> Model:
        torch.manual_seed(0)
        return create_model("isnet", encoder_args=SMALL, preprocessing=Preprocessing(size=64))

    return make


@pytest.fixture
def small_isnet(make_isnet) -> Model:
    """A tiny IS-Net for 64-pixel images."""
    return make_isnet()


@pytest.fixture
def install(tmp_path, monkeypatch) -> Iterator[Callable[..., None]]:
    """Install a package for one test: `install("tiny", "[dichoseg.models]\\ntiny = tiny_net:tiny", tiny_net=CODE)`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules = []

    def package(name: str, entry_points: str, *, requires: str = "dichoseg", **code: str) -> None:
        info = site / f"{name.replace('-', '_')}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\nRequires-Dist: {requires}\n"
        )
        (info / "entry_points.txt").write_text(entry_points)
        for module, text in code.items():
            (site / f"{module}.py").write_text(text)
            modules.append(module)

    yield package
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def varied_isnet(small_isnet):
    """A small IS-Net whose batch norms have statistics of their own."""
    generator = torch.Generator().manual_seed(0)
    for name, value in small_isnet.state_dict().items():
        if name.endswith("running_var") or (name.endswith("weight") and value.ndim == 1):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        elif name.endswith(("running_mean", "bias")):
            value.copy_(torch.rand(value.shape, generator=generator) * 0.2 - 0.1)
    return small_isnet.eval()


@pytest.fixture
def disc() -> torch.Tensor:
    """Two masks of 65 by 97: a disc, and nothing."""
    rows, columns = torch.meshgrid(torch.arange(65), torch.arange(97), indexing="ij")
    inside = ((rows - 30) ** 2 + (columns - 50) ** 2 < 400).float()
    return torch.stack([inside, torch.zeros_like(inside)])[:, None]


@pytest.fixture(scope="session")
def build() -> Callable[..., None]:
    """Run `python -m build` with some options, the result going into a folder; with what is installed, so offline."""

    def run(project: Path, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, *options, project]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def torchrun() -> Callable[..., tuple[str, str]]:
    """Run a program in several processes, one thread each; a program that hangs is ended with all of them."""

    def run(processes: int, *arguments: object) -> tuple[str, str]:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        program = subprocess.Popen(
            [sys.executable, *(launcher if processes > 1 else []), *map(str, arguments)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            output, errors = program.communicate(timeout=200)
        finally:
            if program.poll() is None:
                program.terminate()  # the launcher then ends its processes, which a killed one would leave behind
                program.wait(timeout=60)
        assert program.returncode == 0, errors
        return output, errors

    return run
