"""Plugins are tested with real metadata, written into a temporary folder."""

import logging
import sys
from importlib import metadata

import pytest

from dichoseg import list_components, load_component
from dichoseg.augmentations import gpu_augmentation
from dichoseg.registry import ComponentName, components, make_component


def install(folder, package, lines, module=None, *, group="losses", requires=()):
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    requirements = "".join(f"Requires-Dist: {line}\n" for line in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n{requirements}")
    (info / "entry_points.txt").write_text(f"[dichoseg.{group}]\n" + "\n".join(lines) + "\n")
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
    assert "was built for" not in str(caught.value)


def test_error_plugin_that_exits_ends_nothing(site):
    install(site, "plugin-broken", ["bad = plugin_broken:X"], ("plugin_broken", "raise SystemExit('needs a licence')"))
    with pytest.raises(ImportError, match="'bad' in dichoseg.losses.* SystemExit: needs a licence"):
        load_component("losses", "bad")


BUILT_FOR = f"plugin-a was built for dichoseg>=2; this is {metadata.version('dichoseg')}"


def test_error_plugin_for_another_version(site):
    install(
        site,
        "plugin-a",
        ["soft = plugin_a:Soft"],
        ("plugin_a", "from dichoseg.blocks import NoSuchBlock"),
        requires=["torch", "dichoseg>=2"],
    )
    with pytest.raises(ImportError, match=f"cannot import name 'NoSuchBlock'.*; {BUILT_FOR}: install versions"):
        load_component("losses", "soft")


def test_value_plugin_for_another_version_that_can_be_imported_is_warned_of(site, caplog):
    install(site, "plugin-a", ["soft = plugin_a:Soft"], ("plugin_a", "class Soft: pass"), requires=["Dichoseg >= 2"])
    with caplog.at_level(logging.WARNING, "dichoseg"):
        assert load_component("losses", "soft").__name__ == "Soft"
    assert caplog.messages == [f"'soft' in dichoseg.losses may not work: {BUILT_FOR}"]


@pytest.mark.parametrize(
    "requires",
    [[], ["dichoseg"], ["dichoseg>=0.0.1"], ["dichoseg>=2; extra == 'next'"], ["dichoseg2>=2"], ["dichoseg>>2"]],
)
def test_value_plugin_for_this_version_is_not_warned_of(site, caplog, requires):
    install(site, "plugin-a", ["soft = plugin_a:Soft"], ("plugin_a", "class Soft: pass"), requires=requires)
    load_component("losses", "soft")
    assert caplog.messages == []


ENCODER = "import dichoseg.encoders\nclass X(dichoseg.encoders.RSUEncoder): pass"
LOSS = "import dichoseg.losses\nclass X(dichoseg.losses.BCELoss): pass"


@pytest.mark.parametrize(
    ("group", "code", "fault"),
    [
        ("losses", ENCODER, "derives from dichoseg.contracts.Encoder$"),
        ("augmentations", ENCODER, "derives from dichoseg.contracts.Encoder$"),
        (
            "losses",
            "from dichoseg.objectives import DeepSupervision as X",
            "derives from dichoseg.contracts.Objective$",
        ),
        ("encoders", LOSS, "does not derive from dichoseg.contracts.Encoder$"),
        ("decoders", ENCODER, "does not derive from dichoseg.contracts.Decoder$"),
        ("models", ENCODER, "does not derive from dichoseg.contracts.Model$"),
        ("losses", "X = []", "is neither a class nor a function, but a list$"),
        ("heads", ENCODER, "does not derive from dichoseg.contracts.Heads$"),
        ("objectives", LOSS, "does not derive from dichoseg.contracts.Objective$"),
        ("metrics", "def X(pair): return 0.0", "is a function, not a Metric record$"),
        ("published", "X = {}", "is a dict, not a Published record$"),
    ],
)
def test_error_part_of_the_wrong_kind(site, group, code, fault):
    install(site, "plugin-a", ["soft = plugin_a:X"], ("plugin_a", code), group=group)
    start = f"'soft' in dichoseg.{group}, from package plugin-a, cannot be used: plugin_a:X "
    with pytest.raises(TypeError, match=start + fault):
        load_component(group, "soft")


@pytest.mark.parametrize("group", ["encoders", "losses"])
def test_value_a_function_is_of_any_kind(site, group):
    install(site, "plugin-a", ["soft = plugin_a:make"], ("plugin_a", "def make(): pass"), group=group)
    assert load_component(group, "soft").__name__ == "make"


def test_value_damaged_metadata_breaks_nothing_else(site):
    install(site, "plugin-a", ["soft = plugin_a:Soft"], ("plugin_a", "class Soft: pass"))
    (site / "plugin_a-1.0.dist-info/METADATA").unlink()
    (component,) = (component for component in components("losses") if component.name == "soft")
    assert component[1:3] == ("soft", "unknown")
    assert component.version == ""
    assert load_component("losses", "soft").__name__ == "Soft"


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
    assert ComponentName.parse("timm:vit/x:y")[:3] == ("timm", None, "vit/x:y")
    assert ComponentName.parse("pkg/rsu")[:3] == ("rsu", "pkg", None)


@pytest.mark.parametrize(
    ("text", "argument", "positional", "keywords"),
    [
        ("fpn(channels=64)", None, (), {"channels": 64}),
        ("pkg/rsu(2, mid=(3, 4), name='a:b(c)')", None, (2,), {"mid": (3, 4), "name": "a:b(c)"}),
        ("timm:resnet18.a1_in1k(pretrained=True)", "resnet18.a1_in1k", (), {"pretrained": True}),
        ("rsu()", None, (), {}),
    ],
)
def test_value_arguments_of_a_name(text, argument, positional, keywords):
    parsed = ComponentName.parse(text)
    assert parsed[2:] == (argument, positional, keywords)
    assert ComponentName.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text", ["fpn(channels=n)", "fpn(channels=__import__('os'))", "fpn(**{'a': 1})", "fpn(1 +)", "fpn(len([]))"]
)
def test_error_arguments_that_are_not_plain_values(text):
    with pytest.raises(ValueError, match="arguments of a component are plain Python values"):
        ComponentName.parse(text)


def test_value_arguments_are_bound():
    assert load_component("losses", "edge_bce(width=5)")().width == 5
    assert make_component("losses", "edge_bce(width=5)").width == 5
    assert make_component("augmentations", "blur_patches(8, p=0.5)").patches == 8
    assert make_component("augmentations", "strong(jpeg=0, affine=0)").input_scale == 1.25
    with pytest.raises(ValueError, match="'mae' in dichoseg.metrics takes no arguments"):
        load_component("metrics", "mae(power=2)")


def test_error_arguments_that_a_part_does_not_take():
    with pytest.raises(ValueError, match=r"'edge_bce\(size=5\)' cannot be made .*'size'; it takes: width"):
        make_component("losses", "edge_bce(size=5)")


def test_value_a_former_name_warns():
    with pytest.warns(DeprecationWarning, match="'dis-tuning' is 'dis_tuning' since 0.2, and goes in 0.4"):
        assert load_component("augmentations", "dis-tuning") is load_component("augmentations", "dis_tuning")


@pytest.mark.parametrize(
    "use",
    [
        lambda: load_component("augmentations", "dis-tuning"),
        lambda: make_component("augmentations", "dis-tuning"),
        lambda: gpu_augmentation("dis-tuning"),
    ],
)
def test_value_a_former_name_warns_of_the_users_line(use):
    with pytest.warns(DeprecationWarning, match="goes in 0.4") as warned:
        use()
    assert [one.filename for one in warned] == [__file__], "Python shows no others by default"


@pytest.mark.parametrize("text", ["", "/x", "x:"])
def test_error_malformed_name(text):
    with pytest.raises(ValueError, match="name is"):
        ComponentName.parse(text)


def test_error_unknown_name():
    with pytest.raises(
        ValueError,
        match=r"no 'timn' in dichoseg.encoders; did you mean 'timm'\? \(installed: caffe_resnet50, .*, timm, vgg16\)",
    ):
        load_component("encoders", "timn")
    with pytest.raises(ValueError, match="no group 'metric'; did you mean 'metrics'"):
        list_components("metric")


def test_error_argument_of_a_component_that_is_loaded():
    with pytest.raises(ValueError, match="only encoders take an argument after a colon; got 'bce:0.5'"):
        load_component("losses", "bce:0.5")


@pytest.mark.parametrize(
    "text",
    [
        "fpn(1)(channels=2)",
        "fpn(channels=64).x()",
        "fpn(channels=1, channels=2)",
        "fpn(x={[]: 1})",
        "fpn(**{'channels': 1})",
        "fpn(channels=print)",
        " (channels=1)",
    ],
)
def test_error_arguments_that_are_no_one_call(text):
    with pytest.raises(ValueError, match="component"):
        ComponentName.parse(text)


def test_value_spaces_do_not_matter():
    assert ComponentName.parse(" fpn (channels = 3) ") == ComponentName("fpn", keywords={"channels": 3})
    assert ComponentName.parse("timm:x (a=1)") == ComponentName("timm", argument="x", keywords={"a": 1})


def test_value_arguments_of_a_registered_partial_keep_their_place(site):
    source = (
        "import functools\n"
        "def make(variant, info, *, k=1): return variant, info, k\n"
        "big = functools.partial(make, 'big')"
    )
    install(site, "plugin-a", ["big = plugin_a:big"], ("plugin_a", source))
    assert make_component("losses", "big(k=2)", "info") == ("big", "info", 2)


def test_error_record_of_another_form(site, caplog):
    source = "from dichoseg.records import Published\nX = Published(names=['a'])"
    install(site, "plugin-a", ["x = plugin_a:X"], ("plugin_a", source), group="published")
    with pytest.raises(TypeError, match="plugin_a:X has names that are not a dict of modules, str to str"):
        load_component("published", "x")
