"""The example plugin and dichoseg itself, as wheels, in an environment of their own."""

import json
import os
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from PIL import Image

from dichoseg import SyntheticDataset

ROOT = Path(__file__).parents[1]
STEP = """
import json, dichoseg
from dichoseg.objectives import DeepSupervision
small = {"channels": [8, 8, 8], "mid_channels": [4, 4, 4], "strides": [2, 4, 8], "stem_channels": 8}
preprocessing = dichoseg.Preprocessing(size=64)
model = dichoseg.create_model("isnet", decoder="light", encoder_args=small, preprocessing=preprocessing)
objective = DeepSupervision(dichoseg.load_component("losses", "focal")())
history = dichoseg.fit(model, dichoseg.SyntheticDataset(4, size=64), objective=objective, epochs=1, batch_size=2)
dichoseg.save_model(model, "saved")
print(json.dumps([dichoseg.__file__, type(dichoseg.load_model("saved").decoder).__module__, history[0]["main"]]))
"""

FUTURE = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "dichoseg-future"
version = "3.0"
dependencies = ["dichoseg>=2"]

[project.entry-points."dichoseg.losses"]
early = "dichoseg_future:Early"
coder = "dichoseg_future:Coder"

[project.entry-points."dichoseg.decoders"]
absent = "dichoseg_future.decoder:Absent"
light = "dichoseg_future:Light"
"""
FUTURE_PARTS = """
import torch
from dichoseg.contracts import Decoder, Encoder

class Early(torch.nn.Module): pass
class Coder(Encoder): pass
class Light(Decoder): pass
"""


def run(*command, cwd, path="", status=0):
    environment = {**os.environ, "PYTHONPATH": str(path)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr if status else done.stdout


@pytest.fixture(scope="module")
def folder(build, tmp_path_factory):
    """A folder whose `env` has dichoseg and the plugin, both installed from their wheels."""
    folder = tmp_path_factory.mktemp("plugin")
    for project in (ROOT, ROOT / "examples/plugin"):
        build(project, folder, "--wheel")
    wheels = sorted(map(str, folder.glob("*.whl")))
    assert len(wheels) == 2
    run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=folder)
    site = folder / "env/lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    pip = (sys.executable, "-m", "pip", "--python", str(folder / "env/bin/python"))
    run(*pip, "install", "--quiet", "--no-deps", *wheels, cwd=folder)
    # the dependencies are shared; the packages installed here come first
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_value_listed_with_its_package(folder):
    listing = run("env/bin/python", "-m", "dichoseg", "list", "--check", cwd=folder)
    for name in ("light", "wide", "focal", "contrast", "shadow", "skeleton_recall", "pocket", "drawn"):
        line = [name, "dichoseg-example-plugin", "0.1.0", "ok"]
        assert any(words.split() == line for words in listing.splitlines()), listing
    assert listing.count("pocket ") == 2, "a model, and the names in its published file"


@pytest.fixture
def future(build, folder, tmp_path):
    """Another plugin, for dichoseg 2, installed beside that environment from its wheel, without what it requires."""
    project = tmp_path / "project"
    (project / "dichoseg_future").mkdir(parents=True)
    (project / "pyproject.toml").write_text(FUTURE)
    (project / "dichoseg_future/__init__.py").write_text(FUTURE_PARTS)
    (project / "dichoseg_future/decoder.py").write_text("from dichoseg.blocks import ThatOfTheFuture")
    build(project, tmp_path, "--wheel")
    (wheel,) = map(str, tmp_path.glob("*.whl"))
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "site", wheel, cwd=tmp_path)
    return tmp_path / "site"


def test_error_plugin_for_another_version(folder, future):
    listing = run("env/bin/python", "-m", "dichoseg", "list", "--check", cwd=folder, path=future, status=1)
    told = {words[0]: words[3] for line in listing.splitlines() if len(words := line.split(maxsplit=3)) > 3}
    built_for = f"dichoseg-future was built for dichoseg>=2; this is {metadata.version('dichoseg')}"
    fit = f"; {built_for}: install versions of the two that fit each other"
    package = "from package dichoseg-future, cannot be"
    missing = f"'absent' in dichoseg.decoders, {package} imported: ImportError: cannot import name 'ThatOfTheFuture'"
    assert told["early"] == told["dichoseg-future/light"] == f"ok, but {built_for}"
    wrong = "dichoseg_future:Coder derives from dichoseg.contracts.Encoder"
    assert told["coder"] == f"'coder' in dichoseg.losses, {package} used: {wrong}{fit}"
    assert told["absent"].startswith(missing)
    assert told["absent"].endswith(fit)
    assert "2 cannot be used: repair or remove their packages. All others work." in listing
    train = ("env/bin/python", "-m", "dichoseg", "train", "nowhere", "--out", "none", "--decoder")
    error = run(*train, "absent", cwd=folder, path=future, status=1).strip()
    assert error.startswith("Traceback")
    assert error.splitlines()[-1].startswith(f"error in the package dichoseg-future 3.0: {missing}")
    assert error.endswith(fit)
    clash = run(*train, "light", cwd=folder, path=future, status=1)
    assert "several packages offer 'light' in dichoseg.decoders; say dichoseg-example-plugin/light or" in clash


def test_value_its_own_tests_pass(folder):
    tests = str(ROOT / "examples/plugin/tests")
    options = ("-p", "no:cacheprovider", "--rootdir", tests, "-c", os.devnull, "-W", "error")
    assert "passed" in run("env/bin/python", "-m", "pytest", *options, tests, cwd=folder)


def test_value_trains_a_step_by_name(folder):
    file, module, loss = json.loads(run("env/bin/python", "-c", STEP, cwd=folder).splitlines()[-1])
    assert Path(file).is_relative_to(folder)
    assert module == "dichoseg_example_plugin.decoder"
    assert 0 < loss < 10


def test_value_trains_a_step_from_the_command_line(folder):
    for part in ("data/im", "data/gt"):
        (folder / part).mkdir(parents=True)
    for image, mask, name in (SyntheticDataset(4, size=64)[index] for index in range(4)):
        Image.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(folder / f"data/im/{name}.png")
        Image.fromarray((mask[0] * 255).byte().numpy()).save(folder / f"data/gt/{name}.png")
    names = ("--model", "pocket", "--loss", "focal", "--objective", "contrast(strength=2):0.5")
    options = ("--augmentation", "shadow", "--best", "skeleton_recall", "--val-fraction", "0.5")
    sizes = ("--size", "64", "--epochs", "1", "--batch-size", "2", "--workers", "0", "--out", "run")
    told = run("env/bin/python", "-m", "dichoseg", "train", "data", *names, *options, *sizes, cwd=folder)
    assert "model in run" in told
    recipe = json.loads((folder / "run/last/config.json").read_text())["recipe"]
    assert recipe == {"name": "dichoseg-example-plugin/pocket"}
    columns = (folder / "run/history.csv").read_text().splitlines()[0].split(",")
    assert {"focal/main", "contrast/contrast", "quick_skeleton_recall"} <= set(columns)
    metrics = ("--metrics", "mae", "--metrics", "skeleton_recall", "--skeletons", "skeletons")
    scored = run("env/bin/python", "-m", "dichoseg", "evaluate", "data/gt", "data/gt", *metrics, cwd=folder)
    assert "skeleton_recall" in scored
    assert "1.0000" in scored


PARTS = """
import json, torch, dichoseg
from dichoseg_example_plugin.published import POCKET
small = {"channels": [8, 8, 8], "mid_channels": [4, 4, 4], "strides": [2, 4, 8], "stem_channels": 8}
names = {"decoder": "light(channels=8)", "heads": "wide(channels=4)"}
model = dichoseg.create_model("isnet", encoder_args=small, size=64, **names)
dichoseg.save_model(model, "parts")
loaded = dichoseg.load_model("parts")
scores = dichoseg.evaluate(loaded, dichoseg.SyntheticDataset(2, size=64), metrics=["mae", "skeleton_recall"])
print(json.dumps([loaded.recipe, type(loaded.heads).__module__, sorted(scores)]))
"""


def test_value_parts_by_name_with_arguments_are_saved(folder):
    recipe, heads, scores = json.loads(run("env/bin/python", "-c", PARTS, cwd=folder).splitlines()[-1])
    package = "dichoseg-example-plugin"
    assert recipe["decoder"] == f"{package}/light(channels=8)"
    assert recipe["heads"] == f"{package}/wide(channels=4)"
    assert heads == "dichoseg_example_plugin.heads"
    assert scores == ["mae", "skeleton_recall"]


BROKEN = """
import torch
from dichoseg.contracts import Heads, Metric, Objective, Prediction

class Heads2(Heads):
    def __init__(self, feature_info):
        super().__init__()
        self.map = torch.nn.Conv2d(feature_info.channels[0], 1, 1)
    def forward(self, features, size):
        return Prediction(self.map(features[0]))
    def logits(self, features, size):
        return self.map(features[0])

class Objective2(Objective):
    def terms(self, prediction, mask):
        return {"main": (prediction.logits - mask).mean()}

METRIC = Metric("falls", lambda pair: 1 - float((pair.values * pair.foreground).mean()), True, "of the foreground")
"""


def test_error_parts_that_break_the_contract_are_named(folder, build, tmp_path):
    groups = {
        "heads": 'small = "broken:Heads2"',
        "objectives": 'old = "broken:Objective2"',
        "metrics": 'falls = "broken:METRIC"',
    }
    (tmp_path / "project").mkdir()
    points = "\n".join(f'[project.entry-points."dichoseg.{group}"]\n{line}' for group, line in groups.items())
    head = FUTURE[: FUTURE.index("[project.entry-points")].replace("dichoseg-future", "broken").replace(">=2", "")
    (tmp_path / "project/pyproject.toml").write_text(f'{head}\n{points}\n[tool.hatch.build]\ninclude = ["broken.py"]\n')
    (tmp_path / "project/broken.py").write_text(BROKEN)
    build(tmp_path / "project", tmp_path, "--wheel")
    (wheel,) = map(str, tmp_path.glob("*.whl"))
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "site", wheel, cwd=tmp_path)
    listing = run("env/bin/python", "-m", "dichoseg", "list", "--check", cwd=folder, path=tmp_path / "site", status=1)
    told = {words[0]: words[3] for line in listing.splitlines() if len(words := line.split(maxsplit=3)) > 3}
    assert "logits at the image's size" in told["small"]
    assert "the mask is target.mask" in told["old"]
    assert "set higher_is_better to the direction" in told["falls"]
    assert "3 cannot be used" in listing
