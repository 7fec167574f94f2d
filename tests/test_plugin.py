"""The example plugin and dichoseg itself, as wheels, in an environment of their own."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

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
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_value_plugin_trains_a_step_by_name(tmp_path):
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path))
    for project in (ROOT, ROOT / "examples/plugin"):
        run(*build, str(project), cwd=tmp_path)
    wheels = sorted(map(str, tmp_path.glob("*.whl")))
    assert len(wheels) == 2
    run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=tmp_path)
    python = str(tmp_path / "env/bin/python")
    site = tmp_path / "env/lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        *wheels,
        cwd=tmp_path,
    )
    # the dependencies are shared; the packages installed here come first
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    listing = run(python, "-m", "dichoseg", "list", cwd=tmp_path)
    for name in ("light", "focal"):
        assert any(line.split() == [name, "dichoseg-example-plugin"] for line in listing.splitlines()), listing
    file, module, loss = json.loads(run(python, "-c", STEP, cwd=tmp_path).splitlines()[-1])
    assert Path(file).is_relative_to(tmp_path)
    assert module == "dichoseg_example_plugin.decoder"
    assert 0 < loss < 10
