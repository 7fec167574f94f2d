import os
import subprocess
import sys

import huggingface_hub
import pytest
from safetensors.torch import save_file

from dichoseg import create_model, save_model
from dichoseg.weights.hub import hub_folder, local_folder


def test_value_folder_and_run(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "run/last")
    assert local_folder(tmp_path / "run") == tmp_path / "run/last"
    save_model(small_isnet, tmp_path / "run/best")
    assert local_folder(tmp_path / "run") == tmp_path / "run/best"


HUB = """
import sys, dichoseg
from dichoseg.weights.hub import hub_folder
for revision in (None, *sys.argv[1:]):
    print(hub_folder("someone/cutter", revision=revision))
    print(type(dichoseg.load_model("someone/cutter", revision=revision)).__name__)
"""


def from_hub(home, *arguments, variable="HF_HUB_OFFLINE"):
    environment = {**os.environ, "HF_HOME": str(home), variable: "1"}
    return subprocess.run(
        [sys.executable, "-c", HUB, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_value_hub_model_from_the_cache(small_isnet, tmp_path):
    """A model that was fetched before loads without a network, by its branch."""
    repository = tmp_path / "hub/models--someone--cutter"
    save_model(small_isnet, repository / "snapshots/0123")
    for branch in ("main", "v1"):
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / branch).write_text("0123")
    done = from_hub(tmp_path, "v1", variable="DICHOSEG_OFFLINE")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(repository / "snapshots/0123"), "Segmenter"] * 2


def test_value_hub_model_of_other_authors(tmp_path):
    """A repository for the library transformers: its weights are recognized."""
    repository = tmp_path / "hub/models--someone--cutter"
    (repository / "snapshots/0123").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("0123")
    save_file(create_model("u2netp").state_dict(), repository / "snapshots/0123/model.safetensors")
    (repository / "snapshots/0123/config.json").write_text('{"architectures": ["Cutter"]}')
    done = from_hub(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(repository / "snapshots/0123"), "Segmenter"]


def test_error_hub_without_a_network(tmp_path):
    done = from_hub(tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("FileNotFoundError: no model at someone/cutter: the folder does not exist, and the Hugging")


def test_error_a_client_with_errors_of_its_own(monkeypatch):
    def refused(*arguments, **options):
        raise RuntimeError("403 Forbidden")  # as httpx raises for a proxy

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refused)
    with pytest.raises(FileNotFoundError, match=r"no model at someone/cutter: .*\(403 Forbidden\)"):
        hub_folder("someone/cutter")
