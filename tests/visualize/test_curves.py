import numpy as np
import pytest

from dichoseg.visualize import learning_curves, metric_curves


@pytest.mark.parametrize("validated", [True, False])
def test_shape_curves(validated):
    rows = [{"epoch": float(epoch), "loss": 3.0 - epoch, "bce/main": 1.0, "edge/main": 2.0 - epoch} for epoch in (1, 2)]
    if validated:
        rows = [{**row, "val_loss": 1.0, "quick_mae": 0.1, "quick_max_f": 0.8} for row in rows]
    picture = np.array(learning_curves(rows))
    assert picture.shape == (456, 1200 if validated else 600, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_error_curves_of_nothing():
    with pytest.raises(ValueError, match="at least one epoch"):
        learning_curves([])


@pytest.mark.parametrize("measures", [("f",), ("f", "precision", "recall")])
def test_shape_metric_curves(measures):
    values = {measure: np.linspace(0, 1, 256) for measure in measures}
    picture = np.array(metric_curves({"one": values, "other": values}))
    assert picture.shape == (504, 1200 if len(measures) > 1 else 600, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_value_scores_above_one_are_in_the_picture():
    pictures = [
        np.array(learning_curves([{"epoch": epoch, "loss": 1.0, "quick_hce": level * epoch} for epoch in (1, 2, 3)]))
        for level in (10, -10)
    ]
    assert (pictures[0] != pictures[1]).any(), "rising and falling"
