import os

import pytest

from dichoseg.export.destination import check_destination


def test_value_a_new_file_and_one_that_is_there_are_fine(tmp_path, monkeypatch):
    check_destination(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_text("old")
    check_destination(tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    check_destination((tmp_path / "model.onnx").relative_to(tmp_path))
    assert (tmp_path / "model.onnx").read_text() == "old"


def test_error_what_is_no_place_for_a_file(tmp_path, monkeypatch):
    with pytest.raises(IsADirectoryError, match=f"{tmp_path} is a folder; wanted the name of a file"):
        check_destination(tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder .*absent to write model.onnx to"):
        check_destination(tmp_path / "absent/model.onnx")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(PermissionError, match=rf"cannot write {tmp_path}/model\.onnx: .* may not write to"):
        check_destination(tmp_path / "model.onnx")
