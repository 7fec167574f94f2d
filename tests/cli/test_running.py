import pytest

from dichoseg.cli.building import NetworkOptions
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
