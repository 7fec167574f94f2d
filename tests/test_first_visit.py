"""What a first visitor reads is current: badges, the tables of models, the gallery; and the notebook runs."""

import json
import re
import runpy
import shutil
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dichoseg
from dichoseg.weights.catalogue import RECORDS

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "docs/assets"
NOTEBOOK = ROOT / "examples/first_steps.ipynb"

pytestmark = pytest.mark.skipif(not ASSETS.exists(), reason="docs are not beside the tests")


def test_value_badges_are_those_of_the_project():
    script = runpy.run_path(str(ASSETS / "badges.py"))
    for file, words in script["BADGES"].items():
        assert (ASSETS / f"badge_{file}.svg").read_text(encoding="utf-8") == script["draw"](*words), "run badges.py"


def test_value_models_page_is_current():
    script = runpy.run_path(str(ASSETS / "models.py"))
    page = script["PAGE"].read_text(encoding="utf-8")
    assert script["with_tables"](page) == page, "run docs/assets/models.py"
    named = {one["weights"] for one in script["read"]("scores.json")["measured"]}
    assert named <= {record.name for record in RECORDS}
    assert all(f"| `{name}` |" in page for name in named)


def test_value_measured_scores_are_those_of_the_evidence():
    (one,) = json.loads((ROOT / "benchmarks/results/scores.json").read_text())["measured"]
    row = " | ".join(f"{one['scores'][name]:.3f}" for name in ("max_f", "mae", "mba", "s_measure", "weighted_f"))
    assert f"| published, {one['input']} pixels | {row} |" in (ROOT / "docs/explanation/evidence.md").read_text()


def test_value_gallery_is_current_and_small():
    script = runpy.run_path(str(ASSETS / "gallery.py"))
    page = script["PAGE"].read_text(encoding="utf-8")
    assert script["with_listing"](page) == page, "run docs/assets/gallery.py"
    pictures = list(script["FOLDER"].glob("*.webp"))
    shown = set(re.findall(r'src="([\w.-]+)"', page)) | {"errors.webp"}
    assert {picture.name for picture in pictures} == shown
    assert sum(picture.stat().st_size for picture in pictures) < 1_200_000


def test_value_readme_and_home_page_agree():
    readme, home = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/index.md"))
    for page in (readme, home):
        assert page.count("dichoseg predict photo.jpg --cutout") == 1
    for section in ("## Who it is for", "## Compared with other projects"):
        first, second = (page.split(section)[1].split("\n## ")[0] for page in (readme, home))
        assert first.replace("](docs/", "](").split() == second.split()
    names = set(re.findall(r"'\.\[([\w,]+)\]'", readme + home))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {name for each in names for name in each.split(",")} <= set(extras)


def test_value_notebook_has_no_outputs():
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.skipif(not find_spec("nbclient"), reason="pip install 'dichoseg[test]' installs nbclient")
def test_value_notebook_runs(tmp_path, monkeypatch):
    import nbclient
    import nbformat

    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    stand_ins(tmp_path)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("epochs=10", "epochs=1").replace("SyntheticDataset(64", "SyntheticDataset(8")
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "cutout.png").exists()
    assert (tmp_path / "runs/fine/best").is_dir()
    shutil.rmtree(tmp_path / "runs")


def stand_ins(folder):
    """Write a small untrained network in the place of published weights, a photograph, images and masks."""
    small = {"channels": [8, 16], "mid_channels": [4, 8], "strides": [2, 4], "stem_channels": 8}
    dichoseg.save_model(
        dichoseg.create_model("isnet", encoder_args=small, size=64),
        folder / "isnet-general-use",
    )
    for name in ("im", "gt"):
        (folder / "data" / name).mkdir(parents=True)
    for index in range(10):
        image, mask, *_ = dichoseg.SyntheticDataset(10, size=64)[index]
        pixels = Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy())
        pixels.save(folder / f"data/im/{index}.png")
        Image.fromarray((mask[0].numpy() * 255).astype(np.uint8)).save(folder / f"data/gt/{index}.png")
        pixels.save(folder / "photo.jpg")
