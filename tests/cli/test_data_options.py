import re
import shutil

import pytest

from dichoseg.cli.data_options import TrainingData


def opened(data, **options):
    return TrainingData(**options).load(data, seed=0)


def test_value_what_can_be_used_is_taken_as_it_is(data, capsys):
    training, validation = opened(data)
    assert len(training) == 5
    assert validation is None
    assert capsys.readouterr().err == ""


def test_value_masks_beside_their_images(data):
    for mask in (data / "train/gt").iterdir():
        mask.rename(data / "train/im" / f"{mask.stem}_mask.png")
    training, validation = opened(data, images="im", masks="im", mask_suffix="_mask", val_fraction=0.2)
    assert [len(training), len(validation)] == [4, 1]


def test_error_what_cannot_be_used_is_listed_and_refused(messy, capsys):
    with pytest.raises(ValueError, match="3 files or pairs of the training set cannot be used, as listed above"):
        opened(messy)
    assert "y.png" in capsys.readouterr().err


def test_value_broken_pairs_are_left_out_when_asked(messy, capsys):
    training, _ = opened(messy, skip_broken=True, resize_masks=True)
    assert len(training) == 6
    assert "training set: 6 pairs remain; left out, as listed above: y, z" in capsys.readouterr().err


def test_value_without_the_check_what_makes_no_pair_is_left_out_alone(messy, capsys):
    training, _ = opened(messy, skip_broken=True, resize_masks=True, check=False)
    assert len(training) == 7  # one of them cannot be read
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match=r"z"):
        opened(messy, check=False)


def test_value_what_is_broken_is_left_out_before_the_split(messy):
    training, validation = opened(messy, skip_broken=True, resize_masks=True, val_fraction=0.5)
    assert (len(training), len(validation)) == (3, 3)


def test_value_a_validation_set_of_its_own_is_checked_as_well(data, capsys):
    for part in ("im", "gt"):
        (data / "val" / part).mkdir(parents=True)
    for path in sorted((data / "train/im").iterdir())[:2]:
        path.rename(data / "val/im" / path.name)
        (data / "train/gt" / path.name).with_suffix(".png").rename((data / "val/gt" / path.name).with_suffix(".png"))
    training, validation = opened(data)
    assert (len(training), len(validation)) == (3, 2)
    next((data / "val/im").iterdir()).write_text("no picture")
    with pytest.raises(ValueError, match="1 files or pairs of the validation set cannot be used"):
        opened(data)


def test_error_nothing_can_be_used(data):
    for path in (data / "train/im").iterdir():
        path.write_text("no picture")
    with pytest.raises(ValueError, match="nothing of the training set can be used"):
        opened(data, skip_broken=True)


def test_error_two_ways_to_validate(data):
    with pytest.raises(ValueError, match=re.escape("--val and --val-fraction exclude each other")):
        opened(data, val=data, val_fraction=0.2)


def test_error_one_pair_has_nothing_to_validate(data):
    for part in ("im", "gt"):
        for path in sorted((data / "train" / part).iterdir())[1:]:
            path.unlink()
    with pytest.raises(ValueError, match="a split needs a fraction between 0 and 1 and two pairs; got 0.1 and 1"):
        opened(data, val_fraction=0.1)


def test_value_more_pairs_join_the_training_set(data, capsys):
    shutil.copytree(data / "train", data / "more")
    name = min(path.stem for path in (data / "more/im").iterdir())
    (data / f"more/im/{name}.jpg").rename(data / "more/im/new.jpg")
    (data / f"more/gt/{name}.png").rename(data / "more/gt/new.png")
    training, validation = opened(data, more=(data / "more",))
    assert (len(training), validation) == (6, None)
    assert "more: 4 pairs replace those of the same name, 1 are added" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"2 images of .*more are validation images: .*shows the same as"):
        opened(data, more=(data / "more",), val_fraction=0.4, check=False)
