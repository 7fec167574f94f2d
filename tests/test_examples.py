"""Every example that no page shows runs, on tiny data; `test_docs` runs those that pages show."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from .programs import make_stand_ins, serving, smaller

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NEEDS = {"http_service": "fastapi"}  # beyond dichoseg's own
SET_UP = ("http_service",)
"""Examples that pages show in part; the rest makes them run."""
SHOWN = set(re.findall(r'"examples/(\w+)\.py:', "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))))


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if path.stem in SET_UP or path.stem not in SHOWN], ids=lambda path: path.stem
)
def test_value_example_runs(path, tmp_path):
    needed = NEEDS.get(path.stem)
    if needed is not None and find_spec(needed) is None:
        pytest.skip(f"{path.name} needs {needed}, which pip install 'dichoseg[test]' installs")
    make_stand_ins(tmp_path)
    program = tmp_path / path.name
    text = path.read_text()
    program.write_text(text if path.stem in SET_UP else smaller(text))
    with serving() as server:
        assert server.run(program, tmp_path)


@pytest.mark.parametrize(
    "path", [path for path in EXAMPLES if path.stem in SHOWN and path.stem not in SET_UP], ids=lambda path: path.stem
)
def test_value_an_example_that_a_page_shows_has_no_other_code(path):
    rest = re.sub(r"(?ms)^# --8<-- \[start:(.+?)\]\n.*?^# --8<-- \[end:\1\]\n", "", path.read_text())
    (docstring,) = ast.parse(rest).body
    assert isinstance(docstring, ast.Expr)


def test_value_all_sections_are_shown_in_their_order():
    shown = {}
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for name, section in re.findall(r'"examples/(\w+)\.py:([\w-]+)"', page.read_text()):
            shown.setdefault(name, []).append(section)
    for name in SHOWN - set(SET_UP):
        assert shown[name] == re.findall(r"\[start:(.+?)\]", (ROOT / f"examples/{name}.py").read_text()), name
