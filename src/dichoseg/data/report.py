"""What a look at every file of a data set has found."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]
Size: TypeAlias = tuple[int, int]
"""Width and height."""

KINDS: dict[str, tuple[Severity, str]] = {
    "image without mask": ("error", "add the mask, or leave the image out with strict=False"),
    "mask without image": ("error", "add the image, or leave the mask out with strict=False"),
    "two files for one key": ("error", "delete one, or leave both out with strict=False"),
    "unreadable file": ("error", "replace it, or leave it out with without(report.unusable)"),
    "size mismatch": ("error", "resize_masks=True resizes such masks"),
    "turned mask": ("error", "turn it as its image; perhaps only one of them has an EXIF orientation"),
    "label ids": ("error", "foreground= says which ids are foreground"),
    "coloured mask": ("error", "foreground= needs masks of one label id a pixel"),
    "no alpha channel": ("error", "give a folder of masks, or leave it out with without(report.unusable)"),
    "resized mask": ("warning", "its edges are less exact than those of a mask of the image's size"),
    "stretched mask": ("warning", "look whether it belongs to its image, and is turned the same way"),
    "empty mask": ("warning", "nothing is foreground; metrics count such a picture as 0"),
    "faint mask": ("warning", "foreground should be white; metrics see only what is above one half"),
    "full mask": ("warning", "all of the picture is foreground"),
    "soft mask": ("warning", "look whether it is a mask; metrics cut it at one half"),
    "probably inverted mask": ("warning", "white should be foreground; look at it, and invert it if it is not"),
    "flat background": ("warning", "a network would learn that colour; paste the cut-outs onto backgrounds"),
    "same image twice": ("warning", "delete one, and see whether the masks agree"),
    "ignored file": ("warning", "convert what should be an image, such as HEIC or raw files, or rename it"),
    "in both sets": ("warning", "scores on images that were trained on are too good; delete one"),
}
"""Kind of problem -> its severity and what to do."""

LEFT_OUT = ("image without mask", "mask without image", "two files for one key")


class Problem(NamedTuple):
    """One thing that is wrong with one sample of a data set."""

    kind: str
    """Such as `"size mismatch"`; `DataReport` lists them."""
    severity: Severity
    """`"error"`: the sample cannot be used."""
    name: str
    """The sample's name: its path relative to the folder, without extension."""
    message: str
    """One sentence that names the file or files."""


def problem_of(kind: str, name: str, message: str) -> Problem:
    """A problem of the severity that its kind has."""
    return Problem(kind, KINDS[kind][0], name, message)


@dataclass(frozen=True)
class DataReport:
    """What `FolderDataset.report` found. `print(report)` shows it.

    Errors, after which a sample cannot be used: `image without mask`, `mask without image`, `two files for one key`
    (these three only with `strict=False`), `unreadable file`, `size mismatch`, `turned mask`, `label ids`,
    `coloured mask`, and for cut-outs `no alpha channel`. Warnings:

    - `resized mask`: of another size than its image; in place of `size mismatch` with `resize_masks=True`. Where
      width over height differs by more than 3 %, `stretched mask`.
    - `empty mask`, `full mask`: nothing, or everything, is foreground.
    - `faint mask`: its largest value is 0.6 of white or less, so that metrics, which cut at one half, see little of
      it or nothing.
    - `soft mask`: squares of 8x8 pixels in which every pixel lies between 0.1 and 0.9 cover more than a tenth of
      the object (what is above 0.1). Antialiased edges, also those of a mask enlarged four times or blurred with a
      sigma of 2 pixels, are too narrow for that.
    - `probably inverted mask`: more than half of the picture's border is foreground, and a smaller share of its
      middle (the inner third of the width and height). Of 1090 masks of photographs none is like that; of their
      inversions 98 % are.
    - `ignored file`: a file in one of the folders that no reader is known for, or whose name lacks the masks'
      `mask_suffix`; hidden files are not listed.
    - `flat background`: all fully transparent pixels of a cut-out have one colour.
    - `same image twice`, `in both sets`: the decoded pixels are equal. Names and metadata do not matter; a copy
      that was encoded anew or resized is not found.
    """

    pairs: int
    """Pairs in the data set, the unusable among them."""
    problems: tuple[Problem, ...]
    """Sorted by severity, kind and name."""
    sizes: tuple[Size, Size] | None
    """(width, height) of the smallest and of the largest image by area; None where no image can be read."""
    foreground: tuple[float, float, float] | None
    """Least, median and largest share of a picture that is foreground; None where no mask can be read."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems after which a sample cannot be used."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems to look at."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    @property
    def unusable(self) -> frozenset[str]:
        """Names of the pairs that cannot be used, for `FolderDataset.without`."""
        return frozenset(problem.name for problem in self.errors if problem.kind not in LEFT_OUT)

    def text(self, *, limit: int | None = 5) -> str:
        """The report for a terminal: a line of numbers, then the problems by kind, at most `limit` of each."""
        lines = [self._summary()]
        for kind, group in itertools.groupby(self.problems, key=lambda problem: problem.kind):
            severity, advice = KINDS[kind]
            messages = [problem.message for problem in group]
            lines.append(f"{severity}: {kind} ({len(messages)}): {advice}")
            lines += [f"  {message}" for message in messages[:limit]]
            if limit is not None and len(messages) > limit:
                lines.append(f"  ... and {len(messages) - limit} more")
        return "\n".join(lines if self.problems else [*lines, "no problems found"])

    def __str__(self) -> str:
        return self.text()

    def _summary(self) -> str:
        parts = [f"{self.pairs} pair{'s' if self.pairs > 1 else ''}"]
        if self.sizes is not None:
            smallest, largest = (f"{width}x{height}" for width, height in self.sizes)
            parts.append(f"images {smallest}{f' to {largest}' if largest != smallest else ''} pixels")
        if self.foreground is not None:
            least, median, most = (f"{100 * share:.{int(share < 0.1)}f} %" for share in self.foreground)
            parts.append(f"foreground {least} to {most} of the picture, median {median}")
        return ", ".join(parts)
