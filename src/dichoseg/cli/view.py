"""`dichoseg view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro


def view(
    runs: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [OTHER]", help_behavior_hint="(required)")
    ],
    *,
    host: str = "127.0.0.1",
    port: int = 8001,
) -> None:
    """Show training runs in a browser: scores, curves, contact sheets by epoch, and the worst images.

    The page reads the folders of the runs again every few seconds, so it shows a run that is in training, too.

    Args:
        runs: Folder of a run of `dichoseg train`, or of two to compare.
        host: Address to listen on. Everyone who can reach it sees the pictures.
        port: Port to listen on; 0 is any free one.
    """
    from ..service.server import address_of, listen, run
    from ..service.view import create_view

    app = create_view(runs)
    with listen(host, port) as listener:
        print(f"showing {' and '.join(map(str, runs))} on {address_of(listener)}", flush=True)
        run(app, listener)
