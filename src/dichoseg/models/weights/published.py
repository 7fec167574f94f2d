"""How the published networks' files name their modules, and which network a file holds."""

from __future__ import annotations

import functools
from collections.abc import Iterable

Names = dict[str, str]
"""The authors' name of each module with parameters -> dichoseg's, in the order of the authors' files."""

_VGG16_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
ORDERED = ("isnet", "isnet_gt_encoder", "u2net", "u2netp")
"""Networks whose files name their convolutions in the order in which they run."""
UNUSED = ("merge1.trans.0.0.weight",)
"""In EGNet's files, but part of no computation."""


@functools.cache
def published_names() -> dict[str, Names]:
    """For each published network, the authors' names of its modules.

    Sources: the repositories xuebinqin/DIS, xuebinqin/U-2-Net, JXingZhao/EGNet and the deconv tuning, as far as their
    files' keys go.
    """
    encoder = _rsu_stages(range(1, 7))
    decoder = _rsu_stages(range(5, 0, -1), suffix="d", ours="decoder")
    mask_stem = {"conv_in.conv": "encoder.stem.conv", "conv_in.bn": "encoder.stem.norm"}
    u2net = {**encoder, **decoder, **_sides("heads.sides"), "outconv": "heads.fuse"}
    deconv_sides = _sides("heads.heads.sides")
    return {
        "isnet": {"conv_in": "encoder.stem", **encoder, **decoder, **_sides("heads.sides")},
        "isnet_gt_encoder": {**mask_stem, **encoder, **_sides("heads.sides")},
        "u2net": u2net,
        "u2netp": u2net,
        "isnet_deconv": {
            "stage0": "encoder.stem",
            **encoder,
            **decoder,
            **_enlarger(),
            **deconv_sides,
            "outconv": "heads.heads.fuse",
        },
        "isnet_deconv_gt_encoder": {**mask_stem, **encoder, **_enlarger(), **deconv_sides},
        "egnet_resnet50": {
            **{f"convert.convert0.{index}.0": f"decoder.project.{index}.0" for index in range(5)},
            **_resnet50("base", "encoder.backbone"),
            **_edge_guidance(),
        },
        "egnet_vgg16": {
            **{f"base.base.{index}": f"encoder.convs.{index}" for index in _VGG16_CONVOLUTIONS},
            **{f"base.base_ex.ex.{index}": f"encoder.top.{index}" for index in (0, 2, 4)},
            **_edge_guidance(),
        },
    }


def _rsu(theirs: str, ours: str, depth: int) -> Names:
    members = [("rebnconvin", "entry")]
    members += [(f"rebnconv{level}", f"down.{level - 1}") for level in range(1, depth + 1)]
    members += [(f"rebnconv{level}d", f"up.{level - 1}") for level in range(depth - 1, 0, -1)]
    return {
        f"{theirs}.{member}.{part}": f"{ours}.{own}.{own_part}"
        for member, own in members
        for part, own_part in (("conv_s1", "conv"), ("bn_s1", "norm"))
    }


def _rsu_stages(numbers: Iterable[int], *, suffix: str = "", ours: str = "encoder") -> Names:
    names: Names = {}
    for number in numbers:
        names |= _rsu(f"stage{number}{suffix}", f"{ours}.stages.{number - 1}", depth=max(8 - number, 4))
    return names


def _sides(ours: str) -> Names:
    return {f"side{number}": f"{ours}.{number - 1}" for number in range(1, 7)}


def _enlarger() -> Names:
    names: Names = {}
    for number in range(6, 2, -1):
        theirs, index = f"stage{number}up", number - 3
        for step in range(number - 2):
            names[f"{theirs}.n_upsample.{step}"] = f"heads.refine.enlarge.{index}.{step}"
        for conv in range(2):
            for part in ("conv", "norm"):
                names[f"{theirs}.nConvs.{conv}.{part}"] = f"heads.refine.join.{index}.{conv}.{part}"
    return names


def _resnet50(theirs: str, ours: str) -> Names:
    modules = ["conv1", "bn1"]
    for layer, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            parts = [f"{kind}{index}" for index in (1, 2, 3) for kind in ("conv", "bn")]
            parts += ["downsample.0", "downsample.1"] if block == 0 else []
            modules += [f"layer{layer}.{block}.{part}" for part in parts]
    return {f"{theirs}.{module}": f"{ours}.{module}" for module in modules}


def _edge_guidance() -> Names:
    names = {"merge1.trans.1.0": "decoder.narrow.0.0", "merge1.trans.2.0": "decoder.location.0"}
    names |= {f"merge1.up.{i}.{j}": f"decoder.up.{i}.{j}" for i in range(5) for j in (0, 2, 4)}
    names |= {"merge1.score.0": "heads.edge_score"}
    names |= {f"merge1.score.{i}": f"heads.scores.{i - 1}" for i in range(1, 5)}
    names |= {f"merge2.trans.0.{i}.0": f"heads.narrow.{i}.0" for i in range(4)}
    names |= {f"merge2.up.0.{i}.{j}": f"heads.guided.{i}.{j}" for i in range(4) for j in (0, 2, 4)}
    names |= {f"merge2.score.0.{i}": f"heads.guided_scores.{i}" for i in range(4)}
    return names | {f"merge2.final_score.{i}": f"heads.fuse.{i}" for i in (0, 2)}
