"""Load of `dichoseg serve`: throughput against a plain loop over a Predictor, times of answers, and memory.

    python benchmarks/serving.py [MODEL] [--clients 32] [--seconds 60] [--side 400] [--size 320] [--queue 64] [--plot P]

MODEL is what `load_model` takes; without it, U²-Net-p with random weights. The plain loop decodes and predicts the same
photograph, a JPEG file, in this process before and after the server runs, with as many threads. Clients ask for masks,
and repeat after an answer of 429. They run on the same processor cores, whose time in each part is printed. Memory is
the resident set of the server; one value a second is kept, and `--plot` draws it. Other answers than 200 and 429 are
errors.
"""

import argparse
import asyncio
import collections
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image

import dichoseg
from dichoseg.runtime.memory import keep_memory

PLAIN_SECONDS = 20.0
"""Duration of each plain loop."""

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", nargs="?")
parser.add_argument("--clients", type=int, default=32)
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--side", type=int, default=400, help="side of the photograph")
parser.add_argument("--size", type=int, default=320, help="side of the network's input")
parser.add_argument("--queue", type=int, default=64)
parser.add_argument("--plot", type=Path)
parser.add_argument("--threads", type=int, default=torch.get_num_threads())
options = parser.parse_args()
torch.set_num_threads(options.threads)
keep_memory()  # as the service does

scene = dichoseg.SyntheticDataset(1, size=options.side)[0]
buffer = io.BytesIO()
Image.fromarray((scene.image.permute(1, 2, 0) * 255).byte().numpy()).save(buffer, "JPEG")
photograph = buffer.getvalue()


def model_path() -> str:
    """Return the model, which is saved if it is random."""
    if options.model is not None:
        return str(options.model)
    folder = tempfile.mkdtemp()
    dichoseg.save_model(dichoseg.create_model("u2netp"), folder)
    return folder


def plain_rate(path: str, seconds: float) -> tuple[float, float]:
    """Return photographs per second of a plain loop, and the seconds of processor time for one."""
    predictor = dichoseg.Predictor(dichoseg.load_model(path), size=options.size)
    predictor(photograph)
    count, start, busy = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        predictor(photograph)
        count += 1
    return count / (time.perf_counter() - start), (time.process_time() - busy) / count


def busy_seconds(pid: int) -> float:
    """Return the processor time that a process has taken."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def ask(port: int, kind: str = "mask") -> tuple[int, float]:
    """Ask for a result on a new connection; return status and seconds."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /predict?size={options.size}&kind={kind} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(photograph)}\r\n\r\n".encode() + photograph)
    answer = await reader.read()
    writer.close()
    return int(answer.split(maxsplit=2)[1]), time.perf_counter() - start


async def load(port: int, pid: int) -> tuple[list[tuple[int, float]], list[float], float]:
    """Let all clients ask until the time is over.

    Returns:
        Their answers; the server's memory in GB each second; the seconds until the last answer.
    """
    start = time.perf_counter()
    end = start + options.seconds
    answers: list[tuple[int, float]] = []
    memory: list[float] = []

    async def client() -> None:
        while time.perf_counter() < end:
            answers.append(await ask(port))
            if answers[-1][0] != 200:
                await asyncio.sleep(0.1)

    async def watch() -> None:
        while time.perf_counter() < end:
            memory.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e9)
            await asyncio.sleep(1)

    await asyncio.gather(watch(), *(client() for _ in range(options.clients)))
    return answers, memory, time.perf_counter() - start


path = model_path()
before, loop_busy = plain_rate(path, PLAIN_SECONDS)
command = [sys.executable, "-m", "dichoseg", "serve", "--quiet", "--port", "0", "--models", path]
command += ["--queue", str(options.queue), "--threads", str(options.threads)]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    assert server.stdout is not None
    port = int(server.stdout.readline().rpartition(":")[2])
    try:
        asyncio.run(ask(port, "cutout"))  # which waits until its libraries are compiled
        server_busy, clients_busy = busy_seconds(server.pid), time.process_time()
        answers, memory, duration = asyncio.run(load(port, server.pid))
        server_busy, clients_busy = busy_seconds(server.pid) - server_busy, time.process_time() - clients_busy
    finally:
        server.terminate()
after, _ = plain_rate(path, PLAIN_SECONDS)

seconds = sorted(each for status, each in answers if status == 200)
plain, rate = (before + after) / 2, len(seconds) / duration
print(f"plain loop {before:.2f} and {after:.2f} images/s; service {rate:.2f} images/s, {rate / plain:.2f} of it")
busy = [1000 * each for each in (loop_busy, server_busy / len(seconds), clients_busy / len(seconds))]
print("processor time for one: {:.0f} ms in the plain loop, {:.0f} in the service, {:.0f} in the clients".format(*busy))
print(f"answers by status: {dict(collections.Counter(status for status, _ in answers))}")
print(f"seconds: p50 {statistics.median(seconds):.2f}, p99 {seconds[int(0.99 * len(seconds))]:.2f}")
quarters = [memory[int(part * (len(memory) - 1))] for part in (0, 0.25, 0.5, 0.75, 1)]
print(
    f"memory at each quarter of the time: {', '.join(f'{each:.2f}' for each in quarters)} GB; {max(memory):.2f} at most"
)
if len(memory) > 60:
    print(f"memory after the first minute: {min(memory[60:]):.3f} to {max(memory[60:]):.3f} GB")
if options.plot is not None:
    figure = Figure(figsize=(8, 3), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.plot(memory)
    axes.set(xlabel="seconds", ylabel="resident memory of the server, GB", ylim=(0, 1.2 * max(memory)))
    axes.grid(alpha=0.3)
    figure.savefig(options.plot)
unexpected = {status for status, _ in answers} - {200, 429}
if unexpected:
    sys.exit(f"answers other than 200 and 429: {sorted(unexpected)}")
