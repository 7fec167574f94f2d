"""`dichoseg download`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from .options import Flag, OptionalPath


def download(
    names: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME...", help_behavior_hint="(required)")
    ],
    *,
    to: OptionalPath = None,
    verify: Flag = False,
    print_only: Annotated[Flag, tyro.conf.arg(name="print", help_behavior_hint="")] = False,
    remove: Flag = False,
    accept_license: Flag = False,
    quiet: Flag = False,
) -> None:
    """Download published weights, verify them, and print their paths.

    Args:
        names: Names from `dichoseg list weights`.
        to: Folder to copy the files to.
        verify: Verify the checksum of existing files too.
        print_only: Print the addresses, checksums and local paths, and download nothing.
        remove: Remove the files from this machine.
        accept_license: Accept licenses for non-commercial use.
        quiet: Show no messages except errors; the requested output is still printed.
    """
    from ..weights import fetch, resolve
    from ..weights.cache import cached
    from ..weights.cache import remove as remove_files
    from .weights_table import by_hand

    if not names:
        raise ValueError("wanted a name or several from `dichoseg list weights`")
    if print_only and remove:
        raise ValueError("--print and --remove are two commands; got both")
    for record in [resolve(name) for name in names]:
        if print_only:
            print(by_hand(record))
        elif remove:
            removed = remove_files(record)
            print("\n".join(f"removed {path}" for path in removed) or f"{record.name} is not on this machine")
        else:
            try:
                path = (cached(record, verify=True) if verify else None) or fetch(
                    record, accept_license=accept_license, quiet=quiet
                )
            except KeyboardInterrupt:
                raise SystemExit(130) from None
            print(path if to is None else copy(path, to / record.file))


def copy(source: Path, target: Path) -> Path:
    """Copy a file, completely or not at all, and return its new path; another file of that name is an error."""
    import filecmp
    import shutil

    if target.exists():
        if not filecmp.cmp(source, target, shallow=False):
            raise FileExistsError(f"{target} is another file, which is left as it is; wanted another folder")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target
