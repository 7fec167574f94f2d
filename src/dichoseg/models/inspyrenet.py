"""InSPyReNet, and the names of the weights in its published files.

Sources of the names: the keys in files of the repositories plemeri/InSPyReNet and plemeri/transparent-background.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from .. import decoders, encoders, models
from ..checking import choice
from ..records import Names, Published
from .birefnet import swin_names

if TYPE_CHECKING:
    from ..contracts import Encoder

Backbone: TypeAlias = Literal["swin_b", "res2net50"]


def inspyrenet(
    *,
    backbone: Backbone = "swin_b",
    base_size: int | tuple[int, int] = (384, 384),
    pretrained: bool = False,
) -> models.Segmenter:
    """Build InSPyReNet (arXiv:2209.09475), which predicts a Laplacian pyramid of the mask: side logits at 3 levels.

    Args:
        backbone: `"swin_b"` or `"res2net50"`.
        base_size: Size of the images that it is trained on, (height, width), an int for a square; the size of its
            input, too. Weights fit only the size that they were trained with, which no file states: 384 or 1024 pixels
            for published ones.
        pretrained: Whether the backbone starts from ImageNet weights, which timm downloads.
    """
    from ..preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

    choice("backbone", backbone, get_args(Backbone))
    encoder: Encoder = (
        encoders.SwinEncoder("base", embedding=True, pretrained=pretrained)
        if backbone == "swin_b"
        else encoders.Res2NetEncoder(pretrained=pretrained)
    )
    decoder = decoders.PyramidDecoder(encoder.feature_info, base_size=base_size)
    preprocessing = Preprocessing(size=base_size, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return models.Segmenter(encoder, decoder, preprocessing=preprocessing)


def names_of(backbone: Backbone) -> Names:
    """Return the names of the weights for a backbone."""
    inside = swin_names((2, 2, 18, 2)) if backbone == "swin_b" else _res2net_names((3, 4, 6, 3))
    own = "encoder" if backbone == "swin_b" else "encoder.backbone"
    names = {f"backbone.{theirs}": f"{own}.{ours}" for theirs, ours in inside.items()}
    for number in range(1, 6):
        names |= _context_names(f"context{number}", f"decoder.contexts.{number - 1}")
    for number, index in ((1, 0), (2, 2), (3, 3), (4, 4)):
        names |= _conv(f"decoder.conv{number}", f"decoder.entry.{index}")
    names |= _axial_names("decoder", "decoder.entry.1")
    names["decoder.conv5.conv"] = "decoder.coarsest"
    for number in (2, 1, 0):
        theirs, ours = f"attention{number}", f"decoder.stages.{2 - number}"
        names[theirs] = ours
        for part in ("query", "key", "value"):
            for index in range(2):
                names |= _conv(f"{theirs}.conv_{part}.{index}", f"{ours}.{part}.{index}")
        for index, part in enumerate(("attended", "join.0", "join.1", "laplacian"), start=1):
            names |= _conv(f"{theirs}.conv_out{index}", f"{ours}.{part}")
    return names


def _context_names(theirs: str, ours: str) -> Names:
    names = _conv(f"{theirs}.branch0", f"{ours}.point")
    for branch in range(1, 4):
        front, own = f"{theirs}.branch{branch}", f"{ours}.branches.{branch - 1}"
        for number, index in enumerate((0, 1, 2, 4)):
            names |= _conv(f"{front}.conv{number}", f"{own}.{index}")
        names |= _axial_names(front, f"{own}.3")
    return names | _conv(f"{theirs}.conv_cat", f"{ours}.join") | _conv(f"{theirs}.conv_res", f"{ours}.shortcut")


def _axial_names(theirs: str, ours: str) -> Names:
    names: Names = {}
    for front, axis in (("Hattn", "height"), ("Wattn", "width")):
        names[f"{theirs}.{front}"] = f"{ours}.{axis}"
        for part in ("query", "key", "value"):
            names |= _conv(f"{theirs}.{front}.{part}_conv", f"{ours}.{axis}.{part}")
    return names


def _conv(theirs: str, ours: str) -> Names:
    return {f"{theirs}.conv": f"{ours}.conv", f"{theirs}.bn": f"{ours}.norm"}


def _res2net_names(depths: tuple[int, ...]) -> Names:
    parts = [f"conv1.{index}" for index in (0, 1, 3, 4, 6)] + ["bn1"]
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            inner = ["conv1", "bn1", *(f"{kind}.{index}" for kind in ("convs", "bns") for index in range(3))]
            inner += ["conv3", "bn3", *(("downsample.1", "downsample.2") if block == 0 else ())]
            parts += [f"layer{stage}.{block}.{part}" for part in inner]
    return {part: part for part in parts}


INSPYRENET = Published(
    names=names_of("swin_b"),
    unused=("relative_position_index", "backbone.fc.weight", "backbone.fc.bias"),
    variants={"backbone='res2net50'": names_of("res2net50")},
    unstated={
        "base_size": "the size they were trained with, (1024, 1024) for ckpt_base.pth, (384, 384) for ckpt_fast.pth"
    },
)
