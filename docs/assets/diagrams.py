"""Draw the diagrams of the documentation: `python docs/assets/diagrams.py` writes the SVG files beside this one.

Widths, strides, kernels, dilations and parameters are read from networks that are built for it, without weights, so
that a picture says what the code does. A test compares the files with what would be written.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Literal, NamedTuple, cast

import grimp
import torch
from torch import nn

import dichoseg
from dichoseg.blocks import RSU, rsu_stage
from dichoseg.decoders import DeconvEnlarger, EdgeGuidedDecoder, RSUDecoder
from dichoseg.encoders import RSUEncoder
from dichoseg.heads import EdgeGuidedHeads
from dichoseg.heads.refined import RefinedHeads
from dichoseg.heads.side import FusedHeads

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "pyproject.toml"
WIDTH = 640
BOX = 54
"""Height of a box of two lines."""
PITCH = 82
"""From one row to the next."""
SMALL = 16.5
"""Size of the letters of small print, in a picture of `WIDTH`."""
LETTER = 0.53
"""Width of a letter over its size: what the common sans-serif fonts need on average, and a little more."""

INK, GREY, PAPER = "#1d2b33", "#55656e", "#f7f9fa"
COLOURS = {
    "data": ("#ffffff", "#8b9aa3"),
    "encoder": ("#d5efe9", "#00796b"),
    "decoder": ("#dce8fa", "#3f6fb4"),
    "heads": ("#fdeccd", "#b97a16"),
    "training": ("#ece2f7", "#7a4fb0"),
}
"""Kind of a box -> its fill and its line."""
STAGE_NOTE = "RSU-7: a residual U-block of depth 7. 64 (32): channels out (inside)."
SCALE_NOTE = "↓ between stages: pooled by 2. ↑ resized to the skip's size, joined."
Kind = Literal["data", "encoder", "decoder", "heads", "training"]
Point = tuple[float, float]


class Box(NamedTuple):
    """A rectangle that is drawn, for arrows to start and end at."""

    x: float
    y: float
    width: float
    height: float

    def left(self, shift: float = 0) -> Point:
        """The middle of the left side, `shift` lower."""
        return self.x, self.y + self.height / 2 + shift

    def right(self, shift: float = 0) -> Point:
        """The middle of the right side, `shift` lower."""
        return self.x + self.width, self.y + self.height / 2 + shift

    def top(self, shift: float = 0) -> Point:
        """The middle of the upper side, `shift` further right."""
        return self.x + self.width / 2 + shift, self.y

    def bottom(self, shift: float = 0) -> Point:
        """The middle of the lower side, `shift` further right."""
        return self.x + self.width / 2 + shift, self.y + self.height


class Picture:
    """An SVG that is being drawn.

    Args:
        title: What a screen reader says of it.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts: list[str] = []
        self.colours: set[str] = set()

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 17,
        colour: str = INK,
        bold: bool = False,
        anchor: Literal["start", "middle", "end"] = "middle",
        room: float = WIDTH,
    ) -> None:
        """Write a line whose letters are centred on `y`; an error where it needs more than `room`."""
        needed = len(words) * size * LETTER * (1.1 if bold else 1)
        if needed > room:
            raise ValueError(f"{words!r} needs {needed:.0f} pixels; there are {room:.0f}")
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y + size * 0.35:g}" font-size="{size:g}" fill="{colour}" '
            f'text-anchor="{anchor}"{weight}>{escape(words)}</text>'
        )

    def box(
        self,
        kind: Kind,
        x: float,
        y: float,
        width: float,
        *lines: str,
        height: float = BOX,
        dashed: bool = False,
    ) -> Box:
        """Draw a box with lines of text, the first of them bold."""
        fill, line = COLOURS[kind]
        dashes = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="{fill}" stroke="{line}" '
            f'stroke-width="1.6"{dashes}/>'
        )
        first = y + height / 2 - 11 * (len(lines) - 1)
        for index, words in enumerate(lines):
            self.text(
                x + width / 2, first + 22 * index, words, size=SMALL if index else 17, bold=index == 0, room=width - 4
            )
        return Box(x, y, width, height)

    def arrow(self, *points: Point, colour: str = GREY, dashed: bool = False, head: bool = True) -> None:
        """Draw a line through points, with a head at the last one."""
        self.colours.add(colour)
        path = " ".join(f"{'L' if index else 'M'}{x:g} {y:g}" for index, (x, y) in enumerate(points))
        style = ' stroke-dasharray="6 4"' if dashed else ""
        style += f' marker-end="url(#head{colour[1:]})"' if head else ""
        self.parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8"{style}/>')

    def through(self, before: Box, bottom: Box, after: Box) -> None:
        """Draw the arrows at the bottom of a U, straight down and straight up."""
        down, up = before.bottom(before.width / 4), after.bottom(-after.width / 4)
        self.arrow(down, (down[0], bottom.y))
        self.arrow((up[0], bottom.y), up)

    def dot(self, point: Point, *, radius: float = 4, colour: str = GREY) -> None:
        """Draw a dot: where lines meet, or a mark."""
        self.parts.append(f'<circle cx="{point[0]:g}" cy="{point[1]:g}" r="{radius:g}" fill="{colour}"/>')

    def notes(self, y: float, *sentences: str, x: float = 24) -> float:
        """Write small print from (x, y) on, each sentence from a new line on; gives the picture's height with it."""
        room = int((WIDTH - 20 - x) / (SMALL * 0.5))
        lines = [line for sentence in sentences for line in textwrap.wrap(sentence, room)]
        for index, words in enumerate(lines):
            self.text(x, y + 23 * index, words, size=SMALL, colour=GREY, anchor="start")
        return y + 23 * len(lines)

    def finished(self, y: float, *sentences: str) -> str:
        """The file's text, with small print at `y`, below all else."""
        return self.svg(self.notes(y, *sentences))

    def svg(self, height: float) -> str:
        """The file's text."""
        heads = "".join(
            f'<marker id="head{colour[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="6.5" markerHeight="6.5" '
            f'orient="auto"><path d="M0 0.6 L9.6 5 L0 9.4 z" fill="{colour}"/></marker>'
            for colour in sorted(self.colours)
        )
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:g}" '
            f'viewBox="0 0 {WIDTH} {height:g}" role="img" font-family="sans-serif">\n'
            f"<title>{escape(self.title)}</title>\n<defs>{heads}</defs>\n"
            f'<rect x="1" y="1" width="{WIDTH - 2}" height="{height - 2:g}" rx="12" fill="{PAPER}" '
            f'stroke="#d3dce1"/>\n{body}\n</svg>\n'
        )


def model(name: str) -> dichoseg.contracts.Model:
    """A network of that name, without weights."""
    with torch.device("meta"):
        return dichoseg.create_model(name)


def rsu_lines(stage: nn.Module) -> tuple[str, str]:
    """What a box says of a residual U-block: its name, and the channels that come out (inside)."""
    block = cast(RSU, stage)
    name = f"RSU-{len(block.down)}{'F' if block.dilated else ''}"
    return name, f"{convolution(block.entry).out_channels} ({convolution(block.down[0]).out_channels})"


def convolution(block: nn.Module) -> nn.Conv2d:
    """The first convolution of a block."""
    return next(module for module in block.modules() if isinstance(module, nn.Conv2d))


def kernel(block: nn.Module) -> str:
    """The kernel of a block's first convolution, such as 3×3."""
    return "{}×{}".format(*convolution(block).kernel_size)


def fraction(stride: int) -> str:
    """What a stride makes of a side."""
    return "1" if stride == 1 else f"1/{stride}"


def column_titles(picture: Picture, *titles: tuple[float, str]) -> None:
    """Write what stands below, on one line."""
    for x, words in titles:
        picture.text(x, 30, words, size=17, bold=True, colour=GREY)


def stride_labels(picture: Picture, strides: Sequence[int], first: float) -> None:
    """Write each row's size, as a part of the image's side."""
    for index, stride in enumerate(strides):
        picture.text(46, first + PITCH * index + BOX / 2, fraction(stride), size=17, colour=GREY)


def contract() -> str:
    """Draw the path of an image through the library, and how far each function follows it."""
    picture = Picture(
        "The contract: a Sample is resized, augmented and normalized; Encoder, Decoder and Heads turn it into a "
        "Prediction, which the Objective compares with a Target of mask and image. fit takes this path; predict, "
        "evaluate and export use the final logits only."
    )
    x, width, pitch, height = 166, 224, 70, 50
    steps: list[tuple[Kind, str, str, str]] = [
        ("data", "Sample", "image, mask, name", "fe"),
        ("data", "Preprocessing", "resize", "fep"),
        ("training", "Augmentation", "image and mask alike", "f"),
        ("data", "Preprocessing", "normalize", "fep"),
        ("encoder", "Encoder", "Image → Features", "fepx"),
        ("decoder", "Decoder", "Features → Features", "fepx"),
        ("heads", "Heads", "Features → Prediction", "fepx"),
        ("training", "Objective", "Prediction, Target → loss", "f"),
        ("data", "Sigmoid", "logits → probability", "epx"),
        ("data", "Preprocessing", "restore", "ep"),
        ("data", "Metrics", "map, mask → scores", "e"),
    ]
    lanes = {"f": (412, "fit"), "p": (464, "predict"), "e": (531, "evaluate"), "x": (597, "export")}
    top = 62
    boxes = [
        picture.box(kind, x, top + pitch * row, width, name, what, height=height)
        for row, (kind, name, what, _) in enumerate(steps)
    ]
    for before, after in zip(boxes[:7], boxes[1:8], strict=True):
        picture.arrow(before.bottom(), after.top())
    for before, after in zip(boxes[8:10], boxes[9:11], strict=True):
        picture.arrow(before.bottom(), after.top())
    heads, objective, sigmoid = boxes[6:9]
    aside = x + width + 12
    picture.arrow(heads.right(8), (aside, heads.right(8)[1]), (aside, sigmoid.right(0)[1]), sigmoid.right())
    purple = COLOURS["training"][1]
    gt_encoder = picture.box("training", 44, boxes[4].y + 10, 104, "GTEncoder", "mask →", "Features", height=76)
    level = boxes[2].left()[1]
    middle = gt_encoder.top()[0]
    score, target = objective.left(-10), objective.left(12)
    picture.arrow(boxes[2].left(), (26, level), (26, target[1]), target, colour=purple)
    picture.arrow((middle, level), gt_encoder.top(), colour=purple, dashed=True)
    picture.arrow(gt_encoder.bottom(), (middle, score[1]), score, colour=purple, dashed=True)
    picture.dot((middle, level), colour=purple)
    picture.text(middle, level - 16, "mask", size=SMALL, colour=purple)
    normalized = boxes[3].left()
    picture.arrow(normalized, (26, normalized[1]), colour=purple, head=False)
    picture.dot((26, normalized[1]), colour=purple)
    picture.text(132, normalized[1] - 14, "image", size=SMALL, colour=purple)
    for key, (lane, name) in lanes.items():
        used = [row for row, (*_, users) in enumerate(steps) if key in users]
        ends = [boxes[row].right()[1] for row in (used[0], used[-1])]
        colour = purple if key == "f" else COLOURS["encoder"][1]
        picture.arrow((lane, ends[0]), (lane, ends[1]), colour=colour, head=False)
        for row in used:
            picture.dot((lane, boxes[row].right()[1]), radius=7, colour=colour)
        picture.text(lane, 34, name, size=16, bold=True, colour=colour)
    return picture.finished(
        boxes[-1].bottom()[1] + 30,
        "A dot: the function takes this step. Violet: only in training.",
        "Dashed: intermediate supervision, which is optional.",
        "fit uses all outputs of the heads, the others the final logits.",
    )


def rsu() -> str:
    """The residual U-block, with pooling and with dilations."""
    picture = Picture(
        "RSU-7 and RSU-4F: a convolution, a small U-Net on its result, and the sum of both. RSU-7 pools on the way "
        "down, RSU-4F has dilations 1, 2, 4, 8 in place of pooling."
    )
    with torch.device("meta"):
        deep, dilated = (rsu_stage(3, 2, 1, index=index) for index in (0, 4))
    height = _rsu_panel(picture, deep, 20) + 24
    below = picture.notes(
        _rsu_panel(picture, dilated, 334) + 32,
        "A box: a 3×3 convolution, batch norm and ReLU; the channels that come out, and d, the dilation.",
        "↓ RSU-7 pools by 2. ↑ It resizes to the skip's size, joins.",
        "RSU-6, 5 and 4: fewer rows.",
        x=350,
    )
    return picture.svg(max(height, below))


def _rsu_panel(picture: Picture, block: RSU, origin: float) -> float:
    pitch, height, width = 62, 40, 112
    left, right = origin + 44, origin + 174
    picture.text(origin + 165, 30, rsu_lines(block)[0], size=17, bold=True, colour=GREY)
    rows = [56 + pitch * level for level in range(len(block.down) + 1)]
    entry = picture.box("encoder", left, rows[0], width, "out", height=height)
    total = picture.box("heads", right, rows[0], width, "sum", height=height)

    def words(each: nn.Module, channels: str) -> str:
        dilation = convolution(each).dilation[0]
        return channels if dilation == 1 else f"{channels}, d {dilation}"

    for level, y in enumerate(rows[1:]):
        scale = 1 if block.dilated else 2 ** min(level, len(rows) - 3)
        picture.text(origin + 20, y + height / 2, fraction(scale), colour=GREY)
    down = [
        picture.box("encoder", left, y, width, words(each, "mid"), height=height)
        for y, each in zip(rows[1:-1], block.down[:-1], strict=True)
    ]
    up = [
        picture.box("decoder", right, y, width, words(each, "mid" if level else "out"), height=height)
        for level, (y, each) in enumerate(zip(rows[1:-1], block.up, strict=True))
    ]
    bottom = picture.box(
        "encoder", left + width / 2, rows[-1], right - left, words(block.down[-1], "mid"), height=height
    )
    for column in ([entry, *down], [*reversed(up), total]):
        for before, after in zip(column, column[1:], strict=False):
            picture.arrow(*((before.bottom(), after.top()) if before.y < after.y else (before.top(), after.bottom())))
    for skip, after in zip([entry, *down], [total, *up], strict=True):
        picture.arrow(skip.right(), after.left())
    picture.through(down[-1], bottom, up[-1])
    return bottom.bottom()[1]


class _U(NamedTuple):
    """The boxes of a network of RSU stages."""

    features: list[Box]
    rows: list[float]


def _u(
    picture: Picture, network: dichoseg.Segmenter, *, first: float, encoder_x: float, decoder_x: float, width: float
) -> _U:
    """Draw encoder and decoder as a U: the coarsest stage lies below both."""
    encoder, decoder = cast(RSUEncoder, network.encoder), cast(RSUDecoder, network.decoder)
    strides = encoder.feature_info.strides
    stride_labels(picture, strides, first)
    rows = [first + PITCH * index for index in range(len(strides))]
    down = [
        picture.box("encoder", encoder_x, y, width, *rsu_lines(stage))
        for y, stage in zip(rows, encoder.stages, strict=True)
        if y != rows[-1]
    ]
    up = [
        picture.box("decoder", decoder_x, y, width, *rsu_lines(stage))
        for y, stage in zip(rows[:-1], decoder.stages, strict=True)
    ]
    coarsest = picture.box(
        "encoder", encoder_x + width / 2, rows[-1], decoder_x - encoder_x, *rsu_lines(encoder.stages[-1])
    )
    for before, after in zip(down[:-1], down[1:], strict=True):
        picture.arrow(before.bottom(), after.top())
    for skip, stage in zip(down, up, strict=True):
        picture.arrow(skip.right(), stage.left())
    for before, after in zip(up[1:], up[:-1], strict=True):
        picture.arrow(before.top(), after.bottom())
    picture.through(down[-1], coarsest, up[-1])
    return _U([*up, coarsest], rows)


def isnet() -> str:
    """IS-Net: a strided stem, RSU stages, a side output for each stage."""
    picture = Picture(
        "IS-Net: a strided convolution, six encoder and five decoder stages of residual U-blocks, and a map from each "
        "decoder feature; the finest map is the answer."
    )
    network = cast(dichoseg.Segmenter, model("isnet"))
    encoder_x, decoder_x, width = 84, 282, 140
    column_titles(picture, (154, "Encoder"), (352, "Decoder"), (546, "SideHeads"))
    image = picture.box("data", encoder_x, 52, width, "image", height=34)
    stem = convolution(cast(RSUEncoder, network.encoder).stem)
    entry = picture.box(
        "encoder", encoder_x, 108, width, f"{kernel(stem)}, stride {stem.stride[0]}", str(stem.out_channels)
    )
    u = _u(picture, network, first=190, encoder_x=encoder_x, decoder_x=decoder_x, width=width)
    picture.arrow(image.bottom(), entry.top())
    picture.arrow(entry.bottom(), (entry.bottom()[0], u.rows[0]))
    for index, feature in enumerate(u.features):
        y = u.rows[index] + 9
        side = picture.box("heads", 492, y, 108, f"side {index}" if index else "logits", height=36)
        picture.arrow(feature.right(), side.left())
    return picture.finished(
        u.rows[-1] + BOX + 34,
        STAGE_NOTE,
        SCALE_NOTE,
        f"Heads: {kernel(cast(dichoseg.SideHeads, network.heads).sides[0])} to one channel. "
        "Left: size, as a part of the image's.",
    )


def u2net() -> str:
    """U²-Net and U²-NetP: RSU stages from the full resolution on, side maps fused."""
    picture = Picture(
        "U²-Net: six encoder and five decoder stages of residual U-blocks from the full resolution on; a map from "
        "each decoder feature, and their fusion, which is the answer."
    )
    network, small = (cast(dichoseg.Segmenter, model(name)) for name in ("u2net", "u2netp"))
    stages = [*cast(RSUEncoder, small.encoder).stages, *cast(RSUDecoder, small.decoder).stages]
    (widths,) = {rsu_lines(stage)[1] for stage in stages}
    column_titles(picture, (142, "Encoder"), (300, "Decoder"), (486, "FusedHeads"))
    image = picture.box("data", 84, 52, 116, "image", height=34)
    u = _u(picture, network, first=108, encoder_x=84, decoder_x=242, width=116)
    picture.arrow(image.bottom(), (image.bottom()[0], u.rows[0]))
    _fused(picture, u.features, u.rows, cast(FusedHeads, network.heads), x=402, logits_y=52)
    return picture.finished(
        u.rows[-1] + BOX + 34,
        STAGE_NOTE,
        f"U²-NetP has {widths} in every stage.",
        SCALE_NOTE,
        "Side maps are resized to the image's size, then fused.",
    )


def _fused(
    picture: Picture, features: Sequence[Box], rows: Sequence[float], heads: FusedHeads, *, x: float, logits_y: float
) -> None:
    """Draw the side maps of features, and their fusion."""
    fuse = picture.box("heads", 532, rows[0], 84, "fuse", kernel(heads.fuse), height=rows[-1] + BOX - rows[0])
    for index, (feature, y) in enumerate(zip(features, rows, strict=True), start=1):
        side = picture.box("heads", x, y + 9, 88, f"side {index}", height=36)
        picture.arrow((feature.right()[0], side.left()[1]), side.left())
        picture.arrow(side.right(), (fuse.x, side.right()[1]))
    logits = picture.box("data", 532, logits_y, 84, "logits", height=34)
    picture.arrow(fuse.top(), logits.bottom())


def gt_encoder() -> str:
    """The GT encoder, what trains it, and how its features supervise a network."""
    picture = Picture(
        "The GT encoder: six stages of residual U-blocks over the mask. First it learns to give the mask back; then, "
        "frozen, each of its features is compared with that of IS-Net's decoder."
    )
    network = cast(dichoseg.GTEncoder, model("isnet_gt_encoder"))
    student = model("isnet").feature_info
    if student != network.feature_info:
        raise ValueError(f"the GT encoder's features are {network.feature_info}, IS-Net's {student}")
    purple = COLOURS["training"][1]
    column_titles(picture, (118, "First stage"), (262, "GTEncoder"), (532, "Image network"))
    mask = picture.box("data", 194, 52, 136, "mask", height=34)
    stem = convolution(network.encoder.stem)
    entry = picture.box("encoder", 194, 108, 136, f"{kernel(stem)}, stride {stem.stride[0]}", str(stem.out_channels))
    image = picture.box("data", 458, 52, 148, "image", height=34)
    body = picture.box("decoder", 458, 108, 148, "IS-Net", "encoder, decoder")
    first = 190
    rows = [first + PITCH * index for index in range(len(student.strides))]
    stride_labels(picture, student.strides, first)
    before = entry
    outer = picture.box("data", 447, first - 12, 170, height=rows[-1] + BOX + 12 - first + 12, dashed=True)
    for index, (y, stage, channels) in enumerate(zip(rows, network.encoder.stages, student.channels, strict=True)):
        box = picture.box("encoder", 194, y, 136, *rsu_lines(stage))
        side = picture.box("heads", 78, y + 9, 80, f"side {index}" if index else "logits", height=36)
        loss = picture.box("training", 364, y + 9, 60, "MSE", height=36)
        feature = picture.box("decoder", 458, y + 9, 148, f"{channels} channels", height=36)
        picture.arrow(before.bottom(), box.top())
        picture.arrow(box.left(), side.right())
        picture.arrow(box.right(), loss.left(), colour=purple, dashed=True)
        picture.arrow(feature.left(), loss.right(), colour=purple)
        before = box
    picture.arrow(mask.bottom(), entry.top())
    picture.arrow(image.bottom(), body.top())
    picture.arrow(body.bottom(), outer.top())
    return picture.finished(
        rows[-1] + BOX + 40,
        "First stage: the heads learn to give the mask back (DeepSupervision).",
        "Then the GT encoder is frozen, and its features are the targets of the "
        "decoder's (IntermediateSupervision). Dashed: no gradient goes back.",
    )


def deconv() -> str:
    """The deconv variant: coarse decoder features enlarged to the second one's size before their heads."""
    picture = Picture(
        "The deconv variant of IS-Net: decoder features 3 to 6 are enlarged to the size of feature 2 by transposed "
        "convolutions and joined with it; six maps are fused to the answer."
    )
    network = cast(dichoseg.Segmenter, model("isnet_deconv"))
    heads = cast(RefinedHeads, network.heads)
    enlarger = cast(DeconvEnlarger, heads.refine)
    before, after = network.feature_info, enlarger.feature_info
    blue = COLOURS["decoder"][1]
    column_titles(picture, (118, "IS-Net"), (278, "DeconvEnlarger"), (486, "FusedHeads"))
    image = picture.box("data", 70, 52, 96, "image", height=34)
    first = 108
    rows = [first + PITCH * index for index in range(len(before.strides))]
    stride_labels(picture, before.strides, first)
    features = [
        picture.box("decoder", 70, y, 96, f"feature {index}", str(channels))
        for index, (y, channels) in enumerate(zip(rows, before.channels, strict=True), start=1)
    ]
    picture.arrow(image.bottom(), features[0].top())
    results = features[:2]
    bus = 288
    for index, enlarge in enumerate(enlarger.enlarge, start=2):
        steps = cast(nn.Sequential, enlarge)
        ratio = before.strides[index] // after.strides[index]
        if ratio != 2 ** len(steps):
            raise ValueError(f"{len(steps)} steps do not enlarge by {ratio}")
        grown = picture.box(
            "decoder", 190, rows[index], 76, f"×{ratio}", "1 step" if len(steps) == 1 else f"{len(steps)} steps"
        )
        joined = picture.box(
            "decoder", 308, rows[index], 66, "join", f"{after.channels[index]}, 1/{after.strides[index]}"
        )
        picture.arrow(features[index].right(), grown.left())
        picture.arrow(grown.right(9), joined.left(9))
        picture.arrow((bus, joined.left(-12)[1]), joined.left(-12), colour=blue)
        results.append(joined)
    level = features[1].right(0)[1]
    picture.arrow((bus, level), (bus, results[-1].left(-12)[1]), colour=blue, head=False)
    _fused(picture, results, rows, cast(FusedHeads, heads.heads), x=402, logits_y=52)
    picture.dot((bus, level), colour=blue)
    for index in range(2, len(rows) - 1):
        picture.dot((bus, results[index].left(-12)[1]), colour=blue)
    return picture.finished(
        rows[-1] + BOX + 34,
        "feature: the decoder's, with its channels; what a GT encoder supervises.",
        "step: a 2×2 transposed convolution of stride 2; nothing between steps.",
        "join: with feature 2 (blue), then two 3×3 convolutions; channels, size.",
    )


def egnet() -> str:
    """EGNet: a top-down path, an edge branch, and one-to-one guidance."""
    picture = Picture(
        "EGNet: backbone features, a top-down path of salient features, an edge feature from the finest one with the "
        "location of the coarsest result, and guided features whose sum gives the answer."
    )
    resnet, vgg = (cast(dichoseg.Segmenter, model(name)) for name in ("egnet_resnet50", "egnet_vgg16"))
    decoder, heads = cast(EdgeGuidedDecoder, resnet.decoder), cast(EdgeGuidedHeads, resnet.heads)
    if decoder.feature_info.channels != cast(EdgeGuidedDecoder, vgg.decoder).feature_info.channels:
        raise ValueError("the two decoders differ")
    strides = [info.strides for info in (resnet.feature_info, vgg.feature_info)]
    channels = [part.encoder.feature_info.channels for part in (resnet, vgg)]
    blue, amber = COLOURS["decoder"][1], COLOURS["heads"][1]
    first, width = 108, 122
    rows = [first + PITCH * index for index in range(len(strides[0]))]
    column_titles(picture, (135, "Encoder"), (308, "Decoder"), (508, "EdgeGuidedHeads"))
    image = picture.box("data", 74, 52, width, "image", height=34)
    for y, pair in zip(rows, zip(*strides, strict=True), strict=True):
        for shift, stride in zip((-11, 11) if pair[0] != pair[1] else (0, 0), pair, strict=True):
            picture.text(42, y + BOX / 2 + shift, f"1/{stride}", size=17, colour=GREY)
            if pair[0] == pair[1]:
                break
    backbone = [
        picture.box("encoder", 74, y, width, f"ResNet {of_resnet}", f"VGG {of_vgg}")
        for y, of_resnet, of_vgg in zip(rows, *channels, strict=True)
    ]
    names = ["edge", *(f"salient {index}" for index in range(1, len(rows)))]
    decoded = [
        picture.box("decoder", 252, y, 112, name, f"{wide}, {kernel(part)}")
        for y, name, wide, part in zip(rows, names, decoder.feature_info.channels, decoder.up, strict=True)
    ]
    guided = [
        picture.box("heads", 408, y, 108, f"guided {index}", f"{convolution(part).out_channels}, {kernel(part)}")
        for index, (y, part) in enumerate(zip(rows[1:], heads.guided, strict=True), start=1)
    ]
    fuse = picture.box(
        "heads",
        550,
        rows[1],
        66,
        "sum",
        kernel(heads.fuse[0]),
        kernel(heads.fuse[2]),
        height=rows[-1] + BOX - rows[1],
    )
    logits = picture.box("data", 550, rows[0] + 9, 66, "logits", height=36)
    picture.arrow(image.bottom(), backbone[0].top())
    for before, after in zip(backbone[:-1], backbone[1:], strict=True):
        picture.arrow(before.bottom(), after.top())
    for feature, result in zip(backbone, decoded, strict=True):
        picture.arrow(feature.right(-10), result.left(-10))
    for before, after in zip(decoded[2:], decoded[1:-1], strict=True):
        picture.arrow(before.top(), after.bottom())
    aside = 224
    picture.arrow(
        decoded[-1].left(13),
        (aside, decoded[-1].left(13)[1]),
        (aside, decoded[0].left(13)[1]),
        decoded[0].left(13),
        colour=blue,
        dashed=True,
    )
    bus = 386
    picture.arrow(
        decoded[0].right(), (bus, decoded[0].right()[1]), (bus, guided[-1].left(-12)[1]), colour=amber, head=False
    )
    for result, part in zip(decoded[1:], guided, strict=True):
        picture.arrow(result.right(9), part.left(9))
        picture.arrow((bus, part.left(-12)[1]), part.left(-12), colour=amber)
        picture.arrow(part.right(), (fuse.x, part.right()[1]))
    for part in guided[:-1]:
        picture.dot((bus, part.left(-12)[1]), colour=amber)
    picture.arrow(fuse.top(), logits.bottom())
    for box in decoded:
        picture.dot((box.x + box.width - 10, box.y), radius=6, colour=blue if box != decoded[0] else "#b3261e")
    for box in guided:
        picture.dot((box.x + box.width - 10, box.y), radius=6, colour=amber)
    return picture.finished(
        rows[-1] + BOX + 34,
        "512, 5×5: channels, and the kernel of the three convolutions.",
        "ResNet's features first pass a 1×1 convolution to the decoder's widths.",
        "Dashed: where the object is, from the coarsest result.",
        "guided: the salient feature enlarged, with the edge feature (amber).",
        "A dot: this feature gives a map as well; red is that of edges.",
    )


def imports() -> str:
    """Draw which part of the library imports which: rows import columns, in the order of the import contract."""
    layers = [
        [module.removeprefix("dichoseg.") for module in layer.split(" | ")]
        for layer in tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"][0][
            "layers"
        ]
    ]
    parts = [module for layer in layers for module in layer]
    graph = grimp.build_graph("dichoseg", exclude_type_checking_imports=True, cache_dir=None)
    used = {part: _imported(graph, f"dichoseg.{part}") for part in parts}
    picture = Picture(
        "The imports between the parts of dichoseg: a triangle, since each part imports only parts of lower layers. "
        f"At the top is {parts[0]}, which imports most of the others; at the bottom are {parts[-2]} and {parts[-1]}."
    )
    left, top, pitch, row = 134, 118, 13, 0
    side = pitch * len(parts)
    for index, layer in enumerate(layers):
        if index % 2 == 0:
            y, height = top + pitch * row, pitch * len(layer)
            picture.parts.append(f'<rect x="8" y="{y}" width="{left + side - 8}" height="{height}" fill="#e3ecef"/>')
        row += len(layer)
    for index, part in enumerate(parts):
        x, y = left + pitch * (index + 0.5), top + pitch * (index + 0.5)
        picture.text(left - 6, y, part, size=11.5, anchor="end", room=left)
        picture.parts.append(
            f'<text transform="translate({x + 4:g} {top - 6}) rotate(-90)" font-size="11.5" fill="{INK}">{part}</text>'
        )
        picture.parts.append(
            f'<rect x="{x - 5:g}" y="{y - 5:g}" width="10" height="10" rx="2" fill="{COLOURS["data"][1]}"/>'
        )
        for other in sorted(used[part].intersection(parts)):
            picture.dot((left + pitch * (parts.index(other) + 0.5), y), colour=COLOURS["encoder"][1])
    return picture.finished(
        top + side + 24,
        "A dot: the part of this row imports the part of this column. Bands: layers of the import contract.",
    )


def _imported(graph: grimp.ImportGraph, part: str) -> set[str]:
    """Return the names of the parts that the modules of a part import."""
    modules = {part} | graph.find_descendants(part)
    found = {other for module in modules for other in graph.find_modules_directly_imported_by(module)}
    return {other.split(".")[1] for other in found - modules if "." in other}


DIAGRAMS: dict[str, Callable[[], str]] = {
    "imports": imports,
    "contract": contract,
    "rsu": rsu,
    "isnet": isnet,
    "u2net": u2net,
    "gt_encoder": gt_encoder,
    "deconv": deconv,
    "egnet": egnet,
}


def main() -> None:
    """Write the files."""
    for name, draw in DIAGRAMS.items():
        (HERE / f"{name}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
