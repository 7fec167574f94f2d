"""Every example runs, on tiny data."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
NEEDS = {  # beyond dichoseg's own
    "http_service": "fastapi",
    "lightning_module": "lightning",
    "smp_encoder": "segmentation_models_pytorch",
}
SERVER = """
import json, os, runpy, sys
import albumentations, kornia, matplotlib.pyplot, timm, torch._dynamo  # loaded once for all examples
assert "dichoseg" not in sys.modules
for line in sys.stdin:
    path, arguments, folder = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.environ["TMPDIR"] = folder  # what an example leaves behind goes with the test
        for number, name in enumerate((os.devnull, "stdout", "stderr")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
        sys.argv[:] = [path, *arguments]
        sys.path[0] = os.path.dirname(path)
        runpy.run_path(path, run_name="__main__")
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def server():
    """A process that runs one program after another, each in a fork of its own, which need not load the libraries."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as it:
        yield it


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_value_example_runs(path, tmp_path, server):
    needed = NEEDS.get(path.stem)
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"{path.name} needs {needed}, which pip install 'dichoseg[test]' installs")
    arguments = ["--smoke"] if path.stem in ("finetune_published", "seed_recipe", "birefnet_recipe") else []
    print(json.dumps([str(path), arguments, str(tmp_path)]), file=server.stdin, flush=True)
    assert server.stdout.readline() == "0\n", (tmp_path / "stderr").read_text()
    assert (tmp_path / "stdout").read_text() or path.stem == "swap_decoder"
