import pytest
import torch

from dichoseg import create_model, load_model
from dichoseg.models.weights import convert_weights

from .test_loading import authors_state


def test_value_recognised_and_saved(tmp_path):
    model = create_model("u2netp").eval()
    torch.save(authors_state(model, "u2netp"), tmp_path / "u2netp.pth")
    converted, stored = convert_weights(tmp_path / "u2netp.pth", tmp_path / "m")
    assert converted.recipe == {"name": "u2netp"}
    assert stored.kind == "torch checkpoint"
    other = load_model(tmp_path / "m")
    assert other.preprocessing == model.preprocessing
    assert other.preprocessing.scale == "image_max"
    image = torch.rand(1, 3, 65, 97)
    with torch.no_grad():
        assert torch.equal(model.logits(image), other.logits(image))
    assert "Converted from `u2netp.pth` (torch checkpoint)" in (tmp_path / "m/README.md").read_text()


def test_error_leaves_nothing(tmp_path):
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w.pth \(torch checkpoint\) holds none of the published networks; got 1 ten"):
        convert_weights(tmp_path / "w.pth", tmp_path / "m")
    with pytest.raises(ValueError, match=r"does not fit this model \(u2netp\)"):
        convert_weights(tmp_path / "w.pth", tmp_path / "m", name="u2netp")
    assert not (tmp_path / "m").exists()
    with pytest.raises(FileExistsError, match="already holds something"):
        convert_weights(tmp_path / "w.pth", tmp_path)
    with pytest.raises(ValueError, match="is a folder or a saved model, for load_model"):
        convert_weights(tmp_path, tmp_path / "m")
