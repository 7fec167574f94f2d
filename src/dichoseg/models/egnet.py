"""EGNet, and the names of the weights in its published files, from the repository JXingZhao/EGNet."""

from __future__ import annotations

from .. import decoders, encoders, models
from ..records import Names, Published

_VGG16_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def egnet_resnet50() -> models.Segmenter:
    """Build EGNet on ResNet-50 (arXiv:1908.08297), which also predicts edges and runs at the photograph's own size."""
    encoder = encoders.CaffeResNet50Encoder()
    return models.Segmenter(encoder, decoders.EdgeGuidedDecoder(encoder.feature_info))


def egnet_vgg16() -> models.Segmenter:
    """Build EGNet on VGG-16 (arXiv:1908.08297), which also predicts edges and runs at the photograph's own size."""
    encoder = encoders.VGG16Encoder()
    return models.Segmenter(encoder, decoders.EdgeGuidedDecoder(encoder.feature_info, project=False))


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


_UNUSED = ("merge1.trans.0.0.weight",)

EGNET_RESNET50 = Published(
    names={
        **{f"convert.convert0.{index}.0": f"decoder.project.{index}.0" for index in range(5)},
        **_resnet50("base", "encoder.backbone"),
        **_edge_guidance(),
    },
    unused=_UNUSED,
)
EGNET_VGG16 = Published(
    names={
        **{f"base.base.{index}": f"encoder.convs.{index}" for index in _VGG16_CONVOLUTIONS},
        **{f"base.base_ex.ex.{index}": f"encoder.top.{index}" for index in (0, 2, 4)},
        **_edge_guidance(),
    },
    unused=_UNUSED,
)
