from dichoseg import create_model
from dichoseg.objectives import DeepSupervision, WeightedSum
from dichoseg.objectives.default import default_objective

from ..conftest import SMALL


def test_value_cross_entropy_and_edges_if_the_model_predicts_them(small_isnet):
    assert type(default_objective(small_isnet)) is DeepSupervision
    edges = create_model("isnet", decoder="edge_guided", decoder_args={"channels": [4] * 3}, encoder_args=SMALL)
    objective = default_objective(edges)
    assert type(objective) is WeightedSum
    assert objective.weights == {"mask": 1.0, "edge": 1.0}
