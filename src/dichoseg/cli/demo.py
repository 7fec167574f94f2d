"""`dichoseg demo`."""

from __future__ import annotations

from pathlib import Path

from .options import Flag


def demo(*, out: Path = Path("demo"), epochs: int = 5, seed: int = 0, quiet: Flag = False) -> None:
    """Train a small IS-Net on synthetic scenes, in about two minutes on two cores, and show that it has learned.

    Args:
        out: New folder for the run, the scores and the contact sheet.
        epochs: Number of passes over the scenes.
        seed: Seed of weights, scenes and training.
        quiet: Show no messages except errors; the requested output is still printed.
    """
    from ..demo import run_demo

    scores = run_demo(out, epochs=epochs, seed=seed, progress=not quiet)
    print(f"{'held-out scenes':16}{'max_f':>8}{'mae':>8}")
    for name, row in scores.items():
        print(f"{name:16}{row['max_f']:8.3f}{row['mae']:8.3f}")
    print(f"contact sheet: {out / 'contact_sheet.png'}")
