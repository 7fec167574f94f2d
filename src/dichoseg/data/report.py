"""Report of the problems in a data set's files."""

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
    "label ids": ("error", "foreground= says which ids or colors are foreground, ignore= which count nowhere"),
    "colored mask": ("error", "foreground= takes colors too, such as red or #ff0000"),
    "no alpha channel": ("error", "give a folder of masks, or leave it out with without(report.unusable)"),
    "resized mask": ("warning", "its edges are less exact than those of a mask of the image's size"),
    "stretched mask": ("warning", "check that it belongs to its image, and is turned the same way"),
    "empty mask": ("warning", "nothing is foreground; metrics count such an image as 0"),
    "faint mask": ("warning", "foreground should be white; metrics threshold masks at one half"),
    "full mask": ("warning", "the whole image is foreground, or nearly"),
    "trimap": (
        "warning",
        "ignore=128 leaves its gray out of training and scores, and in a JPEG, where it varies, ignore='#808080' does",
    ),
    "soft mask": ("warning", "check that it is a mask; metrics threshold it at one half"),
    "probably inverted mask": ("warning", "white should be foreground; invert the mask if it is not"),
    "flat background": ("warning", "a network would learn that color; paste the cut-outs onto backgrounds"),
    "same image twice": ("warning", "delete one, and check that the masks agree"),
    "ignored file": ("warning", "convert images such as HEIC or raw files; rename masks"),
    "in both sets": ("warning", "scores on images of the training set are too good; delete one"),
}
"""Kind of problem -> its severity and what to do."""

LEFT_OUT = ("image without mask", "mask without image", "two files for one key")


class Problem(NamedTuple):
    """Problem of one sample of a data set."""

    kind: str
    """Kind, such as `"size mismatch"`; `DataReport` lists all."""
    severity: Severity
    """`"error"` if the sample cannot be used."""
    name: str
    """Name of the sample: its path relative to the folder, without extension."""
    message: str
    """Sentence that names the file or files."""


def problem_of(kind: str, name: str, message: str) -> Problem:
    """Return a problem with the severity of its kind."""
    return Problem(kind, KINDS[kind][0], name, message)


@dataclass(frozen=True)
class DataReport:
    """Result of `FolderDataset.report`. `print(report)` shows it.

    Errors, which make a sample unusable: `image without mask`, `mask without image`, `two files for one key` (these
    three only with `strict=False`), `unreadable file`, `size mismatch`, `turned mask`, `label ids`, `colored mask`,
    and for cut-outs `no alpha channel`. Warnings:

    - `resized mask`: its size differs from the image's; replaces `size mismatch` with `resize_masks=True`. If the
      aspect ratio differs by more than 3 %, `stretched mask`.
    - `empty mask`, `full mask`: nothing is foreground, or more than 99 % is.
    - `trimap`: areas of one half cover more than a hundredth of the object, and black, white and one half are the only
      levels, or one half is at least 40 % of all grays, as in a trimap that was saved as JPEG or resized. Of soft masks
      it is below 20 %.
    - `faint mask`: its largest value is at most 0.6 of white, so little or nothing is above the threshold of metrics,
      one half.
    - `soft mask`: 8x8 squares with all pixels between 0.1 and 0.9 cover more than a tenth of the object (the pixels
      above 0.1). Antialiased edges are narrower, even if the mask was enlarged four times or blurred with a sigma of 2.
    - `probably inverted mask`: more than half of the image's border is foreground, and a smaller fraction of its middle
      (the inner third of width and height). Of 1090 masks of photographs, none is like that; of their inversions, 98 %
      are.
    - `ignored file`: a file in one of the folders without a known reader, or whose name lacks the masks' `mask_suffix`;
      hidden files are not listed.
    - `flat background`: all fully transparent pixels of a cut-out have one color.
    - `same image twice`, `in both sets`: the decoded pixels are equal, whatever the names and metadata; a re-encoded or
      resized copy is not found.
    """

    pairs: int
    """Number of pairs in the data set, including unusable ones."""
    problems: tuple[Problem, ...]
    """Problems, sorted by severity, kind and name."""
    sizes: tuple[Size, Size] | None
    """(width, height) of the smallest and the largest image by area; None if no image can be read."""
    foreground: tuple[float, float, float] | None
    """Minimum, median and maximum fraction of an image that is foreground; None if no mask can be read."""
    thin: float | None = None
    """Median fraction of an object in structures thinner than a hundredth of the mask's longer side; None if no mask
    can be read."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Problems that make a sample unusable."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Problems to look at."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")

    @property
    def unusable(self) -> frozenset[str]:
        """Names of the pairs that cannot be used, for `FolderDataset.without`."""
        return frozenset(problem.name for problem in self.errors if problem.kind not in LEFT_OUT)

    def text(self, *, limit: int | None = 5) -> str:
        """Format for a terminal: a line of numbers, then the problems by kind, at most `limit` of each."""
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
            least, median, most = (f"{100 * part:.{int(part < 0.1)}f} %" for part in self.foreground)
            parts.append(f"foreground {least} to {most} of the picture, median {median}")
        return ", ".join(parts)
