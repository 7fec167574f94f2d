import json
from pathlib import Path

import numpy as np
import pytest

from dichoseg.metrics import adaptive_f, f_curve, mae

GOLDEN = Path(__file__).parents[1] / "golden/metrics"
VALUES = json.loads((GOLDEN / "values.json").read_text())
CASES = [name for name in VALUES if name != "examples"]


@pytest.mark.parametrize("name", CASES)
def test_value_reference(name):
    pairs = np.load(GOLDEN / "pairs.npz")
    pair = pairs[f"{name}/prediction"], pairs[f"{name}/mask"]
    for protocol, normalize in (("pysod", True), ("pysod_no_minmax", False)):
        curve = f_curve(*pair, normalize=normalize)
        ours = {
            "mae": mae(*pair, normalize=normalize),
            "fm_adp": adaptive_f(*pair, normalize=normalize),
            "fm_mean": curve.mean(),
            "fm_max": curve.max(),
        }
        for key, value in VALUES[name][protocol].items():
            assert ours[key] == pytest.approx(value, abs=1e-12), (protocol, key)
    if f"{name}/f" in pairs.files:
        np.testing.assert_allclose(f_curve(*pair), pairs[f"{name}/f"], atol=1e-12, rtol=0)


def test_value_by_hand():
    prediction = np.array([[0.0, 0.5, 1.0, 1.0]])
    mask = np.array([[False, False, True, True]])
    assert mae(prediction, mask) == 0.125
    assert f_curve(prediction, mask)[0] == 1.0
    assert f_curve(prediction, mask)[255] == pytest.approx(1.3 * 0.5 / (0.3 * 0.5 + 1))


@pytest.mark.parametrize("value", [0, 255])
def test_value_degenerate_masks(value):
    mask = np.full((65, 97), value, np.uint8)
    perfect = mask / 255
    assert mae(perfect, mask) == 0
    assert f_curve(perfect, mask).max() == (1.0 if value else 0.0)


def test_error_inputs():
    mask = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"of one size; got \(4, 5\) and \(4, 4\)"):
        mae(np.zeros((4, 5)), mask)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]; got 0 to 7"):
        mae(np.eye(4) * 7, mask)
    with pytest.raises(ValueError, match="nan"):
        mae(np.full((4, 4), np.nan), mask)
    with pytest.raises(TypeError, match="prediction must be uint8 or float; got int64"):
        mae(np.zeros((4, 4), int), mask)
    with pytest.raises(TypeError, match="mask must be uint8 or bool; got float64"):
        mae(np.zeros((4, 4)), np.zeros((4, 4)))
