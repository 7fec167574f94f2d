import json
import re
import sys
from importlib import metadata

import pytest

from .conftest import run_cli


@pytest.fixture
def plugins(install):
    """Packages that share names, some of which are broken, or built for another dichoseg."""
    for letter, (lines, code, versions) in {
        "a": ("soft = plugin_a:Soft\nbce = plugin_a:Soft", "class Soft: pass", ""),
        "b": ("soft = plugin_b:Soft\nlist = plugin_c:LIST", "from dichoseg.losses import NoSuchLoss", ">=2"),
        "c": ("list = plugin_c:LIST", "LIST = []", ""),
        "d": ("late = plugin_d:Late", "class Late: pass", ">=2"),
        "e": ("lines = plugin_e:Late", "raise RuntimeError('one\\n  two')", ""),
    }.items():
        install(
            f"plugin-{letter}",
            f"[dichoseg.losses]\n{lines}\n",
            requires=f"dichoseg{versions}",
            **{f"plugin_{letter}": code},
        )


def test_value_list():
    result = run_cli("list", "--check")
    assert result.exit_code == 0
    assert "isnet_deconv_gt_encoder" in result.output
    (line,) = (line for line in result.output.splitlines() if line.startswith("  edge_bce "))
    assert line.split() == ["edge_bce", "dichoseg", metadata.version("dichoseg"), "ok"]


def test_value_list_says_by_which_name_and_from_where(plugins):
    result = run_cli("list", "losses")
    assert result.exit_code == 0
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[0] == ["losses"]
    assert ["bce", "dichoseg", metadata.version("dichoseg")] in lines
    for package, name in (("plugin-a", "bce"), ("plugin-a", "soft"), ("plugin-b", "soft")):
        assert [f"{package}/{name}", package, "1.5"] in lines
    assert "plugin_a" not in sys.modules, "listing imports nothing"


def test_error_list_check_tells_what_is_broken(plugins):
    result = run_cli("list", "losses", "--check")
    assert result.exit_code == 1
    told = {words[0]: " ".join(words[3:]) for words in (line.split() for line in result.stdout.splitlines()[1:])}
    assert told["edge_bce"] == told["plugin-a/soft"] == "ok"
    built_for = f"was built for dichoseg>=2; this is {metadata.version('dichoseg')}"
    assert re.search(
        f"plugin-b, cannot be imported: .*cannot import name 'NoSuchLoss'.*; plugin-b {built_for}: install versions",
        told["plugin-b/soft"],
    )
    assert told["plugin-c/list"].endswith(
        "plugin-c, cannot be used: plugin_c:LIST is neither a class nor a function, but a list"
    )
    assert told["late"] == f"ok, but plugin-d {built_for}"
    assert told["lines"].endswith("cannot be imported: RuntimeError: one two")
    assert "4 cannot be used" in result.stderr


def test_error_a_failing_check_does_not_end_the_list(install):
    install(
        "plugin-f",
        "[dichoseg.heads]\nboom = plugin_f:Boom\n[dichoseg.published]\norphan = plugin_f:ORPHAN\n",
        plugin_f="from dichoseg import SideHeads\n"
        "from dichoseg.records import Published\n"
        "class Boom(SideHeads):\n"
        "    def logits(self, features, size): raise RuntimeError('boom')\n"
        "ORPHAN = Published(names={'a': 'b'})\n",
    )
    result = run_cli("list", "--check")
    assert result.exit_code == 1
    assert re.search("boom +plugin-f 1.5 .*RuntimeError: boom", result.stdout)
    assert "the record is of no model: plugin-f has no model 'orphan'" in result.stdout
    assert "2 cannot be used" in result.stderr


def test_value_list_weights(web):
    lines = [line.split() for line in run_cli("list", "weights").stdout.splitlines()]
    assert lines[0] == ["name", "network", "MB", "license", "commercial", "cached", "purpose", "file"]
    assert ["u2net-human", "u2net", "176", "apache-2.0", "yes", "no", "people", "u2net_human_seg.onnx"] in lines
    assert "license: not stated" in run_cli("list", "weights", "isnet-general-use").stdout
    assert "dichoseg list weights" in run_cli("list").stdout


def test_value_list_weights_as_json(install):
    code = "from dichoseg.records import Weights\nR = Weights(name='sky', network='isnet', file='w.pth', md5='0' * 32)"
    install("plugin-w", "[dichoseg.weights]\nsky = plugin_w:R\n", plugin_w=code)
    records = {record["name"]: record for record in json.loads(run_cli("list", "weights", "--json").stdout)}
    assert records["plugin-w/sky"]["md5"] == "0" * 32
    keys = {"name", "network", "file", "bytes", "sha256", "license", "commercial", "cached"}
    assert all(keys <= record.keys() for record in records.values())
    (one,) = json.loads(run_cli("list", "weights", "u2net", "--json").stdout)
    assert one == records["u2net"]


@pytest.mark.parametrize("arguments", [("losses", "bce"), ("losses", "--json"), ("--json",)])
def test_error_list_records_of_other_groups(arguments):
    assert "are for `dichoseg list weights`; got" in str(run_cli("list", *arguments).exception)


def test_error_list_unknown_weights():
    assert "did you mean u2netp" in str(run_cli("list", "weights", "u2netpp").exception)
