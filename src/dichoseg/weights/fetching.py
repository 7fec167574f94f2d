"""Fetch published weights: from this machine, a mirror, or their addresses. Importable without torch."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..records import HUB_ADDRESS, Weights
from ..runtime.locks import one_at_a_time
from .cache import cached, mark, mismatch, own_path, part_of, remove_file
from .download import Refused, check_space, download

logger = logging.getLogger(__name__)

_TRUE = ("1", "true", "yes", "on")


def fetch(record: Weights, *, accept_license: bool = False, quiet: bool = False, timeout: float = 30.0) -> Path:
    """Return the path of a record's file, which is downloaded and verified if it is not on this machine.

    A file on this machine is used without a request, a lock or a write. Environment variables: `DICHOSEG_HOME`, folder
    of the downloads; `DICHOSEG_MIRROR`, web server that has each file at `CHECKSUM/FILE`; `DICHOSEG_OFFLINE=1` or
    `HF_HUB_OFFLINE=1`, no downloads.

    Args:
        record: The record, such as `resolve("u2net")`.
        accept_license: Accept a license for non-commercial use; remembered for the file.
        quiet: Whether to show neither the license nor the progress, on stderr.
        timeout: Longest time without data, in seconds.

    Raises:
        FileNotFoundError: The file is not on this machine, and downloads are off or the record has no address.
        ConnectionError: No address provides the file; the message lists what happened at each.
        ValueError: The license must be accepted first, or another file is in its place.
        OSError: The file cannot be written.
    """
    found = cached(record)
    if found is not None:
        return found
    _require_license(record, accept_license)
    addresses = addresses_of(record)
    if is_offline() or not addresses:
        reason = "downloads are off (DICHOSEG_OFFLINE or HF_HUB_OFFLINE)" if addresses else "no address has it"
        raise FileNotFoundError(f"{record.name} is not on this machine, and {reason}; {_by_hand(record)}")
    show_bar = not quiet and sys.stderr.isatty() and os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS", "") not in _TRUE
    size = "" if record.megabytes == "?" else f" ({record.megabytes} MB)"
    failures = []
    for address in addresses:
        if not quiet:
            print(f"downloading {record.name}{size} from {address}; {record.terms}", file=sys.stderr)
        get = _from_hub if HUB_ADDRESS.fullmatch(address) else _from_web
        try:
            path = get(record, address, timeout=timeout, show_bar=show_bar)
        except Refused as failure:
            failures.append(f"\n  {address}: {failure}")
        except KeyboardInterrupt:
            print("stopped; the part that has come is kept, and the next download continues it", file=sys.stderr)
            raise
        else:
            if not quiet:
                print(f"{record.name} is in {path}", file=sys.stderr)
            return path
    raise ConnectionError(f"{record.name} cannot be downloaded:{''.join(failures)}\n{_by_hand(record)}")


def addresses_of(record: Weights) -> list[str]:
    """Return the addresses to try: the mirror only, if there is one."""
    mirror = os.environ.get("DICHOSEG_MIRROR")
    if mirror and not mirror.startswith(("https://", "http://")):
        raise ValueError(f"DICHOSEG_MIRROR must be an address such as https://host/path; got {mirror!r}")
    return [f"{mirror.rstrip('/')}/{record.checksum[1]}/{record.file}"] if mirror else [*record.addresses]


def is_offline() -> bool:
    """Return whether the environment forbids downloads."""
    return any(os.environ.get(name, "").lower() in _TRUE for name in ("DICHOSEG_OFFLINE", "HF_HUB_OFFLINE"))


def _require_license(record: Weights, accept: bool) -> None:
    """Raise a ValueError unless the license allows commercial use, or was accepted now or before."""
    note = own_path(record).with_name("license-accepted")
    if record.commercial != "no" or note.exists():
        return
    if not accept:
        how = f"accept_license=True in load_model or fetch, or `dichoseg download {record.name} --accept-license`"
        raise ValueError(f"the license of {record.name} must be accepted once, by {how}: {record.terms}")
    _make_folder(note.parent)
    note.write_text(f"{record.name}: {record.terms}\n")


def _by_hand(record: Weights) -> str:
    algorithm, digits = record.checksum
    elsewhere = f"run `dichoseg download {record.name} --to .` elsewhere, and " if record.addresses else ""
    return (
        f"{elsewhere}copy {record.file} ({algorithm} {digits}) to {own_path(record).parent}, "
        "or set DICHOSEG_MIRROR to a web server that has it"
    )


def _from_web(record: Weights, address: str, *, timeout: float, show_bar: bool) -> Path:
    """Download a file into dichoseg's cache."""
    path = own_path(record)
    _make_folder(path.parent)
    with one_at_a_time(path, work="downloads") as is_alone:
        found = cached(record)  # another process may have fetched it meanwhile
        if found is not None:
            return found
        part = part_of(path) if is_alone else path.with_name(f"{path.name}.{os.getpid()}.part")
        for attempt in range(2):
            try:
                download(address, part, size=record.bytes, timeout=timeout, show_bar=show_bar)
            except OSError as error:
                part.unlink(missing_ok=True)  # the disk is full, most likely
                raise OSError(f"{record.name} cannot be written to {path.parent}: {error.strerror}") from error
            fault = mismatch(record, part)
            if fault is None:
                part.replace(path)
                mark(record, path)
                return path
            part.unlink()
            if attempt:
                raise Refused(f"{fault}; the file there may have changed")
    raise AssertionError("unreachable")


def _from_hub(record: Weights, address: str, *, timeout: float, show_bar: bool) -> Path:
    """Download a file into the cache of the Hugging Face hub, by the hub's own client, which compares only sizes."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import GatedRepoError

    at = HUB_ADDRESS.fullmatch(address)
    assert at is not None
    folder = Path(constants.HF_HUB_CACHE)
    fault = None
    for force in (False, True):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            check_space(folder, record.bytes or record.approximate_bytes or 0)
            with _hub_bars(show_bar):
                path = Path(
                    hf_hub_download(
                        at["repo"], at["file"], revision=at["revision"], force_download=force, etag_timeout=timeout
                    )
                )
        except GatedRepoError as error:
            page = f"https://huggingface.co/{at['repo']}"
            raise Refused(f"accept its terms at {page} and log in (`hf auth login`, or HF_TOKEN)") from error
        except Exception as error:  # the client may fail in many ways, and the next address may work
            reason = str(error.__cause__ or error).strip() or type(error).__name__
            raise Refused(reason.splitlines()[0]) from error
        fault = mismatch(record, path)
        if fault is None:
            mark(record, path)
            return path
    remove_file(path)
    raise Refused(f"{fault}; the file there may have changed")


def _make_folder(folder: Path) -> None:
    """Make a folder of the cache."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        fault = f"downloads cannot be written to {folder} ({error.strerror})"
        raise PermissionError(f"{fault}: set DICHOSEG_HOME to a folder that can be written") from error


@contextmanager
def _hub_bars(show: bool) -> Iterator[None]:
    """Show or hide the progress bars of the hub's client."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    hide = not show and not are_progress_bars_disabled()
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            enable_progress_bars()
