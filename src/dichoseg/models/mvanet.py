"""MVANet, and the names of the weights in its published file, from the repository qianyu-dlut/MVANet."""

from __future__ import annotations

from .. import encoders, models
from ..records import Names, Published
from .birefnet import swin_names


def mvanet(*, pretrained: bool = False) -> models.MultiViewSegmenter:
    """Build MVANet (arXiv:2404.07445): a Swin-B for four close-ups and the distant view of an image.

    Args:
        pretrained: Whether the backbone starts from ImageNet weights, which timm downloads.
    """
    return models.MultiViewSegmenter(encoders.SwinEncoder("base", embedding=True, pretrained=pretrained))


def _names() -> Names:
    names = {f"backbone.{theirs}": f"encoder.{ours}" for theirs, ours in swin_names((2, 2, 18, 2)).items()}
    names |= {f"sideout{number}.0": f"sides.{number - 1}" for number in range(5, 0, -1)}
    for number in range(5, 0, -1):
        names |= _block(f"output{number}", f"inputs.{number - 1}")
    theirs, ours = "multifieldcrossatt", "localization"
    names |= _attention(theirs, ours, 5) | _perceptron(theirs, f"{ours}.close_mlp", 3)
    names |= _perceptron(theirs, f"{ours}.distant_mlp", 5) | _norms(theirs, ours)
    for number in range(1, 5):
        names |= _block(f"conv{number}", f"joins.{number - 1}")
    for number in range(1, 5):
        theirs, ours = f"dec_blk{number}", f"refinements.{number - 1}"
        names |= _attention(theirs, ours, 4) | _perceptron(theirs, f"{ours}.mlp", 3) | _norms(theirs, ours)
        names[f"{theirs}.sal_conv"] = f"{ours}.gate"
    names |= {f"insmask_head.{index}": f"deep.{index}" for index in range(7)} | {"shallow.0": "shallow"}
    for number in (1, 2):
        names |= {f"upsample{number}.{index}": f"enlargements.{number - 1}.{index}" for index in (0, 1)}
    return names | {"output.0": "final"}


def _block(theirs: str, ours: str) -> Names:
    return {f"{theirs}.{index}": f"{ours}.{index}" for index in range(3)}


def _attention(theirs: str, ours: str, count: int) -> Names:
    names: Names = {}
    for index in range(count):
        for part in ("", ".out_proj"):
            names[f"{theirs}.attention.{index}{part}"] = f"{ours}.attention.{index}{part}"
    return names


def _perceptron(theirs: str, ours: str, first: int) -> Names:
    return {f"{theirs}.linear{first}": f"{ours}.0", f"{theirs}.linear{first + 1}": f"{ours}.2"}


def _norms(theirs: str, ours: str) -> Names:
    return {f"{theirs}.norm{number}": f"{ours}.norms.{number - 1}" for number in (1, 2)}


MVANET = Published(names=_names(), unused=("relative_position_index",))
