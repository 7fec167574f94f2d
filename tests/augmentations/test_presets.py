from pathlib import Path

import pytest

from dichoseg.augmentations.presets import PRESETS, Settings, choose


def test_value_none_is_the_presets_value():
    assert choose("dis-tuning", dict.fromkeys(Settings._fields)) == PRESETS["dis-tuning"]
    changed = choose("dis-tuning", {"elastic": 0.0, "blur_patches": None, "input_scale": 2.0})
    assert changed == PRESETS["dis-tuning"]._replace(elastic=0.0, input_scale=2.0)


def test_value_isnet_flips_and_does_nothing_else():
    assert PRESETS["isnet"] == Settings()._replace(horizontal_flip=0.5)
    assert set(Settings()._replace(input_scale=0)) == {0}


def test_value_the_table_in_the_docs():
    page = (Path(__file__).parents[2] / "docs/how-to/augment.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    table = {cells[0].strip("`"): cells[2:] for cells in rows if cells[0].strip("`") in Settings._fields}
    names = ("isnet", "dis-tuning", "strong")
    written = {
        field: [
            f"{getattr(PRESETS[name], field):g}" if getattr(PRESETS[name], field) != getattr(Settings(), field) else ""
            for name in names
        ]
        for field in Settings._fields
    }
    assert table == written


def test_error_unknown_preset():
    with pytest.raises(ValueError, match=r"no augmentation preset 'is-net'; did you mean 'isnet'\? \(known: dis-tun"):
        choose("is-net", {})
    with pytest.raises(ValueError, match=r"no augmentation preset 'xyz' \(known: dis-tuning, isnet, strong\)"):
        choose("xyz", {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("gamma", 1.5, "gamma must be a probability, 0 to 1; got 1.5"),
        ("rotate90", -0.1, "rotate90 must be a probability, 0 to 1; got -0.1"),
        ("input_scale", 0.8, "input_scale must be 1 or more; got 0.8"),
        ("blur_patches", -1, "blur_patches must be 0 or more; got -1"),
    ],
)
def test_error_values(name, value, message):
    with pytest.raises(ValueError, match=message):
        choose("isnet", {name: value})
