import pytest

from dichoseg.training.rows import RUN, Meter, grouped


def test_value_grouped():
    assert grouped({"loss": 3.0, "main": 1.0, "side_1": 1.0, "side_2": 1.0}) == {"loss": 3.0, "main": 1.0, "side": 2.0}


def test_value_means_over_images():
    meter = Meter({"loss": 4.0}, seen=2)
    assert meter.text() == "loss 2.000"
    meter.add({"loss": 5.0, "side_1": 1.0, "side_2": 2.0}, 2, seconds=0.5)
    assert meter.totals == {"loss": 14.0, "side_1": 2.0, "side_2": 4.0}
    assert meter.text() == "loss 3.500, side 1.500"
    meter.end_training()
    times = meter.times(4, "cpu")
    assert {"learning_rate", *times} == set(RUN)
    assert times["images_per_second"] == pytest.approx(2 / meter.trained)  # two of them in this process
    assert times["busy"] == pytest.approx(0.5 / meter.trained)


def test_value_nothing_seen_yet():
    assert Meter({}, seen=0).text() == ""
