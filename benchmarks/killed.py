"""Check that a run that is killed and resumed several times ends with the weights of an uninterrupted one.

    python benchmarks/killed.py DATA [--kills 5] [--workers 1] [-- --model u2netp --size 64 --epochs 6 ...]

Both are `dichoseg train` on the same data. One is killed by SIGKILL at random moments, `--kills` times, and continued
with `--resume`. All bytes of the last weights are compared.
"""

import argparse
import csv
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("data", type=Path)
parser.add_argument("--kills", type=int, default=5)
parser.add_argument("--workers", type=int, default=1)
parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
parser.add_argument("train", nargs="*", default=["--model", "u2netp", "--size", "64", "--epochs", "6"])
options = parser.parse_args()
command = [sys.executable, "-m", "dichoseg", "train"]
settings = ["--no-check", "--device", "cpu", "--workers", str(options.workers), *options.train]


def digest(run: Path) -> str:
    """Return the checksum of the last weights."""
    return hashlib.sha256((run / "last" / "model.safetensors").read_bytes()).hexdigest()


def epochs_done(run: Path) -> int:
    """Return the number of epochs in the history of a run."""
    history = run / "history.csv"
    return len(list(csv.DictReader(history.open()))) if history.exists() else 0


with tempfile.TemporaryDirectory() as folder:
    alone, killed = Path(folder, "alone"), Path(folder, "killed")
    started = time.monotonic()
    subprocess.run([*command, options.data, "--out", alone, *settings], check=True, capture_output=True)
    seconds = time.monotonic() - started
    print(f"uninterrupted: {epochs_done(alone)} epochs in {seconds:.0f} s, weights {digest(alone)[:16]}")
    moments = random.Random(options.seed)
    start = [*command, options.data, "--out", killed, *settings]
    for number in range(1, options.kills + 1):
        wait = moments.uniform(0.1, 0.3) * seconds
        process = subprocess.Popen(
            start if number == 1 else [*command, "--resume", killed], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            print(f"killed after {wait:.0f} s, {epochs_done(killed)} epochs done")
        else:
            print(f"over before its kill {number}")
    subprocess.run([*command, "--resume", killed], check=True, capture_output=True)
    print(f"killed and resumed: {epochs_done(killed)} epochs, weights {digest(killed)[:16]}")
    same = digest(alone) == digest(killed)
    print("the same weights, bit for bit" if same else "OTHER WEIGHTS")
sys.exit(not same)
