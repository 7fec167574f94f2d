"""Contact sheet of a data set: samples as stored, and as the network and the loss see them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from PIL import Image as PillowImage

from ..contracts import Augmentation, Sample, Samples
from ..data.folder import FolderDataset, Transform
from ..data.report import DataReport
from ..masks import edge_band
from ..preprocessing import Preprocessing
from ..runtime.seeding import seeded
from .draws import Draw, augmented, blurs_at_the_end, prepared, watched
from .overlays import EDGE, PATCH, draw_picture, edge_pictures, pixels
from .sheet import TILE, contact_sheet, thumbnail


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
      outline, and boxes around the patches that `RandomBlurPatches` has blurred. No outline is drawn in the boxes.
      Patches that a later step may have moved have no boxes.

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

    Raises:
        ValueError: There are no usable samples, `rows` is below 1, or `draws` is negative.
        TypeError: A report is given for a data set that is not a `FolderDataset`.
    """
    if rows < 1 or draws < 0:
        raise ValueError(f"a data sheet needs at least 1 row and 0 draws; got {rows} and {draws}")
    preprocessing = preprocessing or Preprocessing()
    plain, transform = _without_transform(data)
    if augmentation is None and transform is None:
        draws = 0
    table, captions, blurred = [], [], False
    for index, kinds in _chosen(data, report, rows):
        sample = _sample(plain, index)
        seen = prepared(sample, preprocessing)
        columns = {
            name: thumbnail(pixels(part[None])) for name, part in zip(("image", "mask"), sample[:2], strict=True)
        }
        columns["edge band"], columns["close-up of the frame"] = edge_pictures(seen.image, seen.mask, side=TILE)
        captions.append(_caption(sample, seen, kinds))
        scale = getattr(augmentation, "input_scale", 1.0)
        fixed = isinstance(data, FolderDataset) and transform is None
        start = prepared(sample, preprocessing, scale=scale) if fixed and draws else None
        del sample  # it may be large
        for number in range(draws):
            with seeded(seed, index, number):
                draw = start or _loaded(data, index, transform, preprocessing, scale)
                if augmentation is not None:  # on copies, since it may work in place
                    draw = augmented(Draw(draw.image.clone(), draw.mask.clone(), draw.boxes), augmentation)
            columns[f"draw {number + 1}"] = draw_picture(draw.image, draw.mask, draw.boxes, side=TILE)
            blurred |= bool(draw.boxes)
        table.append(columns)
    band = "edge band (the pixel on either side of the border)"
    legend = {f"{band}; in the draws, the outline of the mask" if draws else band: EDGE}
    if blurred:
        legend["blurred patch"] = PATCH
    return contact_sheet(table, captions=captions, legend=legend)


def _without_transform(data: Samples) -> tuple[Samples, Transform | None]:
    if not isinstance(data, FolderDataset) or data.transform is None:
        return data, None
    plain = copy.copy(data)
    plain.transform = None
    return plain, data.transform


def _chosen(data: Samples, report: DataReport | None, rows: int) -> list[tuple[int, Sequence[str]]]:
    """Return the indices of the samples to show, each with the report's warnings."""
    if report is None:
        if len(data) == 0:
            raise ValueError("nothing to show: the data set has no samples")
        return [(index, ()) for index in _spread(range(len(data)), rows)]
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
    return [(index, kinds.get(names[index], ())) for index in [*warned, *_spread(others, rows - len(warned))]]


def _spread(indices: Sequence[int], rows: int) -> list[int]:
    """Return at most `rows` of the indices, evenly spread."""
    places = np.linspace(0, len(indices) - 1, min(rows, len(indices))).round().astype(int).tolist()
    return [indices[place] for place in places]


def _sample(data: Samples, index: int) -> Sample:
    image, mask, *rest = data[index]
    return Sample(image, mask, str(rest[0]) if rest else f"sample {index}")


def _loaded(data: Samples, index: int, transform: Transform | None, preprocessing: Preprocessing, scale: float) -> Draw:
    """Load a sample with its transform, at the network's size, and the patches that the transform has blurred."""
    with watched([] if transform is None else blurs_at_the_end(transform)) as patches:
        sample = _sample(data, index)
    return prepared(sample, preprocessing, scale=scale, patches=patches)


def _caption(sample: Sample, seen: Draw, kinds: Sequence[str]) -> str:
    sizes = [f"{width}x{height}" for height, width in (sample.mask.shape[-2:], seen.mask.shape[-2:])]
    shares = [100 * float(part.mean()) for part in (sample.mask, edge_band(seen.mask))]
    foreground, band = (f"{share:.{int(share < 10)}f} %" for share in shares)
    size = sizes[0] if sizes[0] == sizes[1] else f"{sizes[0]}, seen at {sizes[1]}"
    return ", ".join([sample.name, size, f"foreground {foreground}", f"edge band {band}", *kinds])
