import json
from pathlib import Path

import numpy as np
import pytest

from dichoseg.metrics.dis import best_f, gray_error, precision_recall
from dichoseg.metrics.pair import Pair

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
VALUES = json.loads((GOLDEN / "measures.json").read_text())
CASES = [name for name in VALUES if name != "examples"]


@pytest.mark.parametrize(("suffix", "normalize"), [("minmax", True), ("raw", False)])
@pytest.mark.parametrize("name", CASES)
def test_value_reference(name, suffix, normalize):
    """To float32, in which the reference adds."""
    arrays = np.load(GOLDEN / "pairs.npz")
    pair = Pair(arrays[f"{name}/prediction"], arrays[f"{name}/mask"], normalize=normalize)
    ours = {"maxf1": best_f(precision_recall(pair), offset=1e-4), "mae": gray_error(pair)}
    for key, value in ours.items():
        if f"{key}_{suffix}" in VALUES[name]["dis"]:  # not for a constant prediction
            assert value == pytest.approx(VALUES[name]["dis"][f"{key}_{suffix}"], abs=2e-7), key


def test_value_by_hand():
    pair = Pair(np.array([[0, 254, 255]], np.uint8), np.array([[0, 200, 255]], np.uint8))
    assert gray_error(pair) == pytest.approx(54 / 255 / 3, abs=1e-6)  # the mask is not binarised
    precision, recall = precision_recall(pair)
    assert precision.shape == (255,)
    assert recall[0] == pytest.approx(1, abs=1e-4)  # 254 and 255 share a bin
    assert precision[-1] == pytest.approx(2 / 3, abs=1e-4)


def test_value_constant_prediction_is_not_stretched():
    pair = Pair(np.full((65, 97), 127, np.uint8), np.ones((65, 97), bool))
    assert gray_error(pair) == pytest.approx(128 / 255)
    assert best_f(precision_recall(pair), offset=1e-4) == pytest.approx(1, abs=1e-3)
