"""Contact sheet of a data set: samples as stored, and as the network and the loss see them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage

from ..checking import whole
from ..contracts import Augmentation, Mask, Sample, Samples
from ..data.folder import FolderDataset
from ..data.report import DataReport
from ..masks import edge_band
from ..preprocessing import Preprocessing
from ..runtime.seeding import seeded
from .overlays import EDGE, draw_outline, edge_pictures, pixels
from .sheet import TILE, Picture, contact_sheet, thumbnail


def data_sheet(
    data: Samples,
    report: DataReport | None = None,
    *,
    rows: int = 10,
    preprocessing: Preprocessing | None = None,
    augmentation: Augmentation | None = None,
    draws: int = 3,
    seed: int = 0,
) -> PillowImage.Image:
    """Lay out samples of a data set: image, mask, the edge band of the loss, and draws of the augmentation.

    Columns:

    - `image` and `mask`, unchanged.
    - `edge band`: the image at the network's size, dimmed outside of the mask, and the band that `EdgeBCELoss()`
      averages over, `edge_band(mask)`: the pixel on either side of the border. Then a close-up of the white frame,
      where the band is densest: 48 by 48 pixels of the network's size, enlarged four times.
    - `draw 1`, `draw 2`, ..., if there is an augmentation or a transform: a training image of `fit` with the mask's
      outline.

    Args:
        data: Samples or plain pairs. The transform of a `FolderDataset` is applied to the draws only; any other data
            set is indexed again for each draw.
        report: Result of `data.report()`. Unusable samples are not shown; samples with warnings come first, with the
            warnings in their captions, and leave half of the rows to the others.
        rows: Maximum number of samples, spread evenly over the data set.
        preprocessing: Preprocessing of the model, which sets the network's size. Default: 1024 pixels, stretched.
        augmentation: Augmentation as for `fit`: `(image, mask) -> (image, mask)` in [0, 1].
        draws: Number of draws of the augmentation for each sample.
        seed: Seed of all draws that use torch's generator. A draw does not depend on the number of others.
    """
    whole("rows", rows, least=1)
    whole("draws", draws)
    preprocessing = preprocessing or Preprocessing()
    plain = data
    if isinstance(data, FolderDataset) and data.transform is not None:
        plain = copy.copy(data)
        plain.transform = None
    elif augmentation is None:
        draws = 0
    table, captions = [], []
    for index, warnings in _choose(data, report, rows):
        sample = sample_at(plain, index)
        image, mask = (preprocessing.resize(part[None]) for part in (sample.image, sample.mask))
        whole_band, closeup = edge_pictures(image, mask, side=TILE)
        row = {
            "image": thumbnail(pixels(sample.image[None])),
            "mask": thumbnail(pixels(sample.mask[None])),
            "edge band": whole_band,
            "close-up of the frame": closeup,
        }
        for number in range(draws):
            with seeded(seed, index, number):
                drawn = sample if isinstance(data, FolderDataset) and plain is data else sample_at(data, index)
                row[f"draw {number + 1}"] = _draw(drawn, preprocessing, augmentation)
        table.append(row)
        captions.append(_caption(sample, mask, warnings))
    band = "edge band (the pixel on either side of the border)"
    return contact_sheet(
        table,
        captions=captions,
        legend={f"{band}; in the draws, the outline of the mask" if draws else band: EDGE},
    )


def sample_at(data: Samples, index: int) -> Sample:
    """Return a sample of a data set; the one of a plain pair is named by its index."""
    sample = data[index]
    image, mask, *rest = sample
    return Sample(image, mask, str(rest[0]) if rest else f"sample {index}", getattr(sample, "weight", None))


def spread(indices: Sequence[int], count: int) -> list[int]:
    """Return at most `count` of the indices, evenly spread."""
    places = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int).tolist()
    return [indices[place] for place in places]


def _draw(sample: Sample, preprocessing: Preprocessing, augmentation: Augmentation | None) -> Picture:
    """Augment a sample at the network's size, and draw the mask's outline into the image."""
    scale = getattr(augmentation, "input_scale", 1.0)  # above 1 for an augmentation that crops
    # cloned, because an augmentation may work in place
    image, mask = (preprocessing.resize(part[None], scale=scale).clone() for part in (sample.image, sample.mask))
    if augmentation is not None:
        image, mask = augmentation(image, mask)
    return draw_outline(image, mask, side=TILE)


def _choose(data: Samples, report: DataReport | None, rows: int) -> list[tuple[int, Sequence[str]]]:
    """Return the indices of the samples to show, each with the report's warnings."""
    if report is None:
        if len(data) == 0:
            raise ValueError("nothing to show: the data set has no samples")
        return [(index, ()) for index in spread(range(len(data)), rows)]
    if not isinstance(data, FolderDataset):
        raise TypeError(f"a report needs a FolderDataset as data; got a {type(data).__name__}")
    kinds: dict[str, list[str]] = {}
    for problem in report.warnings:
        kinds.setdefault(problem.name, []).append(problem.kind)
    names = [name for name, *_ in data.files]
    usable = [index for index, name in enumerate(names) if name not in report.unusable]
    if not usable:
        raise ValueError(f"nothing to show: none of the {len(data)} samples can be used; the report says why")
    others = [index for index in usable if names[index] not in kinds]
    warned = [index for index in usable if names[index] in kinds][: rows - min(rows // 2, len(others))]
    return [(index, kinds.get(names[index], ())) for index in [*warned, *spread(others, rows - len(warned))]]


def _caption(sample: Sample, mask: Mask, warnings: Sequence[str]) -> str:
    """Describe a sample, whose mask at the network's size is `mask`."""
    sizes = [f"{width}x{height}" for height, width in (sample.mask.shape[-2:], mask.shape[-2:])]
    size = sizes[0] if sizes[0] == sizes[1] else f"{sizes[0]}, seen at {sizes[1]}"
    percentages = [100 * float(part.mean()) for part in (sample.mask, edge_band(mask))]
    foreground, band = (f"{percentage:.{int(percentage < 10)}f} %" for percentage in percentages)
    return ", ".join([sample.name, size, f"foreground {foreground}", f"edge band {band}", *warnings])
