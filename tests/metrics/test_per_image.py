import numpy as np
import pytest

from dichoseg import list_components, load_component
from dichoseg.metrics import Evaluator, Pair
from dichoseg.metrics.per_image import RECORDS, higher_is_better, record_of
from dichoseg.training.selection import score_key

PREDICTION = np.tile(np.arange(97, dtype=np.uint8) * 2, (65, 1))
MASK = np.zeros((65, 97), bool)
MASK[10:50, 40:80] = True


def test_value_registered_records_are_the_built_in_ones():
    assert set(RECORDS) == set(list_components("metrics"))
    for name, record in RECORDS.items():
        assert load_component("metrics", name) is record
        assert record.name == name


@pytest.mark.parametrize("name", RECORDS)
def test_value_evaluator_averages_the_record(name):
    evaluator = Evaluator(metrics=[name])
    evaluator.update(PREDICTION, MASK)
    assert evaluator.compute() == {name: pytest.approx(record_of(name).of_pair(Pair(PREDICTION, MASK)))}
    assert evaluator.definitions() == {name: record_of(name).definition}


@pytest.mark.parametrize(
    ("name", "rises"), [("mae", False), ("s_measure", True), ("max_f", True), ("binary_ber", False), ("max_fpr", False)]
)
def test_value_direction_of_a_metric(name, rises):
    assert higher_is_better(name) is rises


@pytest.fixture
def plugin(install):
    """A package with metrics whose names look like those of curves."""
    install(
        "extra",
        "[dichoseg.metrics]\nmax_area = extra_metrics:MAX\noverall_area = extra_metrics:OVERALL\n",
        extra_metrics="from dichoseg.records import Metric\n"
        "def area(pair): return float(pair.foreground.mean())\n"
        "MAX = Metric('max_area', area, definition='area')\n"
        "OVERALL = Metric('overall_area', area, False, 'area')\n",
    )


def test_value_metrics_of_a_plugin_by_name(plugin):
    names = ["max_area", "overall_area", "mae", "max_f", "overall_f"]
    both, first, second = (Evaluator(metrics=names) for _ in range(3))
    for mask, one in ((MASK, first), (~MASK, second)):
        both.update(PREDICTION, mask)
        one.update(PREDICTION, mask)
    first.merge(second)
    assert first.compute() == both.compute()
    assert both.compute()["max_area"] == both.compute()["overall_area"] == pytest.approx(0.5)
    assert both.definitions()["max_area"] == "area"
    assert record_of("overall_area").higher_is_better is False


def test_error_unknown_metric():
    with pytest.raises(ValueError, match="no metric 'mab' in protocol 'pysodmetrics'; did you mean 'mba'"):
        Evaluator(metrics=["mab"])
    with pytest.raises(ValueError, match="no metric 'mba' in protocol 'dis'"):
        Evaluator(metrics=["mba"], protocol="dis")
    assert record_of("nothing") is None


def test_value_metric_by_its_package(plugin):
    for name in ("extra/max_area", "dichoseg/mba"):
        assert list(Evaluator(metrics=[name]).definitions()) == [name]
        assert record_of(name) is not None
        assert score_key(name)[0] == f"quick_{name}"


def test_error_metric_that_two_packages_share(install):
    for package in ("one", "two"):
        install(package, "[dichoseg.metrics]\nshared_area = dichoseg.metrics.per_image:MAE\n")
    for use in (lambda: Evaluator(metrics=["shared_area"]), lambda: score_key("shared_area")):
        with pytest.raises(
            ValueError, match="several packages offer 'shared_area'.*one/shared_area or two/shared_area"
        ):
            use()
    assert list(Evaluator(metrics=["two/shared_area"]).definitions()) == ["two/shared_area"]
