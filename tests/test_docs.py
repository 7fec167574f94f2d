"""`make docs` fails where a page is wrong."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="the Makefile is not beside the tests")


def make_docs(folder, text):
    """Run the project's own command on a site of one page."""
    settings = (ROOT / "mkdocs.yml").read_text()
    settings = settings[: settings.index("nav:\n")] + "nav:\n  - Home: index.md\n"
    settings = re.sub(r"plugins:\n(?:  .*\n)+", "plugins:\n  - search\n", settings).replace(
        "extra_css: [assets/site.css]\n", ""
    )
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
