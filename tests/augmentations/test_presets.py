from pathlib import Path

import pytest

from dichoseg.augmentations import Steps, cpu_steps, gpu_steps
from dichoseg.augmentations.presets import PRESETS, choose

NAMES = tuple(Steps.__annotations__)


def test_value_steps_of_a_preset_in_order():
    assert choose("isnet", {}) == {"horizontal_flip": 0.5}
    chosen = choose("dis_tuning", {"elastic": 0.0, "blur_patches": None, "input_scale": 2.0, "jpeg": 0.1})
    assert list(chosen) == [name for name in NAMES if name in chosen]
    assert chosen == {
        **{name: value for name, value in PRESETS["dis_tuning"].items() if name != "elastic"},
        "input_scale": 2.0,
        "jpeg": 0.1,
    }


def test_value_steps_that_cannot_act_are_left_out():
    assert choose("strong", {**dict.fromkeys(NAMES, 0), "input_scale": 1}) == {}


@pytest.mark.parametrize("name", NAMES)
def test_value_every_step_has_its_functions(name):
    value = 2 if name in ("input_scale", "blur_patches") else 0.5
    assert callable(gpu_steps.STEPS[name](value))
    if name != "input_scale":  # which `cpu_augmentation` resizes for
        assert callable(cpu_steps.STEPS[name](value))


def test_value_the_table_in_the_docs():
    page = (Path(__file__).parents[2] / "docs/how-to/augment.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    table = {cells[0].strip("`"): cells[2:] for cells in rows if cells[0].strip("`") in NAMES}
    presets = ("isnet", "dis_tuning", "strong")
    written = {
        name: [f"{PRESETS[preset][name]:g}" if name in PRESETS[preset] else "" for preset in presets] for name in NAMES
    }
    assert table == written


def test_value_the_former_name_warns():
    with pytest.warns(DeprecationWarning, match="'dis-tuning' is 'dis_tuning' since 0.2"):
        assert choose("dis-tuning", {}) == choose("dis_tuning", {})


def test_error_unknown_names():
    with pytest.raises(ValueError, match=r"no augmentation preset 'is-net'; did you mean 'isnet'\? \(known: dis_tun"):
        choose("is-net", {})
    with pytest.raises(ValueError, match=r"no augmentation preset 'xyz' \(known: dis_tuning, isnet, strong\)"):
        choose("xyz", {})
    with pytest.raises(ValueError, match="no augmentation step 'jpg'; did you mean 'jpeg'"):
        choose("isnet", {"jpg": 0.5})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("gamma", 1.5, "0 to 1"),
        ("rotate90", -0.1, "0 to 1"),
        ("input_scale", 0.8, "1 or"),
        ("blur_patches", -1, "0 or"),
    ],
)
def test_error_values(name, value, wanted):
    with pytest.raises(ValueError, match=f"{name} must be .*{wanted}.*; got {value}"):
        choose("isnet", {name: value})
