"""Kill or stop a run at every step, resume it, and compare its weights with those of an uninterrupted run.

    python benchmarks/interrupted.py [--kills 76] [--stops 20]

Each life of a run is a forked process that calls `fit(resume=True)`. It is killed by SIGKILL, or stopped by SIGTERM or
SIGINT, in the augmentation of some step, again and again, until it ends. Also: files that cannot be read
after a kill, a disk that is full for a while, and a run of two processes that is stopped.
"""

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import kornia.augmentation  # noqa: F401  # imported once, before the forks
import matplotlib.figure  # noqa: F401
import torch
import torch._dynamo
from safetensors.torch import load_file

from dichoseg import Optimization, Preprocessing, SyntheticDataset, create_model, fit
from dichoseg.augmentations import gpu_augmentation
from dichoseg.training import EarlyStopping
from dichoseg.training.ranks import launched

EPOCHS, STEPS = 3, 4


def live(out: Path, fatal: int, how: signal.Signals, *, most_bytes: int | None = None) -> None:
    """Run one life of the run in `out`, ended at its step `fatal`, counted from this life's first; 0 for none."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    args = {"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8}
    model = create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=32))
    augment, seen = gpu_augmentation(elastic=0, clahe=0), 0

    def augmentation(image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal seen
        seen += 1
        if seen == fatal and launched().is_first:
            os.kill(os.getpid(), how)
        return augment(image, mask)

    if most_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    history = fit(
        model,
        SyntheticDataset(8, size=32),
        val_data=SyntheticDataset(2, size=32, seed=9),
        augmentation=augmentation,
        epochs=EPOCHS,
        batch_size=2,
        optimization=Optimization(accumulate=2, ema=0.5),
        out=out,
        resume=True,
        on_epoch=EarlyStopping(5),
    )
    if len(history) == EPOCHS and launched().is_first:
        torch.save(model.state_dict(), out.with_suffix(".pth"))


def run(out: Path, fatal: list[int], how: signal.Signals) -> list[int]:
    """Let a run live until it ends; return how its lives ended."""
    codes = []
    for step in [*fatal, 0]:
        process = os.fork()
        if process == 0:
            try:
                live(out, step, how)
            finally:
                os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        if out.with_suffix(".pth").exists():
            break
    return codes


def torn_files(out: Path) -> list[Path]:
    """Return the files of a run that cannot be read."""
    torn = []
    for path in [*out.rglob("*.pt"), *out.rglob("*.safetensors"), *out.rglob("*.png"), *out.rglob("*.json")]:
        try:
            if path.suffix == ".pt":
                torch.load(path, weights_only=True)
            elif path.suffix == ".safetensors":
                load_file(path)
            elif not path.read_bytes().rstrip().endswith((b"}", b"IEND\xaeB`\x82")):
                torn.append(path)
        except Exception:
            torn.append(path)
    return torn


def main() -> None:
    """Interrupt runs, and print how many came out equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=76)
    parser.add_argument("--stops", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(folder / "whole", [], signal.SIGKILL)
        whole = torch.load(folder / "whole.pth", weights_only=True)

        def equal(out: Path) -> bool:
            weights = torch.load(out.with_suffix(".pth"), weights_only=True)
            return all(torch.equal(value, weights[key]) for key, value in whole.items())

        for kind, most, signals in (
            ("kills", options.kills, [signal.SIGKILL]),
            ("stops", options.stops, [signal.SIGTERM, signal.SIGINT]),
        ):
            done = runs = same = torn = 0
            while done < most:
                out = folder / f"{kind}{runs}"
                fatal = [draw.randint(1, EPOCHS * STEPS) for _ in range(min(most - done, 4))]
                codes = run(out, fatal, signals[runs % len(signals)])
                done += len(codes) - 1
                runs += 1
                same += equal(out)
                torn += len(torn_files(out))
            print(f"{done} {kind} in {runs} runs: {same} runs with the same weights, bit for bit; {torn} torn files")

        out = folder / "full"
        process = os.fork()
        if process == 0:
            try:
                live(out, 0, signal.SIGKILL, most_bytes=20_000)  # larger than the plan, smaller than the state
            except OSError as error:
                print(f"full disk: {error}")
            finally:
                os._exit(0)
        os.waitpid(process, 0)
        torn = len(torn_files(out))
        run(out, [], signal.SIGKILL)
        print(f"full disk, then resumed: {'the same weights' if equal(out) else 'OTHER WEIGHTS'}; {torn} torn files")

        results = []
        for name, fatal in (("two", [0]), ("two-stopped", [3, 0])):
            for step in fatal:
                command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", __file__]
                environment = os.environ | {"LIFE": f"{folder / name},{step}"}
                subprocess.run(command, env=environment, check=False, capture_output=True)
            results.append(torch.load(folder / f"{name}.pth", weights_only=True))
        same = all(torch.equal(value, results[1][key]) for key, value in results[0].items())
        print(f"two processes, stopped once and resumed: {'the same weights' if same else 'OTHER WEIGHTS'}")


if __name__ == "__main__":
    if "LIFE" in os.environ:
        path, step = os.environ["LIFE"].split(",")
        live(Path(path), int(step), signal.SIGTERM)
    else:
        main()
