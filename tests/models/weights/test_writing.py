import json

import pytest

from dichoseg.models.weights.writing import write_atomically, write_json, write_text


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


def test_value_text_and_json(tmp_path):
    write_text(tmp_path / "a", "Straße\n")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "Straße\n"
    write_json(tmp_path / "b", {"x": [1, None]})
    assert json.loads((tmp_path / "b").read_text()) == {"x": [1, None]}
