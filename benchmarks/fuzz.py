"""Change saved models, weights, ONNX graphs, states of runs and images at random, and read the results.

    python benchmarks/fuzz.py [--weights 3000] [--images 3000] [--seed 0] [--minutes 0] [--keep FOLDER]

A worker process reads one file after the other, under limits of resident memory and time, and is restarted only when it
exceeds one. Every file must be read, or refused by the documented error with its name. Anything else is a finding,
whose file is copied to `--keep`. With `--minutes`, rounds with further seeds follow until the time is over.
"""

import argparse
import io
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
MOST_MEMORY, MOST_SECONDS = 3e9, 20.0
KINDS = (
    "model.safetensors",
    "config.json",
    "w.pth",
    "legacy.pth",
    "w.ckpt",
    "w.onnx",
    "int8.onnx",
    "state.pt",
    "timm.json",
)
IMAGES = (
    "PNG",
    "JPEG",
    "TIFF",
    "GIF",
    "WEBP",
    "BMP",
    "PPM",
    "TGA",
    "JPEG2000",
    "ICO",
    "PCX",
    "SGI",
    "AVIF",
    "EPS",
    "QOI",
)
WORDS = (
    b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"-1", b"99999999999", b"null", b"true", b"[]", b"{}",
    b"[[[[[[[[", b"NaN", b"1e999", b"pretrained", b"hf-hub:a/b", b"local-dir:/tmp", b"\x80", b".", b"../x", b"timm:x",
)  # fmt: skip


def make_seeds(folder: Path) -> None:
    """Write one small file of every kind."""
    import torch
    from PIL import Image

    from dichoseg import SyntheticDataset, create_model, export_onnx, fit, save_model

    args = {"channels": [8, 16], "mid_channels": [4, 8], "strides": [2, 4], "stem_channels": 8}
    model = create_model("isnet", encoder_args=args, size=32)
    save_model(model, folder)
    backbone = create_model(
        "isnet", encoder="timm:test_resnet(out_indices=(0, 1, 2))", decoder="fpn(channels=8)", size=32
    )
    save_model(backbone, folder / "timm")
    shutil.copy(folder / "timm" / "config.json", folder / "timm.json")
    torch.save(model.state_dict(), folder / "w.pth")
    torch.save(model.state_dict(), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    content = {f"model.{key}": value for key, value in model.state_dict().items()}
    torch.save({"state_dict": content, "epoch": 3, "hyper_parameters": {"lr": 0.1}}, folder / "w.ckpt")
    export_onnx(model, folder / "w.onnx")
    write_quantized(folder / "int8.onnx")
    fit(model, SyntheticDataset(2, size=32), batch_size=2, epochs=1, out=folder / "run", device="cpu")
    shutil.copy(folder / "run" / "state.pt", folder / "state.pt")
    shutil.copytree(folder / "run", folder / "run_seed")
    picture = Image.effect_noise((97, 65), 50)
    for name in IMAGES:
        picture.convert("RGB").save(folder / f"image.{name}", name)
    picture.convert("P").save(folder / "image.GIF", "GIF", save_all=True, append_images=[picture] * 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.convert("RGB").save(folder / "image.JPEG", "JPEG", exif=exif, icc_profile=bytes(200), dpi=(72, 72))


def write_quantized(path: Path) -> None:
    """Write a graph with a weight in 8 bits, factors and summands."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    stored = {"q": np.ones((8, 3, 3, 3), np.int8), "s": np.ones(8, np.float32), "f": np.ones((8, 1, 1), np.float32)}
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"], name="/conv_in/Conv"),
        helper.make_node("Mul", ["y", "f"], ["z"]),
        helper.make_node("Add", ["z", "f"], ["out"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "out")]
    tensors = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    path.write_bytes(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)).SerializeToString())


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Change a file in a few places, mostly near its beginning or end, where its structure is."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        size = len(data)
        if not size:
            break
        near = draw.choice((size, min(size, 600), 64))
        at = draw.randrange(min(near, size))
        at = at if draw.random() < 0.7 else size - 1 - at
        how = draw.randrange(7)
        if how == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif how == 1:
            data[at] = draw.randrange(256)
        elif how == 2:
            del data[at : at + draw.choice((1, 4, 100, size))]
        elif how == 3:
            word = draw.choice(WORDS)
            data[at : at + draw.choice((0, len(word)))] = word
        elif how == 4:
            data[at:at] = data[at : at + draw.choice((1, 8, 200))] * draw.choice((1, 2, 100))
        elif how == 5:
            data[at : at + 4] = draw.choice((0, 1, 2**31 - 1, 2**32 - 1, 65_535, 10**6)).to_bytes(
                4, draw.choice(("little", "big"))
            )
        else:
            data[at : at + 8] = draw.randbytes(8)
    return bytes(data)


def mutated_json(content: bytes, draw: random.Random) -> bytes:
    """Replace or add a value somewhere in a configuration."""
    config = json.loads(content)
    values: list[Any] = [
        None, True, -1, 0, 0.5, 7, 2**31, 10**9, 10**30, 1e308, "", "x", "8", "rsu", "fpn(channels=10**9)", "f(" * 300,
        "timm:hf-hub:a/b", "timm:resnet18(pretrained=True)", "isnet(encoder='timm:local-dir:/tmp')", [], [1], [8] * 50,
        [8] * 10**5, [10**9] * 2, [[8, 16]], {}, {"url": "http://127.0.0.1:9/"}, {"pretrained_cfg": {"file": "/x"}},
        "é" * 5000,
    ]  # fmt: skip
    for _ in range(draw.choice((1, 1, 2))):
        place: Any = config
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw.choice(keys) if keys else None
            if key is None or not isinstance(place[key], dict | list) or draw.random() < 0.3:
                break
            place = place[key]
        if key is None or (isinstance(place, dict) and draw.random() < 0.2):
            key = draw.choice(("encoder_args", "decoder", "pretrained", "url", "channels", "size", "mean", "weights"))
        if isinstance(place, dict) or isinstance(key, int):
            place[key] = draw.choice(values)
    return json.dumps(config).encode()


def read(kind: str, folder: Path) -> str:
    """Read one changed file in its place; return how that ended."""
    from dichoseg import SyntheticDataset, create_model, fit, load_model
    from dichoseg.data import read_image, read_mask
    from dichoseg.untrusted import UnusableFileError
    from dichoseg.weights import load_weights

    args = {"channels": [8, 16], "mid_channels": [4, 8], "strides": [2, 4], "stem_channels": 8}
    try:
        if kind.startswith("image"):
            for function in (read_image, read_mask):
                try:
                    function(folder / kind)
                except UnusableFileError:
                    raise
                except ValueError as error:  # such as label ids in a mask
                    if str(folder / kind) not in str(error):
                        raise
        elif kind == "state.pt":
            model = create_model("isnet", encoder_args=args, size=32)
            fit(
                model,
                SyntheticDataset(2, size=32),
                batch_size=2,
                epochs=1,
                out=folder / "run",
                resume=True,
                device="cpu",
            )
        elif kind in ("model.safetensors", "config.json", "timm.json"):
            load_model(folder / ("timm" if kind == "timm.json" else "model"))
        elif kind == "w.onnx":
            load_model(folder / kind)
        else:
            load_weights(create_model("isnet", encoder_args=args), folder / kind)
    except UnusableFileError as error:
        return "refused" if str(folder) in str(error) else f"no name: {error}"
    return "read"


def work(pipe: Connection) -> None:
    """Read the files that are sent, until there are no more."""
    import logging

    import dichoseg.cli  # noqa: F401  # so that a file's time is its own

    warnings.simplefilter("ignore")
    logging.disable()
    sys.stderr = io.StringIO()
    while True:
        kind, folder = pipe.recv()
        try:
            outcome = read(kind, folder)
        except BaseException as error:
            outcome = f"{type(error).__name__}: {str(error)[:200]}"
        pipe.send(outcome)


class Worker:
    """Process that reads files, and is replaced when it takes too much."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start the process."""
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other,), daemon=True)
        self.process.start()

    def read(self, kind: str, folder: Path) -> tuple[str, float]:
        """Return how the reading of a file ended, and the largest memory in bytes."""
        self.pipe.send((kind, folder))
        started, most = time.monotonic(), 0.0
        outcome = None
        while outcome is None:
            if self.pipe.poll(0.02):
                try:
                    return self.pipe.recv(), most
                except EOFError:
                    outcome = "the process died"
            most = max(most, self.memory())
            if most > MOST_MEMORY:
                outcome = f"memory: {most / 1e9:.1f} GB"
            elif time.monotonic() - started > MOST_SECONDS * (3 if most == 0 else 1):
                outcome = f"time: {time.monotonic() - started:.0f} s"
            elif not self.process.is_alive():
                outcome = "the process died"
        self.process.kill()
        self.process.join()
        self.start()
        return outcome, most

    def memory(self) -> float:
        """Return the resident memory in bytes."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return float(pages * os.sysconf("SC_PAGE_SIZE"))


def cases(kinds: tuple[str, ...], count: int, draw: random.Random, seeds: Path) -> Iterator[tuple[str, bytes]]:
    """Yield kinds and changed files."""
    for index in range(count):
        kind = kinds[index % len(kinds)]
        content = (seeds / kind).read_bytes()
        is_text = kind.endswith(".json") and draw.random() < 0.7
        yield kind, (mutated_json if is_text else mutated)(content, draw)


def prepare(folder: Path, seeds: Path, kind: str, content: bytes) -> Path:
    """Write a changed file to the place it is read from; return its path."""
    if kind == "state.pt":
        shutil.rmtree(folder / "run", ignore_errors=True)
        shutil.copytree(seeds / "run_seed", folder / "run")
        path = folder / "run" / kind
    elif kind == "timm.json":
        path = folder / "timm" / "config.json"
    elif kind in ("model.safetensors", "config.json"):
        for name in ("model.safetensors", "config.json"):
            shutil.copy(seeds / name, folder / "model" / name)
        path = folder / "model" / kind
    else:
        path = folder / kind
    path.write_bytes(content)
    return path


def main() -> None:
    """Read changed files, and print how that ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=int, default=3000)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    started, findings, worker = time.monotonic(), 0, Worker()
    with tempfile.TemporaryDirectory() as name:
        seeds, folder = Path(name, "seeds"), Path(name, "files")
        for part in (seeds, folder / "model"):
            part.mkdir(parents=True)
        make_seeds(seeds)
        shutil.copytree(seeds / "timm", folder / "timm")
        images = tuple(f"image.{format}" for format in IMAGES)
        seed = options.seed
        while seed == options.seed or time.monotonic() - started < 60 * options.minutes:
            for what, kinds, count in (("weights", KINDS, options.weights), ("images", images, options.images)):
                outcomes: Counter[str] = Counter()
                most = slowest = 0.0
                for index, (kind, content) in enumerate(cases(kinds, count, random.Random(f"{seed} {what}"), seeds)):
                    path = prepare(folder, seeds, kind, content)
                    before = time.monotonic()
                    outcome, memory = worker.read(kind, folder)
                    most, slowest = max(most, memory), max(slowest, time.monotonic() - before)
                    outcomes[outcome if outcome in ("read", "refused") else "finding"] += 1
                    if outcome not in ("read", "refused"):
                        findings += 1
                        print(f"finding: seed {seed}, {kind} {index}: {outcome}", flush=True)
                        if options.keep is not None:
                            options.keep.mkdir(parents=True, exist_ok=True)
                            shutil.copy(path, options.keep / f"{seed}-{index}-{kind}")
                print(
                    f"{count} {what}, seed {seed}: {dict(outcomes)}; at most {most / 1e9:.2f} GB and {slowest:.1f} s",
                    flush=True,
                )
            seed += 1
    sys.exit(findings > 0)


if __name__ == "__main__":
    main()
