"""The decoder of BiRefNet, which looks at the image at every stage and gates its features by gradients."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..blocks import ConvNormAct, PatchOrder, patch_stack, resize, spatial_size
from ..checking import choice, whole
from ..contracts import Decoder, FeatureInfo, Features
from ..deformable import ASPPBlock
from ..heads.gradient import GradientHeads

GRADIENT_CHANNELS = 16


class BilateralReferenceDecoder(Decoder):
    """Decoder that joins the image, cut into patches, to the features of every stage.

    The first feature is the image that it refers to, as `ImageReference` makes it (any finest feature works). The
    others are decoded from coarse to fine: the coarsest, joined with the finer ones at its size, passes an `ASPPBlock`;
    each stage joins the image's patches, applies an `ASPPBlock`, and multiplies the result by a gate computed from its
    gradient feature. The last stage has no gate.

    It returns the joint of the last stage and the image at the image's size, then for each other stage, finest first,
    the feature before its gate and the gradient feature of 16 channels.

    For a feature of h by w, the image is cut into a grid of as many patches as the strides say, each of h by w, and the
    patches are stacked as channels. If the grid does not divide the image, the image is resized (with aligned corners)
    to the grid times h by w, so any size works. It is not padded, because the encoder has rounded up already: resized,
    each pixel of a patch stays over the features of its own place.

    Source: BiRefNet (arXiv:2401.03407), as in its code, with whose features, at multiples of 32 pixels, it is the same
    function: all resizing has aligned corners.

    Args:
        feature_info: Channels and strides: of the image first, then of the encoder's features.
        patch_order: Order of the patches' channels: `"rows"` counts color, row, column of the grid, the last fastest,
            as BiRefNet trains since November 2024; `"columns"` counts column, row, color, as before.
        context: Number of finer features that are joined with the coarsest.
        deformable: Whether the blocks are deformable.
        residual: Whether the blocks of the stages are residual.
    """

    default_heads: ClassVar[type[GradientHeads]] = GradientHeads

    def __init__(
        self,
        feature_info: FeatureInfo,
        *,
        patch_order: PatchOrder = "rows",
        context: int = 3,
        deformable: bool = True,
        residual: bool = False,
    ) -> None:
        super().__init__()
        whole("number of features", len(feature_info.channels), least=2)
        whole("context", context, least=0)
        self.patch_order = choice("patch_order", patch_order, ("rows", "columns"))
        reference, *levels = feature_info.channels
        base, *strides = feature_info.strides
        self.grids = [stride // base for stride in strides]
        self.context = min(context, len(levels) - 1)
        outputs = [max(levels[0] // 2, 1), *levels[:-1]]
        widths = [max(levels[min(index, len(levels) - 1)] // 8, 1) for index in range(len(levels) + 1)]

        self.squeeze = ASPPBlock(sum(levels[-1 - self.context :]), levels[-1], deformable=deformable)
        self.references = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(reference * grid**2, 64, kernel_size=3, padding=1),
                nn.Conv2d(64, width, kernel_size=3, padding=1),
            )
            for grid, width in zip((1, *self.grids), widths, strict=True)
        )
        self.blocks = nn.ModuleList(
            ASPPBlock(level + width, out, deformable=deformable, residual=residual)
            for level, width, out in zip(levels, widths[1:], outputs, strict=True)
        )
        self.laterals = nn.ModuleList(nn.Conv2d(level, level, kernel_size=1) for level in levels[:-1])
        self.gradients = nn.ModuleList(ConvNormAct(out, GRADIENT_CHANNELS) for out in outputs[1:])
        self.gates = nn.ModuleList(nn.Conv2d(GRADIENT_CHANNELS, 1, kernel_size=1) for _ in outputs[1:])
        channels, at = [outputs[0] + widths[0]], [base]
        for out, stride in zip(outputs[1:], strides[1:], strict=True):
            channels += [out, GRADIENT_CHANNELS]
            at += [stride, stride]
        self.feature_info = FeatureInfo(channels, at)

    def forward(self, features: Features) -> Features:
        """Return the joint at the image's size, then a feature and a gradient feature per gated stage."""
        image, *levels = features
        size = spatial_size(levels[-1])
        near = [resize(level, size, align_corners=True) for level in levels[-1 - self.context : -1]]
        current = self.squeeze(torch.cat([*near, levels[-1]], dim=1))
        decoded = []
        for index in reversed(range(len(levels))):
            if index < len(levels) - 1:
                enlarged = resize(current, spatial_size(levels[index]), align_corners=True)
                current = enlarged + self.laterals[index](levels[index])
            current = self.blocks[index](torch.cat([current, self._reference(image, levels[index], index)], dim=1))
            if index:
                gradient = self.gradients[index - 1](current)
                decoded += [gradient, current]
                current = current * self.gates[index - 1](gradient).sigmoid()
        enlarged = resize(current, spatial_size(image), align_corners=True)
        return (torch.cat([enlarged, self.references[0](image)], dim=1), *reversed(decoded))

    def _reference(self, image: Tensor, level: Tensor, index: int) -> Tensor:
        """Return the image's patches, of the size of a feature, after two convolutions."""
        (height, width), grid = spatial_size(level), self.grids[index]
        resized = resize(image, (height * grid, width * grid), align_corners=True)
        reference: Tensor = self.references[index + 1](patch_stack(resized, (grid, grid), order=self.patch_order))
        return reference
