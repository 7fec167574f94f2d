import logging
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from dichoseg import create_model, list_components
from dichoseg.preprocessing import Preprocessing
from dichoseg.registry import ComponentName
from dichoseg.weights import list_weights, resolve
from dichoseg.weights.catalogue import ALIASES, DEFAULT, RECORDS, find_weights


def test_value_every_record_is_of_a_network_that_can_be_made():
    names = [record.name for record in RECORDS]
    assert len(set(names)) == len(names)
    assert len({record.checksum for record in RECORDS}) == len(names), "a name is one file"
    for record in RECORDS:
        assert ComponentName.parse(record.network).name in list_components("models")
        assert Preprocessing.from_dict({**Preprocessing().to_dict(), **record.preprocessing})
    assert resolve(DEFAULT).name == DEFAULT


def test_value_known_files_and_preprocessing():
    general = resolve("isnet-general-use")
    assert general.sha256 == "9e1aafea58f0b55d0c35077e0ceade6ba1ba2bce372fd4f8f77215391f3fac13"
    assert general.license is None
    assert "license: not stated (the authors state none; " in general.terms
    assert create_model(resolve("u2net").network).preprocessing.size == 320
    assert [name for name in list_weights() if resolve(name).commercial == "no"] == ["rmbg-1.4", "rmbg-1.4-onnx"]


def test_value_the_pages_have_every_record():
    script = Path(__file__).parents[2] / "docs/assets/catalogue.py"
    if not script.exists():
        pytest.skip("docs are not beside the tests")
    written = runpy.run_path(str(script))
    assert written["table"]().count("\n| `") == len(RECORDS)
    for page in written["PAGES"]:
        text = page.read_text(encoding="utf-8")
        assert written["with_table"](text) == text, f"run {script}"


def test_value_names_of_rembg():
    assert all(resolve(theirs) is resolve(ours) for theirs, ours in ALIASES.items())
    assert resolve("u2net_human_seg").purpose == "people"


def test_error_unknown_name_has_near_ones():
    with pytest.raises(
        ValueError, match="'isnet-genral-use'; did you mean isnet-general-use or .*dichoseg list weights"
    ):
        resolve("isnet-genral-use")
    with pytest.raises(ValueError, match="no weights called 'zebra'; `dichoseg list"):
        resolve("zebra")


def test_value_the_catalogue_needs_no_torch():
    code = (
        "import sys; from dichoseg.weights import list_weights, resolve; list_weights(); resolve('u2net')\n"
        "print([m for m in ('torch', 'numpy', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


RECORD = "from dichoseg.records import Weights\nR = Weights(name='{}', network='isnet', file='w.pth', md5='0' * 32)\n"


def test_value_packages_bring_records(install, caplog):
    install("plugin-w", "[dichoseg.weights]\nany = plugin_w:R\n", plugin_w=RECORD.format("u2net"))
    install("plugin-v", "[dichoseg.weights]\nall = plugin_v:A\n", plugin_v=RECORD.format("sky") + "A = [R]\n")
    install("plugin-x", "[dichoseg.weights]\nbad = plugin_x:R\n", plugin_x="raise RuntimeError('broken')")
    install("plugin-y", "[dichoseg.weights]\nbad = plugin_y:R\n", plugin_y="R = [{}]")
    assert resolve("u2net").file == "u2net.onnx", "built-in names cannot be taken"
    assert "plugin_w" not in sys.modules, "a built-in name imports no package"
    with caplog.at_level(logging.WARNING):
        assert resolve("plugin-w/u2net").md5 == "0" * 32
    assert resolve("plugin-v/sky").name == "plugin-v/sky"
    assert "'bad' in dichoseg.weights, from package plugin-x, cannot be imported: RuntimeError: broken" in caplog.text
    assert "plugin_y:R is a dict, not a Weights record or a list of them" in caplog.text
    assert find_weights("plugin-v/u2net") is None
    with pytest.raises(ValueError, match="did you mean .*plugin-v/sky"):
        resolve("plugin-v/skye")
