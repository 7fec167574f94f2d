import numpy as np

from dichoseg.evaluation.skeletons import cached_skeleton, default_cache
from dichoseg.metrics import skeleton


def test_value_found_again_and_mended(tmp_path, monkeypatch):
    mask = np.random.default_rng(0).random((33, 21)) > 0.3
    expected = skeleton(mask)
    assert (cached_skeleton(mask, tmp_path / "s") == expected).all()
    (file,) = (tmp_path / "s").iterdir()
    monkeypatch.setattr("dichoseg.evaluation.skeletons.skeleton", lambda mask: 1 / 0)
    assert (cached_skeleton(mask, tmp_path / "s") == expected).all()
    monkeypatch.undo()
    file.write_bytes(b"half")
    assert (cached_skeleton(mask, tmp_path / "s") == expected).all()
    assert (cached_skeleton(mask.T, tmp_path / "s") == skeleton(mask.T)).all()
    assert len(list((tmp_path / "s").iterdir())) == 2


def test_value_place(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "dichoseg/skeletons"


def test_value_a_folder_that_cannot_be_made_keeps_nothing(tmp_path):
    (tmp_path / "file").touch()
    mask = np.random.default_rng(0).random((9, 21)) > 0.3
    assert (cached_skeleton(mask, tmp_path / "file" / "s") == skeleton(mask)).all()
