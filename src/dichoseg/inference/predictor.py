"""Prediction of the mask of a photograph."""

from __future__ import annotations

import copy
import functools
import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, TypeGuard, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor, nn

from ..blocks import resize, spatial_size
from ..checking import choice, number
from ..contracts import Image, Logits, Model, unwrapped
from ..data.decoding import check_tensor, image_tensor, open_image, read_image, upright
from ..data.formats import usable_endings
from ..data.mask_files import read_mask
from ..export.int8 import Calibration, check_calibration
from ..preprocessing import Preprocessing
from ..runtime.device import Precision, usable_device
from ..runtime.inputs import explained_input
from ..runtime.memory import lacking_on_cpu
from ..weights.catalogue import DEFAULT, resolve
from ..weights.loading import load_model
from ..weights.sources import is_model
from .averaging import average_logits
from .blending import Detail, blend_logits, larger_input
from .exported import Runtime, check_runtime, default_runtime, exported_network
from .prepare import prepare_for_inference
from .sharpening import is_much_larger, sharpened

logger = logging.getLogger(__name__)

Photograph: TypeAlias = (
    str | Path | bytes | bytearray | memoryview | IO[bytes] | PillowImage.Image | NDArray[Any] | Tensor
)
Map: TypeAlias = NDArray[np.float32]

_BYTES = bytes | bytearray | memoryview
_KINDS = "path, file, bytes, Pillow image, array or tensor"


class Predictor:
    """Model prepared once, to predict many photographs.

    The predictor uses a copy of the model with batch norms folded into the convolutions, and computes the final logits
    only. It can be called from several threads; they run the network one at a time.

    Args:
        model: Any model; it is not changed.
        device: Device to run on, such as `"cuda"`. Default: the model's device.
        precision: `"auto"` is bfloat16 if the hardware has it natively, float16 on other CUDA GPUs with tensor cores,
            else float32. bfloat16 changes probabilities by less than 0.002 on average; float16 was not measured.
            `"int8"`, which needs `calibration`, computes in 8 bits in onnxruntime, or is refused with an error if that
            changes the calibration photographs' maps too much (see `export_onnx`).
        size: Size of the model's input in pixels: (height, width), or an int for a square. Default: the model's own.
        normalize: `"minmax"` stretches each map to [0, 1], the last step of IS-Net's and U²-Net's published scripts; a
            constant map becomes zeros. It turns the faint map of a photograph without foreground into a mask.
        flips: Whether to average the map with that of the mirrored photograph, which takes twice the time.
        scales: Factors of the input's size, at each of which the network runs; the logits are averaged, with those of
            the mirrored photograph if `flips`. `flips=True, scales=(0.75, 1, 1.125)` is MVANet's published inference,
            of six passes. Not with `detail="blend"`.
        detail: Refinement of photographs at least 1.5 times as large as the network's input. `"borders"` predicts views
            at the photograph's own resolution along the border between foreground and background, `"views"` everywhere
            (see `dichoseg.inference.sharpening`); each view takes the time of one more photograph, and a photograph of
            12 megapixels has 10 to 20 along its border. `"blend"` predicts it once more as a whole at a larger size,
            and adds the details near the border (see `dichoseg.inference.blending`).
        sharpen: The same as `detail="borders"`.
        compile: Whether to compile the network with `torch.compile` at the first photograph, which takes about a
            minute.
        runtime: Program that runs the network: `"torch"`, or on the CPU `"onnxruntime"` (in float32 or int8) or
            `"openvino"` (in float32 or bfloat16), for which the network is exported once; the file is kept in
            dichoseg's cache. Probabilities in float32 differ from torch's by less than 0.001. Not with `compile` and
            `detail="blend"`. Default: torch, and onnxruntime for int8.
        calibration: Photographs to calibrate `precision="int8"` on, 8 or more, of the kind to be predicted: a folder,
            or a list of paths or tensors (3, H, W) in [0, 1].
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str | torch.device | None = None,
        precision: Precision = "auto",
        size: int | tuple[int, int] | None = None,
        normalize: Literal["minmax"] | None = None,
        flips: bool = False,
        scales: Sequence[float] = (),
        detail: Detail | None = None,
        sharpen: bool = False,
        compile: bool = False,
        runtime: Runtime | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self._options: dict[str, Any] = {
            "device": device,
            "precision": precision,
            "size": size,
            "normalize": normalize,
            "flips": flips,
            "scales": scales,
            "detail": detail,
            "sharpen": sharpen,
            "compile": compile,
            "runtime": runtime,
            "calibration": calibration,
        }
        self._source = model = unwrapped(model)
        preprocessing = model.preprocessing.with_size(size)
        choice("normalize", normalize, (None, "minmax"))
        choice("detail", detail, (None, "blend", "views", "borders"))
        if sharpen and detail not in (None, "borders"):
            raise ValueError(f"sharpen=True is detail='borders'; got detail={detail!r} with it")
        self.detail: Detail | None = "borders" if sharpen else detail
        if self.detail and (preprocessing.size is None or preprocessing.source == "mask"):
            raise ValueError(
                f"{'sharpen' if sharpen else 'detail'} needs a model that takes images at a fixed size; this one has "
                f"source={preprocessing.source!r} and size={preprocessing.size}"
            )
        self.scales = tuple(number("scales", scale, low=0.1, high=10) for scale in scales)
        if self.scales and self.detail == "blend":
            raise ValueError(f"scales are not for detail='blend'; got scales={self.scales}")
        runtime = runtime or default_runtime(precision)
        check_runtime(runtime, precision=precision, device=device, detail=detail, compile=compile)
        check_calibration(precision, calibration)
        _warn_of_size(model.preprocessing, preprocessing)
        self.normalize = normalize
        self.flips = flips
        self._turn = threading.Lock()  # some timm networks keep features between the calls of their layers
        self._logits: Callable[[Image], Logits]
        if runtime == "torch":
            self.device = next(model.parameters()).device if device is None else usable_device(device)
            self.model = prepare_for_inference(model, precision=precision, device=self.device)
            self.model.preprocessing = preprocessing
            self.dtype = next(self.model.parameters()).dtype
            self._logits = torch.compile(self.model.logits) if compile else self.model.logits
        else:
            self.device, self.dtype = torch.device("cpu"), torch.float32
            self.model = copy.copy(model)  # shares the weights
            self.model.preprocessing = preprocessing
            dynamic = preprocessing.size is None or preprocessing.resize_policy == "longest_side" or bool(scales)
            self._logits = exported_network(
                runtime, self.model, precision=precision, dynamic=dynamic, calibration=calibration
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as the model and the options, which are prepared again."""
        return functools.partial(Predictor, **self._options), (self._source,)

    @overload
    def __call__(self, photograph: Photograph) -> Map: ...  # type: ignore[overload-overlap]  # a str is iterable

    @overload
    def __call__(self, photograph: Iterable[Photograph]) -> Iterator[Map]: ...

    def __call__(self, photograph: Photograph | Iterable[Photograph]) -> Map | Iterator[Map]:
        """Predict one photograph, or an iterable of them lazily.

        Args:
            photograph: Path, file opened in binary mode or its contents as bytes, Pillow image (its EXIF orientation is
                applied), uint8 RGB array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or tensor (3, H, W) in [0, 1]; or
                an iterable of them. A network that takes masks accepts a path or a tensor (1, H, W).

        Returns:
            Probability of foreground, (H, W) float32 in [0, 1], at the photograph's own size; for an iterable, an
            iterator over them.

        Raises:
            FileNotFoundError: A file does not exist.
            ValueError: A file or an image cannot be read (the message names it), or the map is not finite because the
                weights are broken.
            MemoryError: A photograph is too large for the available memory.
        """
        if _is_one(photograph):
            return self._predict(photograph)
        if isinstance(photograph, Mapping) or not isinstance(photograph, Iterable):
            raise TypeError(f"a photograph must be a {_KINDS}, or several an iterable; got {type(photograph).__name__}")
        return map(self._predict, photograph)

    def _predict(self, photograph: Photograph) -> Map:
        try:
            return self._map(photograph)
        except RuntimeError as error:
            lacking = lacking_on_cpu(error)
            if lacking is None:
                raise
            raise MemoryError(f"not enough memory: {lacking}") from error

    @torch.inference_mode()
    def _map(self, photograph: Photograph) -> Map:
        image = _as_tensor(photograph, self.model.preprocessing).to(self.device)[None]  # (1, C, H, W)
        size = self.model.preprocessing.height_width
        if self.detail is None or size is None or not is_much_larger(image.shape[-2], image.shape[-1], size):
            probability = self._predict_whole(image)
        elif self.detail == "blend":
            probability = self._blended(image)
        else:
            whole, everywhere = self._predict_whole(image), self.detail == "views"
            probability = sharpened(image, whole, self._predict_whole, size=size, everywhere=everywhere)
        if not probability.isfinite().all():
            reason = "the model's weights or the photograph's values are broken"
            if self.dtype == torch.float16:
                reason = "float16 is too small for this network: use precision='float32'"
            raise ValueError(f"the map is not finite: {reason}")
        if self.normalize == "minmax":
            lowest, highest = probability.aminmax()
            probability = (probability - lowest) / (highest - lowest) if highest > lowest else probability * 0
        return probability[0, 0].cpu().numpy()

    def _predict_whole(self, image: Tensor) -> Tensor:
        """Predict a whole image (1, C, H, W) in [0, 1]; return the probability of foreground (1, 1, H, W)."""
        preprocessing = self.model.preprocessing
        net_input = preprocessing.normalize(preprocessing.resize(image)).to(self.dtype)
        if self.scales:
            probability = average_logits(self._run, net_input, scales=self.scales, flips=self.flips).sigmoid()
        else:
            probability = self.probability(net_input)
            if self.flips:
                probability = (probability + self.probability(net_input.flip(3)).flip(3)) / 2
        return preprocessing.restore(probability, image.shape[-2], image.shape[-1]).clamp(0, 1)

    def _blended(self, image: Tensor) -> Tensor:
        """Predict a whole image like `_predict_whole`, and once more at a larger size, for its details."""
        (height, width), small = image.shape[-2:], self.model.preprocessing
        large = larger_input(small, height, width)
        maps = []
        for flip in (False, True) if self.flips else (False,):
            inputs = [each.normalize(each.resize(image)).to(self.dtype) for each in (small, large)]
            inputs = [each.flip(3) if flip else each for each in inputs]
            inputs = [each.contiguous(memory_format=torch.channels_last) for each in inputs]
            with self._turn:
                low, high = self._logits(inputs[0]).float(), self.model(inputs[1])
            low, detailed = (each.flip(3) if flip else each for each in (low, high.logits.float()))
            details = [each.flip(3) if flip else each for each in high.extras.get("details", ())]
            low = resize(small.without_padding(low, height, width), spatial_size(detailed))
            maps.append(blend_logits(low, detailed, details).sigmoid())
        return large.restore(torch.stack(maps).mean(dim=0), height, width).clamp(0, 1)

    def probability(self, net_input: Tensor) -> Tensor:
        """Run the network on a normalized input (B, C, H, W) in `dtype`; return float32 probabilities (B, 1, H, W)."""
        return self._run(net_input).sigmoid()

    def _run(self, net_input: Tensor) -> Tensor:
        """Run the network on a normalized input; return float32 logits."""
        with self._turn, explained_input(net_input):
            logits: Tensor = self._logits(net_input.contiguous(memory_format=torch.channels_last))
        return logits.float()


def predict(
    photograph: Photograph, model: Model | str | Path | None = None, *, size: int | tuple[int, int] | None = None
) -> Map:
    """Predict one photograph in float32.

    For many photographs, use `Predictor(model)`, which loads and prepares the model once.

    Args:
        photograph: Path, or any other input of a `Predictor`.
        model: Any model, or what `load_model` takes, such as a run's folder. Default: `"isnet-general-use"`, which is
            downloaded on first use.
        size: Size of the model's input in pixels: (height, width), or an int for a square. Default: the model's own.

    Returns:
        Probability of foreground, (H, W) float32 in [0, 1], at the photograph's own size.
    """
    if isinstance(photograph, nn.Module):
        message = "predict(model, photograph) is predict(photograph, model) since 0.2, and goes in 0.4"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        photograph, model = cast(Photograph, model), cast(Model, photograph)
    if _names_model(photograph) or (isinstance(model, str | Path) and Path(model).suffix.lower() in usable_endings()):
        raise ValueError(f"predict takes the photograph first, then the model; got {_shown(photograph)} first")
    if not _is_one(photograph):
        raise TypeError(f"predict takes one photograph, a {_KINDS}; got {type(photograph).__name__}: use a Predictor")
    if not isinstance(model, nn.Module):
        model = load_model(resolve(DEFAULT) if model is None else model)
    return Predictor(model, precision="float32", size=size)(photograph)


def to_uint8(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round a probability in [0, 1] to 8 bits."""
    return (probability * 255).round().astype(np.uint8)


def _warn_of_size(own: Preprocessing, chosen: Preprocessing) -> None:
    """Warn if a size is below half of the model's own, or above twice."""
    sides = zip(chosen.height_width or (), own.height_width or (), strict=False)
    if any(not trained / 2 <= side <= 2 * trained for side, trained in sides):
        logger.warning(
            "size %s is far from %s, which the model was trained for: its maps may be much worse", chosen.size, own.size
        )


def _names_model(photograph: object) -> bool:
    """Return whether a text is not a photograph, but a model on this machine or the name of published weights."""
    if not isinstance(photograph, str | Path):
        return False
    return is_model(str(photograph)) and (Path(photograph).exists() or Path(photograph).name == str(photograph))


def _shown(photograph: object) -> str:
    return str(photograph) if isinstance(photograph, str | Path) else type(photograph).__name__


def _is_one(photograph: object) -> TypeGuard[Photograph]:
    """Return whether an object is one photograph, and not several."""
    kinds = str | Path | _BYTES | PillowImage.Image | np.ndarray | Tensor
    return isinstance(photograph, kinds) or hasattr(photograph, "read")


def _as_tensor(photograph: Photograph, preprocessing: Preprocessing) -> Tensor:
    """Convert any input of a `Predictor` to a tensor (C, H, W) in [0, 1]."""
    if isinstance(photograph, str | Path):
        return read_mask(photograph) if preprocessing.source == "mask" else read_image(photograph)
    if isinstance(photograph, Tensor):
        check_tensor(photograph, preprocessing.channels)
        return photograph.float()
    if isinstance(photograph, _BYTES):
        image = open_image(bytes(photograph))
    elif hasattr(photograph, "read"):
        content = photograph.read()
        if not isinstance(content, bytes):
            raise TypeError(f"a file must be open in binary mode; {photograph!r} gives {type(content).__name__}")
        image = open_image(content)
    elif isinstance(photograph, np.ndarray):
        _check_array(photograph)
        image = PillowImage.fromarray(photograph[..., 0] if photograph.shape[2:] == (1,) else photograph)
    elif isinstance(photograph, PillowImage.Image):
        try:
            image = upright(photograph)
        except Exception as error:  # it may not be decoded yet, and Pillow's readers raise any error
            raise ValueError(f"the Pillow image cannot be read: {str(error) or type(error).__name__}") from error
    else:
        raise TypeError(f"no {_KINDS}; got {type(photograph).__name__}")
    return image_tensor(image)[: preprocessing.channels]


def _check_array(array: NDArray[Any]) -> None:
    """Refuse arrays that Pillow would take for another kind of image."""
    if array.dtype != np.uint8 or 0 in array.shape or array.ndim < 2 or array.shape[2:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            "an array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), RGB of uint8; "
            f"got {array.shape} of {array.dtype}"
        )
