"""The example plugin and dichoseg itself, as wheels, in an environment of their own."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from PIL import Image

from dichoseg import SyntheticDataset

ROOT = Path(__file__).parents[1]
STEP = """
import json, dichoseg
from dichoseg.losses import DeepSupervision
small = {"channels": [8, 8, 8], "mid_channels": [4, 4, 4], "strides": [2, 4, 8], "stem_channels": 8}
preprocessing = dichoseg.Preprocessing(size=64)
model = dichoseg.create_model("isnet", decoder="light", encoder_args=small, preprocessing=preprocessing)
objective = DeepSupervision(dichoseg.load_component("losses", "focal")())
history = dichoseg.fit(model, dichoseg.SyntheticDataset(4, size=64), objective=objective, epochs=1, batch_size=2)
dichoseg.save_model(model, "saved")
print(json.dumps([dichoseg.__file__, type(dichoseg.load_model("saved").decoder).__module__, history[0]["main"]]))
"""


def run(*command, cwd):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder whose `env` has dichoseg and the plugin, both installed from their wheels."""
    folder = tmp_path_factory.mktemp("plugin")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder))
    for project in (ROOT, ROOT / "examples/plugin"):
        run(*build, str(project), cwd=folder)
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
    for name in ("light", "focal", "shadow", "pocket"):
        line = [name, "dichoseg-example-plugin", "0.1.0", "ok"]
        assert any(words.split() == line for words in listing.splitlines()), listing


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
    names = ("--model", "pocket", "--loss", "focal", "--augmentation", "shadow")
    sizes = ("--size", "64", "--epochs", "1", "--batch-size", "2", "--workers", "0", "--out", "run")
    told = run("env/bin/python", "-m", "dichoseg", "train", "data", *names, *sizes, cwd=folder)
    assert "model in run" in told
    recipe = json.loads((folder / "run/last/config.json").read_text())["recipe"]
    assert recipe == {"name": "dichoseg-example-plugin/pocket"}
