"""`dichoseg serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from ..weights.catalogue import DEFAULT
from .options import Device, FloatPrecision, Fraction, Number, OptionalPath, tell

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    *,
    models: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[MODEL ...]", help_behavior_hint="")] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: OptionalPath = None,
    device: Device = None,
    precision: FloatPrecision = "auto",
    threads: Number = None,
    memory: Fraction = None,
    queue: int = 16,
    timeout: float = 60,
    max_bytes: int = 32_000_000,
    max_pixels: int = 50_000_000,
    max_size: int = 2048,
) -> None:
    """Serve a page to try models on, and masks and cut-outs over HTTP, until Ctrl-C or SIGTERM.

    Open the printed address in a browser for the page.
    `curl -F image=@photo.jpg 'http://127.0.0.1:8000/predict?kind=cutout' -o cut.png` asks for a cut-out.

    Args:
        models: Models that clients may ask for, as in `dichoseg predict`; the first is the default. One on this machine
            has the name of its folder or file. Default: isnet-general-use.
        host: Address to listen on; 0.0.0.0 is all of the machine's.
        port: Port to listen on; 0 is any free one.
        token_file: File whose text is the bearer token that requests must carry. Default: no token.
        device: Device, such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.
        precision: Precision, as in `dichoseg predict`, except int8.
        threads: Number of threads of the network on a CPU. Default: torch's.
        memory: Memory for models in GB, beyond which the least recently used is dropped. Default: half of the
            machine's, or of the container's.
        queue: Number of requests that may wait; beyond it, the answer is 429.
        timeout: Seconds for an upload, and then again for the wait and the work.
        max_bytes: Largest upload in bytes.
        max_pixels: Largest number of pixels of a photograph, 16 bytes of memory each.
        max_size: Largest side of the network's input that a request may ask for, in pixels.
    """
    import torch

    from ..data.formats import pixel_limit
    from ..runtime.device import choose_device
    from ..runtime.memory import keep_memory
    from ..runtime.threads import torch_threads
    from ..service import Limits, create_app
    from ..service.server import address_of, listen, run

    limits = Limits(
        memory=memory,
        queue=queue,
        timeout=timeout,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
        max_size=max_size,
    )
    token = None if token_file is None else _token(token_file)
    named = _named(models or (DEFAULT,))
    keep_memory()
    with listen(host, port) as listener, torch_threads(threads), pixel_limit(max_pixels):
        target = choose_device(device, torch.device("cpu"))
        app = create_app(named, limits=limits, token=token, device=str(target), precision=precision, load=False)
        if token is None and host not in LOOPBACK:
            tell(f"warning: without --token-file, everyone who can reach {host} can use this service")
        address = address_of(listener)
        tell(f"loading {', '.join(named)}; {address} shows how far it is")

        def load() -> None:
            app.state.load()
            print(f"serving {', '.join(named)} on {address}", flush=True)

        run(app, listener, prepare=load)


def _named(models: tuple[str, ...]) -> dict[str, str]:
    """Return name for clients -> model; a path of this machine stays hidden from them."""
    names: dict[str, str] = {}
    for model in models:
        path = Path(model)
        name = path.resolve().name if path.is_dir() else path.stem if path.exists() else model
        if name in names:
            raise ValueError(f"{names[name]} and {model} would both be called {name}; rename one of them")
        names[name] = model
    return names


def _token(path: Path) -> str:
    token = path.read_text().strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"{path} must hold one token, of letters, digits and signs without spaces")
    return token
