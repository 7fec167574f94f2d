import dataclasses

import pytest

from dichoseg.cli.building import AugmentationOptions, NetworkOptions
from dichoseg.cli.running import Train, describe, plan_of


def test_value_a_plan_has_what_the_options_say(data, tmp_path):
    network = NetworkOptions(encoder="timm:test_resnet", size=64)
    options = Train(data=data, out=tmp_path / "run", network=network, epochs=3, batch_size=2, patience=4, device="cpu")
    with pytest.raises(ValueError, match="--patience needs validation data"):
        plan_of(options, data, tmp_path / "run")
    options = Train(data=data, out=tmp_path / "run", network=network, epochs=3, batch_size=2, device="cpu")
    plan, parts = plan_of(options, data, tmp_path / "run")
    assert (plan.epochs, plan.batch_size, plan.model.preprocessing.size) == (3, 2, 64)
    assert list(parts) == ["bce"]
    assert describe(plan, options) == "isnet with encoder timm:test_resnet: 5 images to train on, none " + (
        "(--val-fraction 0.1 holds some back) to validate on"
    )
    assert not (tmp_path / "run").exists(), "a plan writes nothing"


def test_value_sizes_to_train_at(data, tmp_path, monkeypatch):
    network = NetworkOptions(encoder="timm:test_resnet", size=64)
    options = Train(data=data, out=tmp_path / "run", network=network, batch_size=2, sizes=("32", "64x96"))
    with pytest.raises(ValueError, match=r"0 of 5 images are nearest to the aspect ratio of \[\(64, 96\)\]"):
        plan_of(options, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr("dichoseg.data.FolderDataset.image_size", lambda self, index: (64, 96 if index % 2 else 64))
    augmentation = AugmentationOptions(cpu_augmentation="strong")
    options = dataclasses.replace(options, augmentation=augmentation)
    plan, _ = plan_of(options, data, tmp_path / "run")
    assert plan.heights_widths == ((32, 32), (64, 96))
    assert plan.model.preprocessing.size == 64
    assert plan.train_data[0].image.shape == (3, 64, 96), "augmented for the largest size"
    with pytest.raises(ValueError, match="HEIGHTxWIDTH, such as 512x768; got 'data'"):
        Train(sizes=("384", "data"))
