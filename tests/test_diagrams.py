"""The pictures and pages that say what the networks and the imports are, against the code."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import torch

from dichoseg import create_model, list_components

ROOT = Path(__file__).parents[1]
DRAWING = ROOT / "docs/assets/diagrams.py"

pytestmark = pytest.mark.skipif(not DRAWING.exists(), reason="docs are not beside the tests")


def test_value_pictures_are_what_the_code_draws():
    for name, draw in runpy.run_path(str(DRAWING))["DIAGRAMS"].items():
        assert (DRAWING.parent / f"{name}.svg").read_text(encoding="utf-8") == draw(), f"run {DRAWING}"


def test_error_words_that_do_not_fit_their_box():
    picture = runpy.run_path(str(DRAWING))["Picture"]("a picture")
    with pytest.raises(ValueError, match="'many words' needs .* pixels; there are 36"):
        picture.box("data", 0, 0, 40, "many words")


def test_value_table_of_networks():
    page = (ROOT / "docs/explanation/architectures.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+ \| \d+) \|", page, re.MULTILINE))
    assert set(rows) == set(list_components("models"))
    for name in rows:
        with torch.device("meta"):
            model = create_model(name)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        assert rows[name] == f"{parameters:,} | {model.feature_info.strides[0]}", name


def test_value_import_order():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    page = (ROOT / "docs/explanation/design.md").read_text(encoding="utf-8")
    written = page.split("```text\n")[1].split("\n```")[0].splitlines()
    assert written == [layer.replace("dichoseg.", "") for layer in contract["layers"]]
