from .conftest import run_cli


def test_error_folder_in_use(tmp_path):
    (tmp_path / "mine").write_text("x")
    result = run_cli("demo", "--out", tmp_path)
    assert isinstance(result.exception, FileExistsError)
    assert "already holds something" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_error_seed_below_zero(tmp_path):
    result = run_cli("demo", "--out", tmp_path / "run", "--seed", -1)
    assert "seed must be 0 or more; got -1" in str(result.exception)
    assert not (tmp_path / "run").exists()
