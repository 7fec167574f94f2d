"""Folders of photographs to folders of masks, in dichoseg and in rembg, on one machine in one run.

    python benchmarks/folders.py isnet.onnx PHOTOGRAPHS --rembg-python REMBG/bin/python [--count 100]
        [--megapixels 12 --enlarged 10] [--threads 2] [--precision float32] [--repeats 2]

The file is an ONNX file of IS-Net at 1024 pixels, such as background removal tools use; rembg has an environment of its
own. There are two sets: the first photographs of the folder, and the first few of them enlarged. Each tool takes its
turn at a set, as often as it is repeated; images/s are of the median time, from the first photograph to the last mask.
Imports, the loading of the model and one photograph of each set to warm up are left out.

rembg is called in a plain loop. dichoseg works like `dichoseg predict --threads`: this number of threads compute, and
as many others read and write. "model busy" is the fraction of the time that is spent in calls of the predictor.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import dichoseg
import dichoseg.inference
import dichoseg.runtime.memory
from dichoseg.data.finding import images_and_others

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("file", type=Path, help="IS-Net as ONNX")
parser.add_argument("photographs", type=Path, help="folder of photographs")
parser.add_argument("--rembg-python", required=True, help="Python of an environment with rembg[cpu]")
parser.add_argument("--count", type=int, default=100, help="photographs as they are")
parser.add_argument("--enlarged", type=int, default=10, help="photographs made larger; 0 leaves them out")
parser.add_argument("--megapixels", type=float, default=12, help="size of those")
parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of either tool")
parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="dichoseg's")
parser.add_argument("--repeats", type=int, default=2)
options = parser.parse_args()
torch.set_num_threads(options.threads)


class TimedPredictor:
    """Predictor that adds up the seconds of its calls, for `predict_files`."""

    def __init__(self, predictor: dichoseg.Predictor) -> None:
        self.predictor = predictor
        self.model = predictor.model
        self.seconds = 0.0

    def __call__(self, photograph: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predict one photograph."""
        started = time.perf_counter()
        probability = self.predictor(photograph)
        self.seconds += time.perf_counter() - started
        return probability


def enlarge(path: Path, folder: Path) -> Path:
    """Write a photograph at the requested size, as JPEG."""
    photograph = Image.open(path).convert("RGB")
    factor = (options.megapixels * 1e6 / (photograph.width * photograph.height)) ** 0.5
    enlarged = photograph.resize((round(photograph.width * factor), round(photograph.height * factor)))
    result = folder / f"{path.stem}.jpg"
    enlarged.save(result, quality=95)
    return result


def time_dichoseg(paths: list[Path], out: Path) -> tuple[float, float]:
    """Return the seconds of dichoseg, and the part of them inside the predictor."""
    timed = TimedPredictor(predictor)
    done = dichoseg.photographs.predict_files(timed, paths, out, threads=options.threads)
    if done.failures:
        raise SystemExit("\n".join(done.failures))
    return done.seconds, timed.seconds


def time_rembg(paths: list[Path], out: Path) -> float:
    """Return the seconds of rembg."""
    out.mkdir(exist_ok=True)
    print(json.dumps([str(path.resolve()) for path in (out, *paths)]), file=rembg.stdin, flush=True)
    answer = rembg.stdout.readline()
    if not answer:
        raise SystemExit("rembg stopped; its error is above")
    return float(answer)


dichoseg.runtime.memory.keep_memory()  # as dichoseg predict does
predictor = dichoseg.Predictor(dichoseg.load_model(options.file), precision=options.precision)
# rembg reads only files below U2NET_HOME, and takes its number of threads from OMP_NUM_THREADS
settings = {"U2NET_HOME": str(options.file.resolve().parent), "OMP_NUM_THREADS": str(options.threads)}
command = [options.rembg_python, Path(__file__).with_name("rembg_loop.py"), "dis_custom", options.file.resolve()]
with (
    tempfile.TemporaryDirectory() as name,
    subprocess.Popen(
        command, env=os.environ | settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as rembg,
):
    folder = Path(name)
    (folder / "enlarged").mkdir()
    paths = images_and_others(options.photographs)[0][: options.count]
    enlarged = [enlarge(path, folder / "enlarged") for path in paths[: options.enlarged]]
    sets = {f"{len(paths)} photographs": paths}
    if enlarged:
        sets[f"{len(enlarged)} of {options.megapixels:g} megapixels"] = enlarged
    kind = str(predictor.dtype).removeprefix("torch.")
    print(f"{options.threads} threads, dichoseg in {kind}, {options.repeats} times in turn")
    print(f"{'images/s':28}{'dichoseg':>10}{'rembg':>10}{'ratio':>8}{'model busy':>12}", flush=True)
    for label, chosen in sets.items():
        time_dichoseg(chosen[:1], folder / "dichoseg")
        time_rembg(chosen[:1], folder / "rembg")
        own, busy, other = [], [], []
        for _ in range(options.repeats):
            seconds, inside = time_dichoseg(chosen, folder / "dichoseg")
            own.append(seconds)
            busy.append(inside / seconds)
            other.append(time_rembg(chosen, folder / "rembg"))
        mine, theirs = (len(chosen) / statistics.median(seconds) for seconds in (own, other))
        share = statistics.median(busy)
        print(f"{label:28}{mine:10.3f}{theirs:10.3f}{mine / theirs:8.2f}{share:12.1%}", flush=True)
