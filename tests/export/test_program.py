import json

import pytest
import torch

from dichoseg import export_program
from dichoseg.export import program
from dichoseg.export.network import Reference

from .conftest import Gray, at


@pytest.mark.parametrize("size", [None, 65])
def test_value_a_program_gives_the_models_probability(isnet, tmp_path, size):
    isnet.train()
    assert export_program(isnet, tmp_path / "model.pt2", size=size) < 1e-5
    assert isnet.training
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]
    noted = {"dichoseg": ""}
    loaded = torch.export.load(tmp_path / "model.pt2", extra_files=noted).module()
    image = torch.rand(1, 3, size or 64, size or 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), isnet.eval().logits(image).sigmoid())
    assert json.loads(noted["dichoseg"])["preprocessing"]["size"] == (size or 64)


def test_value_a_timm_network(foreign, tmp_path):
    assert export_program(foreign, tmp_path / "model.pt2") < 1e-5


def test_error_what_is_refused(isnet, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="32 by 32"):
        export_program(Gray(sides=(64,)), tmp_path / "model.pt2", size=32)
    with pytest.raises(ValueError, match="size="):
        export_program(at(Gray(), None), tmp_path / "model.pt2")
    monkeypatch.setattr(
        program,
        "compute_references",
        lambda *_: [Reference(torch.zeros(1, 3, 64, 64), torch.full((1, 1, 64, 64), 2.0))],
    )
    with pytest.raises(RuntimeError, match="no file is written"):
        export_program(Gray(), tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("full_disk")
def test_error_a_full_disk_leaves_the_old_file(tmp_path):
    (tmp_path / "model.pt2").write_text("old")
    with pytest.raises(OSError, match=r"No space left on device: '.*/model\.pt2'"):
        export_program(Gray(), tmp_path / "model.pt2")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("model.pt2", "old")]


def test_error_a_folder_in_the_files_place(tmp_path):
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        export_program(Gray(), tmp_path)
