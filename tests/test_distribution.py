"""What is published: a wheel and an archive of the sources, which makes the same wheel."""

import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"dichoseg-{PROJECT['version']}"
KINDS = ("py", "html", "css", "js")
SOURCES = {
    f"dichoseg/{path.relative_to(ROOT / 'src/dichoseg')}"
    for kind in KINDS
    for path in (ROOT / "src/dichoseg").rglob(f"*.{kind}")
}


@pytest.fixture(scope="module")
def built(build, tmp_path_factory) -> Path:
    """A folder with the archive and the wheel made of it, and in `direct/` the wheel made of the tree."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "direct").mkdir()
    build(ROOT, folder)
    build(ROOT, folder / "direct", "--wheel")
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    return built / f"{NAME}-py3-none-any.whl"


def described(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return BytesParser().parsebytes(archive.read(f"{NAME}.dist-info/METADATA"))


def test_value_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert held == SOURCES | {"dichoseg/py.typed"} | {f"{NAME}.dist-info/{name}" for name in about}


def test_value_archive_holds_what_the_wheel_is_made_of(built):
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        held = {str(PurePosixPath(name).relative_to(NAME)) for name in archive.getnames()}
    beside = {".gitignore", "CHANGELOG.md", "CITATION.cff", "LICENSE", "PKG-INFO", "README.md"}
    assert held == {f"src/{name}" for name in SOURCES} | {"src/dichoseg/py.typed", "pyproject.toml"} | beside


def test_value_archive_makes_the_same_wheel(built, wheel):
    assert wheel.read_bytes() == (built / "direct" / wheel.name).read_bytes()


def test_value_metadata(wheel):
    metadata = described(wheel)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_value_description_has_no_links_into_the_repository(wheel):
    metadata = described(wheel)
    text = metadata.get_payload(decode=True).decode()
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert text.startswith("# dichoseg\n")
    assert "](" not in text.replace("](http", "")
    assert "documentation" in text


def test_value_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {PROJECT['version']}" in citation
    assert f"license: {PROJECT['license']}" in citation
