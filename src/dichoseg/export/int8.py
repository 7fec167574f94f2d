"""Weights and activations of 8 bits in an exported file, calibrated on photographs and refused if the map suffers."""

from __future__ import annotations

import bisect
import itertools
import logging
import math
import statistics
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..contracts import Image
from ..data.decoding import check_tensor, read_image
from ..data.finding import images_and_others
from ..metrics.boundary import boundary_iou
from ..preprocessing import Preprocessing

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

Calibration: TypeAlias = str | Path | Sequence[str | Path | Tensor]
"""Folder of photographs; or photographs, as paths or tensors (3, H, W) in [0, 1]."""
LEAST = 8
"""Smallest number of photographs to calibrate on."""
MOST = 32
"""Number of photographs that are used, evenly spread over all."""
OPERATORS = ("Conv", "Relu", "MaxPool", "Concat", "Resize", "Add")
"""Operators that compute in 8 bits: convolutions, and the operations between them."""
PARTS = 32
"""Number of parts of the network whose sensitivity is measured."""
PROBES = 2
"""Number of photographs on which it is measured."""
EDGE = 0.005
"""Width of the edge in the gate's boundary IoU, as a fraction of the image's diagonal."""


class Agreement(NamedTuple):
    """Agreement of 8-bit maps with those of float32, each a mean over photographs."""

    mean_difference: float
    """Absolute difference in probability."""
    iou: float
    """IoU of both maps, cut at one half, where float32 finds a foreground."""
    boundary_iou: float
    """IoU of their edges."""

    def is_within(self, bounds: Agreement) -> bool:
        """Return whether no figure is worse than its bound; not-a-number is."""
        return (
            self.mean_difference <= bounds.mean_difference
            and self.iou >= bounds.iou
            and self.boundary_iou >= bounds.boundary_iou
        )

    def __str__(self) -> str:
        return f"mean difference {self.mean_difference:.4f}, IoU {self.iou:.3f}, boundary IoU {self.boundary_iou:.3f}"


BOUNDS = Agreement(mean_difference=0.01, iou=0.97, boundary_iou=0.9)
"""Worst agreement at which a file is written."""
Map: TypeAlias = NDArray[np.float32]
Maps: TypeAlias = Callable[[bytes, Sequence[Image]], list[Map]]
"""Function from a file and images to the maps (H, W) that it gives."""


def check_calibration(precision: str, calibration: Calibration | None) -> None:
    """Refuse 8 bits without photographs to calibrate on, and photographs without 8 bits."""
    if precision == "int8" and calibration is None:
        raise ValueError(f"precision='int8' needs calibration=: {LEAST} or more photographs, or their folder; got None")
    if precision != "int8" and calibration is not None:
        raise ValueError(f"calibration is for precision='int8'; got precision={precision!r} with it")


def read_calibration(calibration: Calibration, preprocessing: Preprocessing) -> list[Image]:
    """Return photographs to calibrate on as inputs of the network, (1, 3, H, W) each.

    Raises:
        ValueError: There are fewer than 8, or one is not a photograph.
    """
    if isinstance(calibration, str | Path):
        calibration = images_and_others(Path(calibration))[0]
    if len(calibration) < LEAST:
        raise ValueError(f"calibration must hold {LEAST} or more photographs; got {len(calibration)}")
    chosen = np.linspace(0, len(calibration) - 1, min(MOST, len(calibration))).astype(int)
    images = []
    for photograph in (calibration[index] for index in chosen):
        if isinstance(photograph, Tensor):
            check_tensor(photograph, 3)
        elif not isinstance(photograph, str | Path):
            raise TypeError(f"calibration must hold paths or tensors (3, H, W); got {type(photograph).__name__}")
        image = photograph.float().cpu() if isinstance(photograph, Tensor) else read_image(photograph)
        images.append(preprocessing.normalize(preprocessing.resize(image[None])).contiguous())
    return images


class Quantized(NamedTuple):
    """File with 8-bit layers, and how it agrees with the file in float32."""

    file: onnx.ModelProto
    agreement: Agreement
    float_layers: tuple[str, ...]
    """Convolutions that stay in float32."""
    wanted: list[Map]
    """Maps of the calibration photographs in float32."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the file's metadata."""
        return {
            **self.agreement._asdict(),
            "photographs": len(self.wanted),
            "float32": list(self.float_layers),
        }


def quantize(file: onnx.ModelProto, images: Sequence[Image], maps: Maps) -> Quantized:
    """Quantize the convolutions of a file, with the operations between them, to 8 bits.

    Weights have a scale for each output channel, and 7 bits of its range, so that no sum saturates on CPUs without
    8-bit instructions; activations have fixed ranges, the means of the images'. The last convolution stays in float32.
    If the map is not faithful then, parts of the network are quantized one at a time, and as few of the most sensitive
    ones as possible stay in float32 too, at most half of all.

    Args:
        file: File in float32. It is not changed.
        images: Inputs of the network to calibrate and to compare on.
        maps: Function that runs a file.

    Raises:
        RuntimeError: The map would differ from that of float32 by more than `BOUNDS` allow.
    """
    last = [node.name for node in file.graph.node if node.op_type == "Conv"][-1:]
    wanted = maps(file.SerializeToString(), images)
    if not any((one > 0.5).any() for one in wanted):
        raise RuntimeError(
            "no calibration photograph has a foreground: all probabilities are below one half in float32, so 8 bits "
            "cannot be judged, and no file is written"
        )

    def attempt(kept: Collection[str], photographs: int = len(images)) -> Quantized:
        found = _quantized(file, images, kept, ranges)
        agreement = compare(maps(found.SerializeToString(), images[:photographs]), wanted[:photographs])
        return Quantized(found, agreement, _layers(file, kept), wanted)

    def harm(part: list[str]) -> float:
        return attempt({node.name for node in file.graph.node}.difference(part), PROBES).agreement.mean_difference

    with tempfile.TemporaryDirectory() as folder:
        ranges = Path(folder, "ranges.json")  # of the activations, measured once
        found = attempt(last)
        logger.info("8 bits: %s", found.agreement)
        if found.agreement.is_within(BOUNDS):
            return found
        logger.warning(
            "8 bits everywhere change the map too much (%s): looking for the layers to leave in float32",
            found.agreement,
        )
        parts = sorted(_parts(file), key=harm, reverse=True)
        found = _with_fewest_in_float32(parts, lambda kept: attempt(kept.union(last)))
    if not found.agreement.is_within(BOUNDS):
        raise RuntimeError(
            f"8 bits would change the map too much on the {len(images)} calibration photographs: {found.agreement}, "
            f"with half of the network in float32; the bounds are {BOUNDS}, so no file is written"
        )
    logger.warning("in float32: %s", ", ".join(found.float_layers))
    return found


def _with_fewest_in_float32(parts: Sequence[list[str]], attempt: Callable[[set[str]], Quantized]) -> Quantized:
    """Leave as few parts in float32 as the bounds allow, the first ones; half of them if that is not enough."""
    found: dict[int, Quantized] = {}

    def is_enough(count: int) -> bool:
        found[count] = attempt({name for part in parts[:count] for name in part})
        logger.info("8 bits, %d of %d parts in float32: %s", count, len(parts), found[count].agreement)
        return found[count].agreement.is_within(BOUNDS)

    most = len(parts) // 2
    fewest = bisect.bisect_left(range(most), True, lo=1, key=is_enough) if is_enough(most) else most
    return found[fewest]


def compare(found: Sequence[Map], wanted: Sequence[Map]) -> Agreement:
    """Compare maps (H, W) with those of float32; IoUs are of the photographs in which float32 finds a foreground."""
    difference = statistics.fmean(float(np.abs(one - other).mean()) for one, other in zip(found, wanted, strict=True))
    cut = [(one > 0.5, other > 0.5) for one, other in zip(found, wanted, strict=True) if (other > 0.5).any()]
    if not cut:
        return Agreement(difference, math.nan, math.nan)
    return Agreement(
        difference,
        statistics.fmean(np.count_nonzero(one & other) / np.count_nonzero(one | other) for one, other in cut),
        statistics.fmean(boundary_iou(one, other, width=EDGE) for one, other in cut),
    )


def _parts(file: onnx.ModelProto) -> list[list[str]]:
    """Return the names of the nodes of each part of the network; each part starts at a convolution."""
    nodes = [node for node in file.graph.node if node.op_type in OPERATORS]
    convolutions = [index for index, node in enumerate(nodes) if node.op_type == "Conv"]
    parts = np.array_split(convolutions, min(PARTS, len(convolutions)))
    starts = [0, *(int(part[0]) for part in parts[1:]), len(nodes)]
    return [[node.name for node in nodes[start:end]] for start, end in itertools.pairwise(starts)]


def _layers(file: onnx.ModelProto, nodes: Collection[str]) -> tuple[str, ...]:
    """Return the modules' names of the convolutions among some nodes."""
    return tuple(
        node.input[1].removesuffix(".weight")
        for node in file.graph.node
        if node.op_type == "Conv" and node.name in nodes
    )


def _quantized(
    file: onnx.ModelProto, images: Iterable[Image], excluded: Collection[str], ranges: Path
) -> onnx.ModelProto:
    """Quantize a file but for some nodes, with the ranges of activations in `ranges`, which the first call writes."""
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.images = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.images, None)
            return None if image is None else {"image": image.numpy()}

    copied = onnx.ModelProto()
    copied.CopyFrom(file)  # onnxruntime moves the weights of its input to a file of its own
    with tempfile.TemporaryDirectory() as folder, _root_log_is_silent():
        path = Path(folder, "int8.onnx")
        quantization.quantize_static(
            copied,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            reduce_range=True,  # 7 bits, or sums of two products would not fit into 16 bits on CPUs without VNNI
            op_types_to_quantize=list(OPERATORS),
            nodes_to_exclude=list(excluded),
            extra_options={"CalibMovingAverage": True},  # the mean of the photographs' ranges, not the widest
            calibration_cache_path=ranges,
        )
        return onnx.load(path)


@contextmanager
def _root_log_is_silent() -> Iterator[None]:
    """Drop what onnxruntime's quantization logs, to the root logger, about preparations that the exporter has done."""
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)  # or the first message would add one for good
    was_disabled, root.disabled = root.disabled, True
    try:
        yield
    finally:
        root.disabled = was_disabled
        root.removeHandler(handler)
