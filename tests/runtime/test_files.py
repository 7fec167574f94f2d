import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import save_file

from dichoseg.runtime.files import check_destination, write_atomically, write_json, write_text


def test_value_names_that_are_not_utf_8_are_escaped(tmp_path):
    write_text(tmp_path / "a.txt", "caf\udce9")
    assert (tmp_path / "a.txt").read_text() == "caf\\udce9"


def test_value_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fails(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_value_permissions_are_those_of_any_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a", "x")
        write_atomically(tmp_path / "b", lambda temporary: save_file({"x": torch.zeros(2)}, temporary))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~umask}


def test_value_the_umask_is_left_alone_in_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("others make files meanwhile"))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda index: write_text(tmp_path / str(index), "x"), range(20)))
    assert len(list(tmp_path.iterdir())) == 20


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127, "a" * 246 + ".png"])
def test_value_names_as_long_as_a_name_may_be(tmp_path, name):
    write_text(tmp_path / name, "x")
    assert os.listdir(tmp_path) == [name]


def test_error_names_the_file_and_not_the_temporary_one(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_text(tmp_path / "none/a.txt", "x")
    assert str(caught.value) == f"[Errno 2] No such file or directory: '{tmp_path / 'none/a.txt'}'"

    def fails(temporary):
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*/a.txt'") as caught:
        write_atomically(tmp_path / "a.txt", fails)
    assert caught.value.errno == errno.ENOSPC
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_text(tmp_path / "folder", "x")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "folder"), None)
    for error in (OSError("of a library's own"), OSError(errno.EACCES, "Permission denied", "/another")):

        def fails_elsewhere(temporary, error=error):
            raise error

        with pytest.raises(OSError) as caught:  # noqa: PT011
            write_atomically(tmp_path / "a.txt", fails_elsewhere)
        assert caught.value is error
    assert os.listdir(tmp_path) == ["folder"]


def test_value_text_and_json(tmp_path):
    write_text(tmp_path / "a", "Straße\n")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "Straße\n"
    write_json(tmp_path / "b", {"x": [1, None]})
    assert json.loads((tmp_path / "b").read_text()) == {"x": [1, None]}


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


def test_value_what_must_not_be_lost_is_flushed_before_and_after_the_move(tmp_path, monkeypatch):
    path, seen = tmp_path / "file.json", []

    def flush(handle):
        target = os.readlink(f"/proc/self/fd/{handle}")
        seen.append((target == str(tmp_path), path.exists()))

    monkeypatch.setattr(os, "fsync", flush)
    write_text(path, "text")
    assert seen == []
    path.unlink()
    write_json(path, {})
    assert seen == [(False, False), (True, True)]


def test_value_a_file_system_that_cannot_flush(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.EINVAL, "invalid")

    monkeypatch.setattr(os, "fsync", refuse)
    write_json(tmp_path / "file.json", {})
    assert (tmp_path / "file.json").read_text() == "{}\n"


def test_error_a_disk_that_fails_in_flushing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    path.write_text("old")

    def fail(_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="broken"):
        write_json(path, {})
    assert path.read_text() == "old"
