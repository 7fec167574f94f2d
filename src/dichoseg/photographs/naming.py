"""Names of results: in a folder, in one file, on standard output, or next to the photographs."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as PillowImage

from .animation import animation_kind
from .rendering import Format, Rendering

STREAM = Path("-")
"""Standard input as a photograph, standard output as a result."""
ENDINGS: dict[str, Format] = {
    ".png": "png", ".webp": "webp", ".jpg": "jpg", ".jpeg": "jpg", ".avif": "avif", ".gif": "gif",
}  # fmt: skip


def is_one_file(out: Path | None) -> bool:
    """Return whether `out` names the file of one result, and not a folder."""
    return out == STREAM or (out is not None and out.suffix.lower() in ENDINGS and not out.is_dir())


def chosen_format(out: Path | None, format: Format | None) -> Format:
    """Return the format of the results: the given one, else that of the file that `out` names, else PNG."""
    format = ENDINGS.get(f".{format}", format)  # jpeg is jpg
    if out is None or out == STREAM or out.is_dir():
        return format or "png"
    suffix = out.suffix.lower()
    if suffix not in ENDINGS:
        if suffix in PillowImage.registered_extensions():
            raise ValueError(f"out must end in {', '.join(ENDINGS)}, or be a folder; got {out}")
        return format or "png"
    if format not in (None, ENDINGS[suffix]):
        raise ValueError(f"format={format!r} is not that of out, {out}; leave one of them out")
    return ENDINGS[suffix]


def result_path(
    photograph: Path,
    name: Path,
    out: Path | None,
    rendering: Rendering,
    *,
    kind: str | None = None,
    keep_ending: bool = False,
) -> Path:
    """Return the path of a photograph's result.

    Args:
        photograph: Path of the photograph.
        name: The photograph's path relative to the folder in which it was found.
        out: Folder or file of the results; None is next to the photograph.
        rendering: Options for the results.
        kind: `"mask"` or `"cutout"`. Default: that of `rendering`.
        keep_ending: Whether the result's name contains the photograph's ending, as in `photo.jpg.png`.
    """
    if out is not None and is_one_file(out):
        return out
    stem = photograph.name if keep_ending else photograph.stem
    ending = (animation_kind(photograph) if rendering.keep_kind else None) or rendering.format
    marked = f"{stem}.{kind or next(iter(rendering.kinds))}.{ending}"
    if out is None:
        return photograph.with_name(marked)
    return out / name.with_name(marked if rendering.both else f"{stem}.{ending}")
