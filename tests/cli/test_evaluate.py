import json
import shutil

from .conftest import run_cli


def test_value_evaluate_folders_side_by_side(data):
    for part in ("a", "b"):
        shutil.copytree(data / "train/gt", data / part)
    arguments = ("evaluate", data / "a", data / "b", data / "train/gt", "--workers", 0, "--skeletons", data / "s")
    result = run_cli(*arguments, "--out", data / "scores")
    assert result.exit_code == 0, result.output
    assert "b minus a, with 95 % intervals over 5 images" in result.output
    assert json.loads((data / "scores/scores.json").read_text())["scores"]["a"]["all"]["max_f"] == 1
    assert "got 1 folders" in str(run_cli("evaluate", data / "a").exception)
    (data / "a/extra.png").write_bytes(min((data / "a").iterdir()).read_bytes())
    assert "extra.png has no mask in" in str(run_cli(*arguments).exception)
    assert run_cli(*arguments, "--allow-missing", "--metrics", "fast").exit_code == 0


def test_value_evaluate_calls_the_working_folder_by_its_name(data, monkeypatch):
    monkeypatch.chdir(data / "train/gt")
    result = run_cli("evaluate", ".", data / "train/gt", "--metrics", "mae", "--workers", 0)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split()[:3] == ["gt", "all", "5"]
