import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dichoseg.metrics.measures import MEASURES, Confusion, e_measure, f_measure
from dichoseg.metrics.pair import Pair

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
VALUES = json.loads((GOLDEN / "measures.json").read_text())
CASES = [name for name in VALUES if name != "examples"]
REFERENCE = {
    "f": "fm",
    "e": "em",
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


def golden_pair(name, as_float=False, normalize=True):
    arrays = np.load(GOLDEN / "pairs.npz")
    prediction = arrays[f"{name}/prediction"]
    return Pair(prediction / 255 if as_float else prediction, arrays[f"{name}/mask"], normalize=normalize)


@pytest.mark.parametrize("as_float", [False, True])
@pytest.mark.parametrize(("protocol", "normalize"), [("pysod", True), ("pysod_no_minmax", False)])
@pytest.mark.parametrize("name", CASES)
def test_value_reference(name, protocol, normalize, as_float):
    pair = golden_pair(name, as_float, normalize)
    ours = {}
    for measure, key in REFERENCE.items():
        curve = MEASURES[measure](pair.curve)
        ours |= {f"{key}_max": curve.max(), f"{key}_mean": curve.mean()}
        ours |= {f"{key}_adp": MEASURES[measure](pair.adaptive), f"{key}_bin": MEASURES[measure](pair.binary)}
    expected = {key: value for key, value in VALUES[name][protocol].items() if key in ours}
    assert len(expected) == 40  # max, mean and adaptive F are in values.json
    for key, value in expected.items():
        # The reference subtracts nearly equal numbers for kappa; ours are whole.
        assert float(ours[key]) == pytest.approx(value, abs=1e-11 if "kappa" in key else 1e-12), key


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("measure", ["e", "iou", "ber", "kappa"])
def test_value_reference_curves(name, measure):
    reference = np.load(GOLDEN / "curves.npz")[f"{name}/{REFERENCE[measure]}"]
    relative = 1e-11 if measure == "kappa" else 0
    np.testing.assert_allclose(
        MEASURES[measure](golden_pair(name).curve), reference, rtol=relative, atol=1e-11 if relative else 1e-12
    )


@pytest.mark.parametrize("beta_squared", [0.3, 1.0])
def test_value_f_is_the_papers_formula(beta_squared):
    true_positives, false_positives, foreground = np.array([0, 0, 3, 9]), np.array([0, 4, 1, 80]), 9
    expected = []
    for tp, fp in zip(true_positives.tolist(), false_positives.tolist(), strict=True):
        precision = Fraction(tp, max(tp + fp, 1))
        recall = Fraction(tp, foreground)
        numerator = (1 + beta_squared) * float(precision * recall)
        expected.append(numerator / (beta_squared * float(precision) + float(recall)) if tp else 0)
    ours = f_measure(Confusion(true_positives, false_positives, foreground, 200), beta_squared=beta_squared)
    np.testing.assert_allclose(ours, expected, rtol=1e-15)


def by_pixel(decision, mask):
    """Every measure from the two binary maps, as the definitions are written."""
    ratio = lambda above, below: above / below if below else 0.0  # noqa: E731
    tp, fp = float((decision & mask).sum()), float((decision & ~mask).sum())
    fn, tn = float((~decision & mask).sum()), float((~decision & ~mask).sum())
    size = decision.size
    precision, recall, specificity = ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(tn, tn + fp)
    right = (tp + tn) / size
    chance = ((tp + fp) * (tp + fn) + (tn + fn) * (tn + tp)) / size**2
    if not mask.any():
        aligned = float((~decision).sum())
    elif mask.all():
        aligned = float(decision.sum())
    else:
        a, b = decision - decision.mean(), mask - mask.mean()
        aligned = ((2 * a * b / (a * a + b * b + np.spacing(1)) + 1) ** 2 / 4).sum()
    return {
        "f": ratio(1.3 * precision * recall, 0.3 * precision + recall),
        "e": aligned / max(size - 1, 1),
        "iou": ratio(tp, tp + fp + fn),
        "dice": ratio(2 * tp, 2 * tp + fp + fn),
        "precision": precision,
        "recall": recall,
        "specificity": specificity,
        "fpr": ratio(fp, fp + tn),
        "accuracy": right,
        "ber": 1 - (recall + specificity) / 2,
        "kappa": ratio(right - chance, 1 - chance) if abs(1 - chance) > 1e-12 else 0.0,
    }


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([0, 0.1, 0.5, 1]), st.booleans(), st.integers(0, 999))
def test_value_equals_the_definitions(height, width, share, normalize, seed):
    rng = np.random.default_rng(seed)
    prediction = rng.integers(0, rng.integers(2, 257), (height, width)).astype(np.uint8)
    mask = rng.random((height, width)) < share
    pair = Pair(prediction, mask, normalize=normalize)
    decisions = {255 - level: pair.gray >= level for level in (0, 1, 77, 128, 255)}
    for measure, function in MEASURES.items():
        curve = function(pair.curve)
        for index, decision in decisions.items():
            assert curve[index] == pytest.approx(by_pixel(decision, mask)[measure], rel=1e-10, abs=1e-12), (
                measure,
                index,
            )
        half = by_pixel(pair.values > 0.5, mask)[measure]
        assert float(function(pair.binary)) == pytest.approx(half, rel=1e-10, abs=1e-12), measure
        adaptive = by_pixel(pair.values >= min(2 * pair.values.mean(), 1), mask)[measure]
        assert float(function(pair.adaptive)) == pytest.approx(adaptive, rel=1e-10, abs=1e-12), measure


@pytest.mark.parametrize(("positive", "foreground", "expected"), [
    (0, 0, {"f": 0, "e": 100 / 99, "iou": 0, "specificity": 1, "fpr": 0, "accuracy": 1, "ber": 0.5, "kappa": 0}),
    (100, 0, {"f": 0, "e": 0, "iou": 0, "precision": 0, "specificity": 0, "fpr": 1, "accuracy": 0, "ber": 1}),
    (100, 100, {"f": 1, "e": 100 / 99, "iou": 1, "dice": 1, "specificity": 0, "accuracy": 1, "ber": 0.5, "kappa": 0}),
    (0, 100, {"f": 0, "e": 0, "recall": 0, "specificity": 0, "accuracy": 0, "ber": 1}),
])  # fmt: skip
def test_value_empty_and_full(positive, foreground, expected):
    confusion = Confusion(min(positive, foreground), positive - min(positive, foreground), foreground, 100)
    for measure, value in expected.items():
        assert float(MEASURES[measure](confusion)) == value, measure


def test_value_e_exceeds_one_for_a_perfect_decision():
    assert float(e_measure(Confusion(40, 0, 40, 100))) == pytest.approx(100 / 99)
    everything = Confusion(np.array([40, 0]), np.array([60, 0]), 40, 100)
    np.testing.assert_allclose(e_measure(everything), 0.25 * 100 / 99)
    assert float(e_measure(Confusion(1, 0, 1, 1))) == 1


def test_value_large_images_do_not_overflow():
    size = 60_000 * 50_000
    perfect = Confusion(size // 3, 0, size // 3, size)
    assert float(MEASURES["kappa"](perfect)) == 1
    small, large = (
        Confusion(np.array([20 * scale]), np.array([10 * scale]), 30 * scale, 110 * scale) for scale in (1, 10**8)
    )
    assert MEASURES["kappa"](large) == pytest.approx(MEASURES["kappa"](small), rel=1e-12)
