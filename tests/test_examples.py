"""Every example that no page shows runs, on tiny data; `test_docs` runs those that pages show."""

import ast
import re
import runpy
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dichoseg.photographs import cut_out

from .programs import make_stand_ins, serving, smaller

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHOWN = set(re.findall(r'"examples/(\w+)\.py:', "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))))


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem not in SHOWN], ids=lambda path: path.stem)
def test_value_example_runs(path, tmp_path):
    make_stand_ins(tmp_path)
    program = tmp_path / path.name
    program.write_text(smaller(path.read_text()))
    with serving() as server:
        assert server.run(program, tmp_path)


def test_value_a_service_of_ones_own_answers_its_client(tmp_path, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    make_stand_ins(tmp_path)
    monkeypatch.chdir(tmp_path)
    cut_out(np.zeros((2, 2, 3), np.uint8), np.full((2, 2), 128, np.uint8))  # on a fresh machine, compiles for long
    app = runpy.run_path(str(ROOT / "examples/own_service.py"))["app"]
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.1)
        port = server.servers[0].sockets[0].getsockname()[1]
        client = tmp_path / "ask.py"
        client.write_text((ROOT / "examples/ask_service.py").read_text().replace(":8000", f":{port}"))
        runpy.run_path(str(client))
    finally:
        server.should_exit = True
        thread.join()
    with Image.open("cut-out.webp") as answer:
        assert answer.mode == "RGBA"


@pytest.mark.parametrize("path", [path for path in EXAMPLES if path.stem in SHOWN], ids=lambda path: path.stem)
def test_value_an_example_that_a_page_shows_has_no_other_code(path):
    rest = re.sub(r"(?ms)^# --8<-- \[start:(.+?)\]\n.*?^# --8<-- \[end:\1\]\n", "", path.read_text())
    (docstring,) = ast.parse(rest).body
    assert isinstance(docstring, ast.Expr)


def test_value_all_sections_are_shown_in_their_order():
    shown = {}
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for name, section in re.findall(r'"examples/(\w+)\.py:([\w-]+)"', page.read_text()):
            shown.setdefault(name, []).append(section)
    for name in SHOWN:
        assert shown[name] == re.findall(r"\[start:(.+?)\]", (ROOT / f"examples/{name}.py").read_text()), name
