"""BiRefNet, and the names of the weights in its published files, from the repository ZhengPeng7/BiRefNet."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from .. import decoders, encoders, models
from ..checking import choice
from ..records import Names, Published

if TYPE_CHECKING:
    from ..contracts import Encoder

Backbone: TypeAlias = Literal[
    "swin_t", "swin_s", "swin_b", "swin_l", "pvt_v2_b0", "pvt_v2_b1", "pvt_v2_b2", "pvt_v2_b5", "resnet50"
]
_SWIN = {"swin_t": "tiny", "swin_s": "small", "swin_b": "base", "swin_l": "large"}
_PVT_DEPTHS: dict[Backbone, tuple[int, ...]] = {
    "pvt_v2_b0": (2, 2, 2, 2),
    "pvt_v2_b1": (2, 2, 2, 2),
    "pvt_v2_b2": (3, 4, 6, 3),
    "pvt_v2_b5": (3, 6, 40, 3),
}


def birefnet(
    *,
    backbone: Backbone = "swin_l",
    patch_order: Literal["rows", "columns"] = "rows",
    joining: Literal["cat", "add"] = "cat",
    deformable: bool = True,
    residual: bool = False,
    pretrained: bool = False,
) -> models.Segmenter:
    """Build BiRefNet (arXiv:2401.03407): a backbone at two scales, and a decoder that sees the image at every stage.

    Args:
        backbone: `"swin_t"`, `"swin_s"`, `"swin_b"`, `"swin_l"`, or timm's `"pvt_v2_b0"`, `"pvt_v2_b1"`, `"pvt_v2_b2"`,
            `"pvt_v2_b5"` or `"resnet50"`.
        patch_order: Order of the image's patches: `"columns"` for weights trained before November 2024, `"rows"` for
            later ones. No file says which; with the wrong one, maps are wrong.
        joining: Joining of the two scales: `"cat"` as published, or `"add"`.
        deformable: Whether the decoder's blocks are deformable, as published.
        residual: Whether those of its stages are residual; published ones are not.
        pretrained: Whether the backbone starts from ImageNet weights, which timm downloads.
    """
    encoder = encoders.ImageReference(encoders.MultiScaleInput(_backbone(backbone, pretrained), joining=joining))
    decoder = decoders.BilateralReferenceDecoder(
        encoder.feature_info, patch_order=patch_order, deformable=deformable, residual=residual
    )
    return models.Segmenter(encoder, decoder)


def birefnet_lite(*, patch_order: Literal["rows", "columns"] = "rows", pretrained: bool = False) -> models.Segmenter:
    """Build BiRefNet on a Swin-T, a fifth of the size.

    Args:
        patch_order: Order of the image's patches, as for `birefnet`.
        pretrained: Whether the backbone starts from ImageNet weights, which timm downloads.
    """
    return birefnet(backbone="swin_t", patch_order=patch_order, pretrained=pretrained)


def _backbone(name: Backbone, pretrained: bool) -> Encoder:
    choice("backbone", name, get_args(Backbone))
    if name in _SWIN:
        return encoders.SwinEncoder(_SWIN[name], pretrained=pretrained)  # type: ignore[arg-type]  # str for Literal
    if name == "resnet50":
        return encoders.TimmEncoder(name, pretrained=pretrained, out_indices=(1, 2, 3, 4))
    return encoders.TimmEncoder(name, pretrained=pretrained, drop_path_rate=0.1)


def names_of(backbone: Backbone, *, deformable: bool = True, residual: bool = False) -> Names:
    """Return the names of the weights for a backbone."""
    block, squeeze = _block_names(deformable, residual), _block_names(deformable, residual=False)
    made: Names = {}
    names = _backbone_names(backbone) | {f"squeeze_module.0.{part}": f"decoder.squeeze.{own}" for part, own in squeeze}
    for number in range(5, 0, -1):
        made[f"ipt_blk{number}.conv1"] = f"decoder.references.{number - 1}.0"
        made[f"ipt_blk{number}.conv_out"] = f"decoder.references.{number - 1}.1"
    for number in range(4, 0, -1):
        made |= {f"decoder_block{number}.{part}": f"decoder.blocks.{number - 1}.{own}" for part, own in block}
    made["conv_out1.0"] = "heads.final"
    levels = [(number, number - 2) for number in (4, 3, 2)]
    made |= {f"lateral_block{number}.conv": f"decoder.laterals.{index}" for number, index in levels}
    made |= {f"conv_ms_spvn_{number}": f"heads.sides.{index}" for number, index in levels}
    for number, index in levels:
        made[f"gdt_convs_{number}.0"] = f"decoder.gradients.{index}.conv"
        made[f"gdt_convs_{number}.1"] = f"decoder.gradients.{index}.norm"
    made |= {f"gdt_convs_pred_{number}.0": f"heads.gradients.{index}" for number, index in levels}
    made |= {f"gdt_convs_attn_{number}.0": f"decoder.gates.{index}" for number, index in levels}
    return names | {f"decoder.{theirs}": own for theirs, own in made.items()}


def _block_names(deformable: bool, residual: bool) -> list[tuple[str, str]]:
    """Return the names inside a decoder block."""
    names = [("conv_in", "entry.0")]
    branches = ["aspp1", *(f"aspp_deforms.{index}" for index in range(3))]
    if not deformable:
        branches = [f"aspp{number}" for number in range(1, 5)]
    for index, branch in enumerate(branches):
        theirs, own = f"dec_att.{branch}.atrous_conv", f"aspp.branches.{index}.0"
        if deformable:
            names += [(f"{theirs}.offset_conv", f"{own}.offset"), (f"{theirs}.modulator_conv", f"{own}.modulator")]
        names += [(f"{theirs}.regular_conv" if deformable else theirs, own)]
        names += [(f"dec_att.{branch}.bn", f"aspp.branches.{index}.1")]
    names += [(f"dec_att.global_avg_pool.{index}", f"aspp.mean.{index}") for index in (1, 2)]
    names += [("dec_att.conv1", "aspp.join.0"), ("dec_att.bn1", "aspp.join.1"), ("conv_out", "exit.0")]
    names += [("bn_in", "entry.1"), ("bn_out", "exit.1")]
    return names + ([("conv_resi", "shortcut")] if residual else [])


def _backbone_names(backbone: Backbone) -> Names:
    front = "encoder.encoder.encoder"
    if backbone in _SWIN:
        names = swin_names((2, 2, 6 if backbone == "swin_t" else 18, 2))
    elif backbone in _PVT_DEPTHS:
        front, names = f"{front}.backbone", _pvt_names(_PVT_DEPTHS[backbone])
    else:
        front, names = f"{front}.backbone", _resnet_names((3, 4, 6, 3))
    return {f"bb.{theirs}": f"{front}.{own}" for theirs, own in names.items()}


def swin_names(depths: tuple[int, ...]) -> Names:
    """Return the names of the weights of a Swin encoder in the detection-style files of several projects."""
    parts = {
        "norm1": "attention_norm",
        "attn": "attention",
        "attn.qkv": "attention.qkv",
        "attn.proj": "attention.proj",
        "norm2": "mlp_norm",
        "mlp.fc1": "mlp.0",
        "mlp.fc2": "mlp.2",
    }
    names = {"patch_embed.proj": "embed", "patch_embed.norm": "embed_norm"}
    for stage, depth in enumerate(depths):
        for block in range(depth):
            names |= {
                f"layers.{stage}.blocks.{block}.{part}": f"stages.{stage}.{block}.{parts[part]}" for part in parts
            }
        if stage < 3:
            names |= {f"layers.{stage}.downsample.{part}": f"merges.{stage}.{part}" for part in ("reduction", "norm")}
    return names | {f"norm{stage}": f"norms.{stage}" for stage in range(4)}


def _pvt_names(depths: tuple[int, ...]) -> Names:
    names: Names = {}
    for stage in range(4):
        own = f"stages_{stage}.downsample" if stage else "patch_embed"
        names |= {f"patch_embed{stage + 1}.{part}": f"{own}.{part}" for part in ("proj", "norm")}
    for stage, depth in enumerate(depths):
        reduced = ("attn.sr", "attn.norm") if stage < 3 else ()
        parts = ("norm1", "attn.q", "attn.kv", "attn.proj", *reduced, "norm2", "mlp.fc1", "mlp.dwconv", "mlp.fc2")
        for block in range(depth):
            for part in parts:
                theirs = "mlp.dwconv.dwconv" if part == "mlp.dwconv" else part
                names[f"block{stage + 1}.{block}.{theirs}"] = f"stages_{stage}.blocks.{block}.{part}"
        names[f"norm{stage + 1}"] = f"stages_{stage}.norm"
    return names


def _resnet_names(depths: tuple[int, ...]) -> Names:
    names = {"conv1.0": "conv1", "conv1.1": "bn1"}
    for stage, depth in enumerate(depths, start=1):
        theirs = "conv1.4" if stage == 1 else f"conv{stage}"
        for block in range(depth):
            parts = [f"{kind}{index}" for index in (1, 2, 3) for kind in ("conv", "bn")]
            parts += ["downsample.0", "downsample.1"] if block == 0 else []
            names |= {f"{theirs}.{block}.{part}": f"layer{stage}.{block}.{part}" for part in parts}
    return names


def _refuse(keys: Collection[str]) -> str | None:
    """Refuse files from before May 2024, which lack the deepest reference to the image."""
    deepest, next_one = (any(f"decoder.ipt_blk{number}." in key for key in keys) for number in (5, 4))
    if deepest or not next_one:
        return None
    return (
        "holds a BiRefNet from before May 2024, which is another network (it has no decoder.ipt_blk5) and is not "
        'supported; use later weights, such as load_model("birefnet")'
    )


_CONSTANTS = ("relative_position_index",)

_HINT = {"patch_order": "'columns' if they were trained before November 2024 or are RMBG-2.0, 'rows' if later"}
_BACKBONES: tuple[Backbone, ...] = ("swin_s", "swin_b", *_PVT_DEPTHS, "resnet50")

BIREFNET = Published(
    names=names_of("swin_l"),
    unused=_CONSTANTS,
    variants={f"backbone={backbone!r}": names_of(backbone) for backbone in _BACKBONES},
    unstated=_HINT,
    refuse=_refuse,
)
BIREFNET_LITE = Published(names=names_of("swin_t"), unused=_CONSTANTS, unstated=_HINT, refuse=_refuse)
