"""From folders of photographs to folders of masks and cut-outs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from tqdm import tqdm

from ..data.folder import image_files
from ..data.reading import read_image
from ..models.weights.writing import write_atomically
from .predictor import Predictor, to_uint8


def predict_files(predictor: Predictor, sources: Sequence[Path], out: str | Path, *, cutout: bool = False) -> list[str]:
    """Write the mask of each photograph as an 8-bit PNG of its size; one bad file does not stop the rest.

    Args:
        predictor: A prepared model.
        sources: Photographs, or folders of them, whose subfolders are kept.
        out: Folder for the masks, made if it is not there.
        cutout: Write the photograph with the mask as its alpha channel in place of the mask.

    Returns:
        What went wrong, one message per file.

    Raises:
        FileNotFoundError: A source that is not there.
        ValueError: A folder without photographs, two sources with one result, a result in the place of a source, or
            a network that takes masks; nothing is written then.
    """
    if predictor.model.preprocessing.source == "mask":
        raise ValueError(
            "this is a GT encoder, which takes masks and is used in training only; wanted a network for photographs"
        )
    results: dict[Path, Path] = {}
    for source in sources:
        if source.is_dir():
            pairs = [(path, path.relative_to(source)) for path in image_files(source)]
            if not pairs:
                raise ValueError(f"no photographs in {source}")
        elif source.is_file():
            pairs = [(source, Path(source.name))]
        else:
            raise FileNotFoundError(f"no photograph or folder at {source}")
        for path, name in pairs:
            result = Path(out) / name.with_suffix(".png")
            if result in results:
                raise ValueError(f"{results[result]} and {path} would both be written to {result}")
            results[result] = path
    read = {path.resolve() for path in results.values()}
    overwritten = sorted(result for result in results if result.resolve() in read)
    if overwritten:
        raise ValueError(
            f"{overwritten[0]} is a photograph that is read and would be overwritten; choose another folder"
        )
    failures = []
    for result, path in tqdm(results.items(), desc="predict", leave=False, disable=None):
        try:
            photograph = read_image(path)
            mask = to_uint8(predictor(photograph))
        except (OSError, ValueError) as error:
            failures.append(str(error))
            continue
        picture = PillowImage.fromarray(mask)
        if cutout:
            pixels = (photograph.permute(1, 2, 0) * 255).round().byte().numpy()
            picture = PillowImage.fromarray(np.dstack([pixels, mask]))
        result.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(result, functools.partial(picture.save, format="PNG"))
    return failures
