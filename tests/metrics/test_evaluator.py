import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from dichoseg.metrics import Evaluator, adaptive_f, f_curve, mae, measure_curve, s_measure
from dichoseg.metrics.evaluator import ALL, FAST, GROUPS, PAPER
from dichoseg.metrics.measures import MEASURES

GOLDEN = Path(__file__).parents[1] / "golden/metrics"


def random_pairs(count):
    rng = np.random.default_rng(0)
    return [(rng.random((9, 7 + index)), rng.random((9, 7 + index)) > 0.5) for index in range(count)]


def filled(pairs, **options):
    evaluator = Evaluator(**options)
    for prediction, mask in pairs:
        evaluator.update(prediction, mask)
    return evaluator


REFERENCE = json.loads((GOLDEN / "measures.json").read_text())["examples"]
PUBLISHED_HCE = 221 / 3  # 36, 184 and 1 of the three, with OpenCV up to 4.12
MEASURE_KEYS = {
    "f": "fm",
    "iou": "iou",
    "dice": "dice",
    "precision": "pre",
    "recall": "rec",
    "specificity": "spec",
    "fpr": "fpr",
    "accuracy": "oa",
    "ber": "ber",
    "kappa": "kappa",
}


def example_pairs():
    arrays = np.load(GOLDEN / "pairs.npz")
    return [(arrays[f"{name}/prediction"], arrays[f"{name}/mask"]) for name in REFERENCE["names"]]


def test_value_reference():
    scores = filled(example_pairs(), metrics=("paper",)).compute()
    keys = {"mae": "MAE", "s_measure": "Sm", "weighted_f": "wFm", "max_f": "maxFm", "mean_f": "meanFm"}
    keys |= {"adaptive_f": "adpFm", "max_e": "maxEm", "mean_e": "meanEm", "adaptive_e": "adpEm"}
    expected = {name: REFERENCE[key] for name, key in keys.items()} | {"hce": PUBLISHED_HCE}
    assert scores == pytest.approx(expected, abs=1e-12)
    default = filled(example_pairs()).compute()
    assert default == {name: score for name, score in scores.items() if name not in ("weighted_f", "hce")}
    mean_of_maxima = np.mean([f_curve(*pair).max() for pair in example_pairs()])
    assert mean_of_maxima == pytest.approx(REFERENCE["mean_of_per_image_maxF"], abs=1e-12)
    assert scores["max_f"] < mean_of_maxima


@pytest.mark.parametrize("measure", MEASURE_KEYS)
def test_value_reference_of_a_measure(measure):
    scores = filled(example_pairs(), metrics=(measure,)).compute()
    reference = REFERENCE[MEASURE_KEYS[measure]]
    variants = {"max": "max", "mean": "mean", "adaptive": "adp", "binary": "sample_bin", "overall": "overall_bin"}
    assert scores == pytest.approx({f"{v}_{measure}": reference[key] for v, key in variants.items()}, abs=1e-11)


@pytest.mark.parametrize("normalize", [False, True])
def test_value_reference_of_dis(normalize):
    scores = filled(example_pairs(), metrics=("all",), protocol="dis", normalize=normalize).compute()
    expected = REFERENCE["dis_maxF_minmax" if normalize else "dis_maxF_raw"]
    assert list(scores) == ["mae", "max_f", "hce"]
    assert scores["hce"] == pytest.approx(PUBLISHED_HCE)  # 37, 184 and 0
    assert scores["max_f"] == pytest.approx(expected, abs=2e-7)  # the reference adds in float32


@pytest.mark.parametrize("normalize", [False, True])
def test_value_averages_over_images(normalize):
    pairs = random_pairs(3)
    scores = filled(pairs, normalize=normalize).compute()
    curve = np.mean([f_curve(*pair, normalize=normalize) for pair in pairs], axis=0)
    assert list(scores) == ["mae", "max_f", "mean_f", "adaptive_f", "s_measure", "max_e", "mean_e", "adaptive_e"]
    assert all(type(score) is float for score in scores.values())
    assert scores["max_f"] == pytest.approx(curve.max())
    assert scores["mean_f"] == pytest.approx(curve.mean())
    assert scores["mae"] == pytest.approx(np.mean([mae(*pair, normalize=normalize) for pair in pairs]))
    adaptive = np.mean([adaptive_f(*pair, normalize=normalize) for pair in pairs])
    assert scores["adaptive_f"] == pytest.approx(adaptive)
    assert scores["s_measure"] == pytest.approx(np.mean([s_measure(*pair, normalize=normalize) for pair in pairs]))
    assert scores["mean_e"] == pytest.approx(
        np.mean([measure_curve(*pair, "e", normalize=normalize) for pair in pairs])
    )


def test_value_by_hand():
    mask = np.array([[0, 255]], np.uint8)
    scores = filled([(mask, mask), (mask, np.zeros_like(mask))]).compute()
    assert scores["mae"] == 0.25
    assert scores["max_f"] == scores["adaptive_f"] == 0.5  # a perfect image, and one without foreground
    assert scores["mean_f"] == pytest.approx((255 + 1.3 / 2.3) / 256 / 2)


def test_value_compute_does_not_end_it():
    pairs = random_pairs(4)
    evaluator = filled(pairs[:2])
    evaluator.compute()
    evaluator.update(*pairs[2])
    assert evaluator.compute() == filled(pairs[:3]).compute()
    assert evaluator.count == 3


def test_value_merge_equals_one_evaluator():
    pairs = random_pairs(5)
    evaluator, other = filled(pairs[:2]), filled(pairs[2:])
    alone = other.compute()
    evaluator.merge(other)
    evaluator.merge(Evaluator())
    assert evaluator.count == 5
    assert evaluator.compute() == pytest.approx(filled(pairs).compute(), abs=1e-15)
    evaluator.update(*pairs[0])
    assert other.compute() == alone


def test_value_reset_forgets():
    pairs = random_pairs(3)
    evaluator = filled(pairs[:2], normalize=False)
    evaluator.reset()
    evaluator.update(*pairs[2])
    assert evaluator.compute() == filled(pairs[2:], normalize=False).compute()


def test_error_nothing_to_average():
    evaluator = filled(random_pairs(1))
    evaluator.reset()
    for empty in (evaluator, Evaluator()):
        with pytest.raises(ValueError, match="nothing to average; call update"):
            empty.compute()


def test_error_image_changes_nothing():
    evaluator = filled(random_pairs(1))
    before = evaluator.compute()
    with pytest.raises(ValueError, match="of the same size"):
        evaluator.update(np.zeros((3, 4)), np.zeros((4, 3), bool))
    assert evaluator.compute() == before


@pytest.mark.parametrize("protocol", ["pysodmetrics", "dis"])
def test_value_pickled_and_merged_equals_one_evaluator(protocol):
    pairs = random_pairs(5)
    parts = [filled(part, metrics=("all",), protocol=protocol) for part in (pairs[:2], [], pairs[2:])]
    whole = Evaluator(metrics=("all",), protocol=protocol)
    for part in parts:
        whole.merge(pickle.loads(pickle.dumps(part)))
    expected = filled(pairs, metrics=("all",), protocol=protocol)
    assert whole.compute() == pytest.approx(expected.compute(), abs=1e-14)
    assert whole.table() == expected.table()
    assert whole.degenerate() == expected.degenerate()


def test_value_table_has_each_image():
    evaluator = Evaluator(metrics=("all",))
    pairs = random_pairs(3)
    for name, pair in zip(("first", "second"), pairs, strict=False):
        evaluator.update(*pair, name=name)
    evaluator.update(*pairs[2])
    table, scores = evaluator.table(), evaluator.compute()
    assert [row.pop("name") for row in table] == ["first", "second", ""]
    assert [tuple(row) for row in table] == [ALL] * 3
    assert all(type(value) is float for row in table for value in row.values())
    assert table[1]["max_f"] == f_curve(*pairs[1]).max()
    assert table[1]["overall_iou"] == table[1]["binary_iou"]
    for metric in ALL:
        if not metric.startswith(("max_", "overall_")):
            assert np.mean([row[metric] for row in table]) == pytest.approx(scores[metric]), metric


def test_value_overall_counts_pixels_not_images():
    small, large = np.array([[True]]), np.zeros((1, 9), bool)
    large[0, :6] = True
    pairs = [(small * 1.0, small), (large[:, ::-1] * 1.0, large)]
    scores = filled(pairs, metrics=("binary_iou", "overall_iou")).compute()
    assert scores == pytest.approx({"binary_iou": (1 + 3 / 9) / 2, "overall_iou": (1 + 3) / (1 + 9)})


def test_value_degenerate_images_are_counted():
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    evaluator = filled([(mask * 1.0, mask), (mask * 1.0, mask & False), (mask * 0.0, ~(mask & False))])
    assert evaluator.degenerate() == {"empty_masks": 1, "full_masks": 1, "constant_predictions": 1}
    evaluator.reset()
    assert set(evaluator.degenerate().values()) == {0}


@pytest.mark.parametrize("prediction", [np.zeros((5, 6)), np.full((5, 6), 0.3), np.ones((5, 6)), np.eye(5, 6)])
@pytest.mark.parametrize("foreground", [(), (0, 0), (4, 5), (slice(None), slice(None)), (slice(None), 5)])
def test_value_all_are_finite_for_degenerate_images(prediction, foreground):
    mask = np.zeros((5, 6), bool)
    if foreground:
        mask[foreground] = True
    for protocol in ("pysodmetrics", "dis"):
        scores = filled([(prediction, mask)], metrics=("all",), protocol=protocol).compute()
        undefined = {name for name, score in scores.items() if not np.isfinite(score)}
        assert undefined <= {"boundary_iou", "mba"}


def test_value_an_image_without_a_value_does_not_count():
    mask = np.zeros((65, 97), bool)
    mask[20:40, 30:60] = True
    pairs = [(mask * 1.0, mask), (mask * 1.0, mask & False)]
    assert filled(pairs, metrics=("mba",)).compute() == {"mba": 1}
    assert np.isnan(filled(pairs[1:], metrics=("mba",)).compute()["mba"])
    assert filled(pairs, metrics=("boundary_iou",)).compute() == {"boundary_iou": 0.5}


def test_value_metrics_by_name_and_group():
    evaluator = Evaluator(metrics=("max_iou", "mae", "iou", "mae"))
    assert evaluator.metrics == ("max_iou", "mae", "mean_iou", "adaptive_iou", "binary_iou", "overall_iou")
    assert Evaluator().metrics == FAST
    assert Evaluator(metrics=("paper",)).metrics == PAPER
    assert set(PAPER) - set(FAST) == {"weighted_f", "hce"}
    assert set(Evaluator(metrics=("all",)).metrics) == {name for names in GROUPS.values() for name in names}
    assert "overall_e" not in ALL
    assert set(MEASURES) <= set(GROUPS)


def test_error_metrics():
    with pytest.raises(ValueError, match="no metric 'max_fm' in protocol 'pysodmetrics'; did you mean 'max_f'"):
        Evaluator(metrics=("max_fm",))
    with pytest.raises(ValueError, match="no metric 's_measure' in protocol 'dis'"):
        Evaluator(metrics=("s_measure",), protocol="dis")
    with pytest.raises(TypeError, match=r"sequence of names; got 'all'; write \('all',\)"):
        Evaluator(metrics="all")
    with pytest.raises(ValueError, match="protocol must be one of pysodmetrics, dis; got 'sod'"):
        Evaluator(protocol="sod")
    for nothing, protocol in (((), "pysodmetrics"), (("kappa",), "dis")):
        with pytest.raises(ValueError, match="metrics must name at least one"):
            Evaluator(metrics=nothing, protocol=protocol)


def test_error_merge_of_two_protocols():
    with pytest.raises(ValueError, match="same normalize can be merged; got True and False"):
        Evaluator().merge(Evaluator(normalize=False))
    with pytest.raises(ValueError, match="same protocol can be merged; got pysodmetrics and dis"):
        Evaluator(metrics=("mae",)).merge(Evaluator(metrics=("mae",), protocol="dis"))
    with pytest.raises(ValueError, match="same metrics can be merged"):
        Evaluator().merge(Evaluator(metrics=("mae",)))


@pytest.mark.parametrize("protocol", ["pysodmetrics", "dis"])
def test_value_every_metric_is_defined_in_a_line(protocol):
    evaluator = Evaluator(metrics=("all",), protocol=protocol)
    definitions = evaluator.definitions()
    assert tuple(definitions) == evaluator.metrics
    assert len(set(definitions.values())) == len(definitions)
    assert "gray mask" in definitions["mae"] or protocol == "pysodmetrics"


def test_value_curves_are_the_averages_that_the_maxima_come_from():
    evaluator = Evaluator(metrics=("max_f", "mean_e"))
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:20] = True
    for level in (0.3, 0.9):
        evaluator.update(np.clip(mask * level + np.linspace(0, 0.1, 30), 0, 1), mask)
    curves = evaluator.curves()
    assert set(curves) == {"f", "e", "precision", "recall"}
    assert curves["f"].max() == evaluator.compute()["max_f"]
    assert curves["e"].mean() == evaluator.compute()["mean_e"]
