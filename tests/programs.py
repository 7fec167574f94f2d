"""Runs the programs of examples and of pages in seconds: on stand-ins for their files, and with small settings."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import dichoseg
from dichoseg.weights import resolve
from dichoseg.weights.cache import mark, own_path

from .conftest import SMALL

SMALLER = {
    r"\bsize=\d+": "size=64",
    r"\bside in \(256, 320, 512\)": "side in (48,)",
    r"\bsize in \((1024, [\d, ]+)\)": "size in (48,)",
    r"SyntheticDataset\(\d+,": "SyntheticDataset(8,",
    r"(max_epochs|epochs|EPOCHS)( ?= ?)(?!500\b)\d+": r"\1\g<2>1",
    r"epochs=500": "epochs=2",  # of which the last is of another kind
    r'val_data=validation, out="runs/a"\)': 'val_data=validation, out="runs/a", epochs=1)',
    r"batch_size=\d+": "batch_size=4",
    r"workers=\d+": "workers=0",
    r"warmup=500": "warmup=0",
    r"A.Resize\(\d+, \d+\)": "A.Resize(64, 64)",
    r"A.SmallestMaxSize\(\d+\)": "A.SmallestMaxSize(96)",
    r"BorderCropTransform\(\d+, \d+,": "BorderCropTransform(64, 64,",
    # networks
    r'create_model\(\s*"isnet"(?!,\s*encoder),?': f'create_model("isnet", encoder_args={SMALL}, ',
    r'create_model\("isnet_deconv_gt_encoder"': (
        'create_model("isnet_gt_encoder", channels=[8, 8, 16], strides=[2, 4, 8], size=64'
    ),
    r'create_model\("isnet_deconv"\)': f'create_model("isnet", encoder_args={SMALL}, size=64)',
    r"(model, arguments = proposal.build\(\))": r'\1; arguments |= {"epochs": 1}',
    r"RSUEncoder\(\)": f"RSUEncoder(**{SMALL})",
    r'"timm:resnet18"': '"timm:test_resnet"',
    r'TimmEncoder\("(resnet18|convnext_tiny)"': 'TimmEncoder("test_resnet"',
    r'backbone="swin_l"': 'backbone="pvt_v2_b0", size=64',
    r"pretrained=True": "pretrained=False",
    r'weights="(DEFAULT|imagenet)"': "weights=None",
    r'"isnet-general-use\.(pth|onnx)"': '"u2netp.pth"',
    # slow, and tested elsewhere: code for a compiled network, a process for each runtime
    r"model\.compile\(\)": 'model.compile(backend="eager")',
    r'if __name__ == "__main__":': "if False:",
}
"""Patterns in programs, and what stands in for them when they are run as a test."""
SERVER = """
import json, os, runpy, sys
import albumentations, kornia, matplotlib.pyplot, timm, torch._dynamo  # loaded once for all programs
import dichoseg.evaluation, dichoseg.export, dichoseg.photographs, dichoseg.planning, dichoseg.training
for line in sys.stdin:
    path, folder = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.environ["TMPDIR"] = folder  # what a program leaves behind goes with the test
        os.environ["DICHOSEG_HOME"] = os.path.join(folder, "home")
        for number, name in enumerate((os.devnull, "stdout", "stderr")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
        sys.argv[:] = [path]
        sys.path[0] = os.path.dirname(path)
        runpy.run_path(path, run_name="__main__")
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def smaller(program: str) -> str:
    """Return a program with settings that take seconds."""
    for pattern, substitute in SMALLER.items():
        program = re.sub(pattern, substitute, program)
    return program


def make_stand_ins(folder: Path) -> None:
    """Write the files that programs read: data, photographs, predictions, and small models for published weights."""
    sets = {"data": 13, "data/train": 8, "data/val": 2, "corrected": 1}
    for seed, (part, length) in enumerate(sets.items()):
        scenes = dichoseg.SyntheticDataset(length, size=96, seed=1 if part == "corrected" else seed)
        for sample in (scenes[index] for index in range(length)):
            name = sample.name if part != "corrected" else "0001"
            picture = _picture(sample.image.permute(1, 2, 0))
            mask = _picture(sample.mask[0])
            _save(picture, folder / part / "im" / f"{name}.png")
            _save(mask, folder / part / "gt" / f"{name}.png")
            if part == "data":
                for number, rival in enumerate(("predictions/a", "predictions/b")):
                    _save(mask.point(lambda value, n=number: value * (0.9 - 0.1 * n)), folder / rival / f"{name}.png")
                _save(Image.merge("RGBA", (*picture.split(), mask)), folder / "cut-outs" / f"{name}.png")
    for name in ("photo.jpg", "photographs/rocket.jpg", "photographs/coffee.png", "photographs/chelsea.png"):
        _save(picture, folder / name)
    _save(mask, folder / "mask.png")
    _save(mask.point(lambda value: value * 0.9), folder / "prediction.png")
    (folder / "upload.pth").write_bytes(b"no tensors")
    model = dichoseg.create_model("isnet", encoder_args=SMALL, size=64)
    for name in ("isnet-general-use", "u2netp", "u2netp-pth", "runs/mine"):
        dichoseg.save_model(model, folder / name)
    torch.save(dichoseg.create_model("u2netp").state_dict(), folder / "u2netp.pth")
    before = os.environ.get("DICHOSEG_HOME")
    os.environ["DICHOSEG_HOME"] = str(folder / "home")
    try:
        record = resolve("u2net")
        path = own_path(record)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"as if downloaded")
        mark(record, path)
    finally:
        del os.environ["DICHOSEG_HOME"]
        if before is not None:
            os.environ["DICHOSEG_HOME"] = before


def _picture(values):
    return Image.fromarray(np.ascontiguousarray((values * 255).byte().numpy()))


def _save(picture, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


class Server:
    """A process that runs one program after another, each in a fork of its own, which need not load the libraries."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def run(self, path: Path, folder: Path) -> str:
        """Run a program in a folder, and return what it printed."""
        print(json.dumps([str(path), str(folder)]), file=self.process.stdin, flush=True)
        code = self.process.stdout.readline()
        assert code == "0\n", (folder / "stderr").read_text()
        return (folder / "stdout").read_text()


@contextmanager
def serving() -> Iterator[Server]:
    """Start the process, and end it with the block."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process)
