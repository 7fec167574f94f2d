"""`make docs` fails if a page is wrong, and the code of every page runs."""

import ast
import functools
import re
import runpy
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from dichoseg import cli
from dichoseg.cli.hints import with_options

from .programs import make_stand_ins, serving, smaller

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT / "docs")): path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if "```python" in path.read_text()
}
NOT_RUN = {
    "how-to/plugin.md": "the modules of a package, which test_plugin installs and runs",
    "how-to/serve.md": "parts of a server and of a client; test_examples runs both",
}
NEEDS = {"how-to/other-libraries.md": ("lightning", "segmentation_models_pytorch")}  # beyond dichoseg's own

pytestmark = pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="the Makefile is not beside the tests")


def make_docs(folder, text, *, reference=False):
    """Run the project's own command on a site of one page, which may hold entries of the reference."""
    settings = (ROOT / "mkdocs.yml").read_text()
    settings = settings[: settings.index("nav:\n")] + "nav:\n  - Home: index.md\n"
    settings = re.sub(r"(extra_css|hooks): .*\n", "", settings).replace("[src]", f"[{ROOT / 'src'}]")
    if not reference:
        settings = re.sub(r"plugins:\n(?:  .*\n)+", "plugins:\n  - search\n", settings)
    (folder / "docs").mkdir()
    (folder / "docs/index.md").write_text(text)
    (folder / "mkdocs.yml").write_text(settings)
    shutil.copy(ROOT / "Makefile", folder)
    command = ["make", "--old-file=setup", "docs", f"VENV={sys.prefix}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_value_a_sound_page_is_built(tmp_path):
    done = make_docs(tmp_path, "# Title\n\n[Here](#title)\n")
    assert done.returncode == 0, done.stderr
    assert "Here" in (tmp_path / "site/index.html").read_text()


@pytest.mark.parametrize("link", ["absent.md", "#absent"])
def test_error_a_broken_link(tmp_path, link):
    done = make_docs(tmp_path, f"# Title\n\n[There]({link})\n")
    assert done.returncode != 0
    assert "absent" in done.stderr


@pytest.mark.parametrize(
    "text", ["[There][dichoseg.losses.Absent]", "::: dichoseg.losses.Absent", '```python\n--8<-- "absent.py"\n```']
)
def test_error_a_missing_reference(tmp_path, text):
    done = make_docs(tmp_path, f"# Title\n\n{text}\n", reference=True)
    assert done.returncode != 0
    assert "absent" in done.stderr.lower()


def test_value_the_page_of_the_command_line_lists_every_option():
    generated = runpy.run_path(str(ROOT / "docs/assets/generated.py"))
    sections = re.split(r"(?m)^## (.+)$", generated["commands"]())[1:]
    pages = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(pages) == list(cli.COMMANDS)
    for name, page in pages.items():
        listed = set(re.findall(r"--[a-z][a-z-]*", " ".join(re.findall(r"<code>(.*?)</code>", page))))
        printed = set(re.findall(r"│ (--[a-z][a-z-]*)", generated["help_of"](name)))
        assert printed - {f"--{option}" for option in generated["OF_ALL"]} <= listed, name
        assert "│" not in page


def test_value_commands_on_pages_have_options_that_exist():
    help_of = functools.cache(runpy.run_path(str(ROOT / "docs/assets/generated.py"))["help_of"])
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        for block in re.findall(r"(?ms)^ *```bash\n(.*?)^ *```", page.read_text()):
            lines = re.sub(r"\\\n\s*", "", block).splitlines()
            for command, options in re.findall(r"\bdichoseg ([a-z]+)\b(.*)", "\n".join(lines)):
                if command in cli.COMMANDS:
                    unknown = set(re.findall(r"(?<= )--[a-z][a-z-]*", options)) - set(
                        re.findall(r"--[a-z][a-z-]*", help_of(command))
                    )
                    assert not unknown, f"{page}: dichoseg {command} has no {unknown}"


def test_value_the_index_lists_every_entry_of_the_reference():
    index = runpy.run_path(str(ROOT / "docs/assets/generated.py"))["names"]()
    assert "| [`EdgeBCELoss`][dichoseg.losses.EdgeBCELoss] | `dichoseg.losses` | [losses](losses.md) |" in index


OF_OTHERS = {
    "exceeds limit of 178956970 pixels, could be decompression bomb DOS attack": "Pillow",
    "Could not find an implementation for DeformConv(19)": "onnxruntime",
    "cannot get FolderDataset.transform": "pickle",
}
FILLED = {
    "the loss is": "the ... is",
    "the gradient is": "the ... is",
    "no '...' in": "... in",
    "error in the package": "in the package",
    "error in dichoseg": "in dichoseg",
    "without state.pt": "without ...",
    "sha256": "...",
    "a webp file": "a ... file",
    "by spawn": "by ...",
}
"""Text of the page -> text of the source, whose placeholders are dots."""


@functools.cache
def messages():
    """Return the texts in the source, except docstrings, with the command line's options and dots for placeholders."""
    found = []
    for path in (ROOT / "src/dichoseg").rglob("*.py"):
        nodes = [*ast.walk(ast.parse(path.read_text()))]
        docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "..." for part in node.values]
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
                found.append(re.sub(r"%[sdr]", "...", node.value))
    return [with_options(text) for text in found]


def is_in_the_source(quote):
    """Return whether one message has all parts of a quote, in their order."""
    for filled, text in FILLED.items():
        quote = quote.replace(filled, text)
    parts = [re.escape(part.strip()) for part in quote.split("...") if part.strip()]
    return any(re.search(".*".join(parts), message) for message in messages())


def quotes(page):
    """Return the texts in quotes on a page, without code."""
    text = re.sub(r"`[^`]*`", "", re.sub(r"(?ms)^```.*?^```", "", page.read_text()))
    return [" ".join(quote.split()) for quote in re.findall(r'"([^"]+)"', text)]


def test_value_quoted_messages_exist():
    quoted = quotes(ROOT / "docs/troubleshooting.md")
    assert len(quoted) > 80
    assert [quote for quote in quoted if quote not in OF_OTHERS and not is_in_the_source(quote)] == []


def test_error_a_quote_that_no_message_has():
    assert is_in_the_source("no photograph or folder at ...")
    assert not is_in_the_source("no photograph or directory at ...")


def program_of(page):
    """Return all Python of a page, in tabs too, with the sections of examples that it includes."""
    blocks = re.findall(r"(?ms)^( *)```python\n(.*?)^\1```", page.read_text())
    included = re.compile(r'(?m)^--8<-- "([^":]+)(?::([\w-]+))?"$')
    return "\n\n\n".join(
        included.sub(lambda match: section(*match.groups()), textwrap.dedent(block)).strip("\n") for _, block in blocks
    )


def section(file, name):
    """Return a file of the repository, or a marked section of it, without marks."""
    text = (ROOT / file).read_text()
    if name is not None:
        (text,) = re.findall(rf"(?ms)^# --8<-- \[start:{name}\]\n(.*?)^# --8<-- \[end:{name}\]", textwrap.dedent(text))
    return text


def undefined_names(program, folder):
    """Return ruff's report of names that a program uses without defining them."""
    compile(program, "page", "exec")
    path = folder / "page.py"
    path.write_text(program)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F821,F822,F823", "--quiet", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("name", PAGES)
def test_value_the_code_of_a_page_defines_its_names(name, tmp_path):
    report = undefined_names(program_of(PAGES[name]), tmp_path)
    assert not report, report


def test_error_an_undefined_name(tmp_path):
    page = tmp_path / "page.md"
    page.write_text('# Title\n\n=== "Python"\n\n    ```python\n    print(absent)\n    ```\n')
    assert "Undefined name `absent`" in undefined_names(program_of(page), tmp_path)


@pytest.fixture(scope="module")
def server():
    with serving() as it:
        yield it


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stand-ins")
    make_stand_ins(folder)
    return folder


@pytest.mark.parametrize("name", sorted(PAGES.keys() - NOT_RUN.keys()))
def test_value_the_code_of_a_page_runs(name, tmp_path, server, stand_ins):
    """In its order, as one program, on stand-ins and with the small settings of `programs`."""
    for needed in NEEDS.get(name, ()):
        if find_spec(needed) is None:
            pytest.skip(f"{name} needs {needed}, which pip install 'dichoseg[test]' installs")
    folder = shutil.copytree(stand_ins, tmp_path / "here")
    program = tmp_path / "page.py"
    program.write_text(smaller(program_of(PAGES[name])))
    server.run(program, folder)


@pytest.mark.parametrize("name", PAGES)
def test_value_a_page_holds_no_code_of_its_own(name):
    for _, block in re.findall(r"(?ms)^( *)```python\n(.*?)^\1```", PAGES[name].read_text()):
        assert all(line.strip().startswith("--8<--") for line in block.splitlines()), block
