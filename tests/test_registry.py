"""Plugins are tested with real metadata, written into a temporary folder."""

import sys

import pytest

from dichoseg import list_components, load_component
from dichoseg.registry import ComponentName, components


def install(folder, package, lines, module=None, suffix=""):
    info = folder / f"{package.replace('-', '_')}-1.0{suffix}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dichoseg.losses]\n" + "\n".join(lines) + "\n")
    if module:
        (folder / f"{module[0]}.py").write_text(module[1])


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("plugin_a", "plugin_b", "plugin_broken"):
        sys.modules.pop(name, None)


def test_value_plugin_is_listed_and_loaded(site):
    install(site, "plugin-a", ["soft = plugin_a:Soft"], ("plugin_a", "class Soft: pass"))
    assert "soft" in list_components("losses")
    assert "plugin_a" not in sys.modules, "listing imports nothing"
    assert load_component("losses", "soft").__name__ == "Soft"
    assert load_component("losses", "plugin_a/soft") is load_component("losses", "plugin-a/soft")


def test_value_broken_plugin_breaks_nothing_else(site):
    install(
        site,
        "plugin-broken",
        ["bad = plugin_broken:X"],
        ("plugin_broken", "raise RuntimeError('no GPU found')"),
    )
    assert "bad" in list_components("losses")
    assert load_component("losses", "edge_bce").__name__ == "EdgeBCELoss"
    with pytest.raises(
        ImportError, match="'bad' in dichoseg.losses, from package plugin-broken.*no GPU found"
    ) as caught:
        load_component("losses", "bad")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_error_shared_name_and_own_name(site):
    install(site, "plugin-a", ["soft = plugin_a:Soft", "bce = plugin_a:Soft"], ("plugin_a", "class Soft: pass"))
    install(site, "plugin-b", ["soft = plugin_b:Soft"], ("plugin_b", "class Soft: pass"))
    with pytest.raises(ValueError, match="several packages offer 'soft'.*plugin-a/soft or plugin-b/soft"):
        load_component("losses", "soft")
    assert load_component("losses", "plugin-b/soft").__module__ == "plugin_b"
    assert load_component("losses", "bce").__module__.startswith("dichoseg")
    assert {"bce", "plugin-a/bce", "plugin-a/soft", "plugin-b/soft"} <= set(list_components("losses"))


def test_value_one_distribution_seen_twice_counts_once(site):
    install(site / "x", "plugin-a", ["soft = plugin_a:Soft"])
    install(site / "y", "plugin-a", ["soft = plugin_a:Soft"])
    sys.path[:0] = [str(site / "x"), str(site / "y")]
    try:
        assert [c.package for c in components("losses") if c.name == "soft"] == ["plugin-a"]
    finally:
        del sys.path[:2]


def test_value_name_is_taken_apart():
    assert ComponentName.parse("timm:vit/x:y") == ("timm", None, "vit/x:y")
    assert ComponentName.parse("pkg/rsu") == ("rsu", "pkg", None)


@pytest.mark.parametrize("text", ["", "/x", "x:"])
def test_error_malformed_name(text):
    with pytest.raises(ValueError, match="name is"):
        ComponentName.parse(text)


def test_error_unknown_name():
    with pytest.raises(
        ValueError,
        match=r"no 'timn' in dichoseg.encoders; did you mean 'timm'\? \(installed: caffe_resnet50, rsu, timm, vgg16\)",
    ):
        load_component("encoders", "timn")
    with pytest.raises(ValueError, match="no group 'metrics'"):
        list_components("metrics")
