"""Every example runs, on tiny data."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
NEEDS = {"lightning_module": "lightning", "smp_encoder": "segmentation_models_pytorch"}  # beyond dichoseg's own


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_value_example_runs(path, tmp_path):
    needed = NEEDS.get(path.stem)
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"{path.name} needs {needed}, which pip install 'dichoseg[test]' installs")
    arguments = ["--smoke"] if path.stem in ("finetune_published", "seed_recipe") else []
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path)},  # what an example leaves behind goes with the test
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or path.stem == "swap_decoder"
