"""Hostile clients of `dichoseg serve`: mutated images, bombs, slow and killed uploads. It must answer as documented.

    python benchmarks/hostile_clients.py [--images 1000] [--killed 50] [--slow 8] [--bombs 10] [--seed 0]

The server runs a tiny network, in a process of its own, with the default limits except for 5 s for an upload. Clients
are processes of their own where they are killed with `kill -9`. Memory is the server's resident set: after the work it
must be near what it was after the first images. Any other status than a documented one, a dead server, or memory that
does not come back ends with an error.
"""

import argparse
import asyncio
import collections
import io
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from PIL import Image

import dichoseg

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--images", type=int, default=1000)
parser.add_argument("--killed", type=int, default=50)
parser.add_argument("--slow", type=int, default=8)
parser.add_argument("--bombs", type=int, default=10)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()

DOCUMENTED = {200, 400, 408, 413, 415, 429, 503}
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "PPM", "TGA", "JPEG2000", "ICO")
GROWTH = 0.15
"""Largest growth of memory from the first images to the end, in GB."""
UPLOAD = """
import socket, sys, time
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"POST /predict HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 30000000\\r\\n\\r\\n" + bytes(10_000_000))
print("sent", flush=True)
time.sleep(600)
"""


def mutated(random: random.Random, files: list[bytes]) -> bytes:
    """Return a file with changed, removed, repeated or inserted bytes."""
    content = bytearray(random.choice(files))
    for _ in range(random.choice((1, 1, 2, 5, 20))):
        if len(content) < 30:
            break
        start = random.randrange(len(content)) if random.random() < 0.5 else random.randrange(min(200, len(content)))
        end = start + random.choice((1, 2, 4, 30))
        kind = random.randrange(5)
        if kind == 0:
            content[start:end] = random.randbytes(end - start)
        elif kind == 1:
            del content[start:end]
        elif kind == 2:
            content[start:start] = content[start:end]
        elif kind == 3:
            content[start:end] = random.choice((b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"))
        else:
            del content[max(start, 20) :]
    return bytes(content)


def bomb() -> bytes:
    """Return a PNG file of 100 megapixels in about 100 kB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(10_001 * 10_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def ask(content: bytes, *, seconds_per_byte: float = 0.0) -> int:
    """Upload a file on a new connection, slowly if asked; return the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    )
    if not seconds_per_byte:
        writer.write(content)
        answer = await reader.read()
    else:
        reading = asyncio.ensure_future(reader.read())
        for index in range(len(content)):
            if reading.done():
                break
            writer.write(content[index : index + 1])
            await asyncio.sleep(seconds_per_byte)
        answer = await reading
    writer.close()
    return int(answer.split(maxsplit=2)[1])


async def several(
    contents: list[bytes], *, at_once: int = 4, seconds_per_byte: float = 0.0
) -> collections.Counter[int]:
    """Upload files, some at once; count the statuses."""
    places = asyncio.Semaphore(at_once)

    async def one(content: bytes) -> int:
        async with places:
            return await ask(content, seconds_per_byte=seconds_per_byte)

    return collections.Counter(await asyncio.gather(*map(one, contents)))


def memory() -> float:
    """Return the server's resident memory in GB."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * 4096 / 1e9


def report(name: str, statuses: collections.Counter[int], start: float) -> None:
    """Print a line; end with an error if a status is not documented or the server is dead."""
    print(
        f"{name}: {dict(sorted(statuses.items()))}, {time.monotonic() - start:.0f} s, memory {memory():.2f} GB",
        flush=True,
    )
    assert set(statuses) <= DOCUMENTED, statuses
    assert server.poll() is None
    assert asyncio.run(ask(photographs[0])) == 200


folder = Path(tempfile.mkdtemp())
small = {"channels": [8, 16], "mid_channels": [4, 8], "strides": [2, 4], "stem_channels": 8}
dichoseg.save_model(dichoseg.create_model("isnet", encoder_args=small, size=64), folder / "tiny")
scene = dichoseg.SyntheticDataset(1, size=96)[0].image
photographs = []
for kind in FORMATS:
    buffer = io.BytesIO()
    Image.fromarray((scene.permute(1, 2, 0) * 255).byte().numpy()).save(buffer, kind)
    photographs.append(buffer.getvalue())

command = [sys.executable, "-m", "dichoseg", "serve", "--quiet", "--port", "0", "--models", str(folder / "tiny")]
with subprocess.Popen([*command, "--timeout", "5", "--threads", "1"], stdout=subprocess.PIPE, text=True) as server:
    assert server.stdout is not None
    port = int(server.stdout.readline().rpartition(":")[2])
    try:
        generator = random.Random(options.seed)
        files = [mutated(generator, photographs) for _ in range(options.images)]
        start = time.monotonic()
        report("first images", asyncio.run(several(files[:50])), start)
        before = memory()
        start = time.monotonic()
        report(f"{len(files)} mutated images", asyncio.run(several(files)), start)
        start = time.monotonic()
        report(f"{options.bombs} bombs of 100 megapixels", asyncio.run(several([bomb()] * options.bombs)), start)
        start = time.monotonic()
        slow = several([photographs[0]] * options.slow, at_once=options.slow, seconds_per_byte=1.0)
        report(f"{options.slow} clients that send one byte a second", asyncio.run(slow), start)

        start = time.monotonic()
        for first in range(0, options.killed, 5):
            clients = [
                subprocess.Popen([sys.executable, "-c", UPLOAD, str(port)], stdout=subprocess.PIPE)
                for _ in range(first, min(first + 5, options.killed))
            ]
            for client in clients:
                assert client.stdout is not None
                client.stdout.readline()
                client.send_signal(signal.SIGKILL)
                client.wait()
        report(f"{options.killed} clients killed in mid-upload", collections.Counter(), start)
        time.sleep(6)  # the time of uploads
        after = memory()
        print(f"memory after the first images {before:.2f} GB, at the end {after:.2f} GB")
        assert after < before + GROWTH, "memory does not come back"
    finally:
        server.terminate()
