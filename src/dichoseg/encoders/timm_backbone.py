"""Any timm backbone as an encoder."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import timm
import torch

from ..blocks import resize, spatial_size
from ..contracts import Encoder, FeatureInfo, Features, Image
from ..preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from ..tracing import evaluating
from ..untrusted import names_from_file

FROM_FILES = frozenset(
    ("always_partition", "drop_path_rate", "drop_rate", "dynamic_img_pad", "dynamic_img_size", "global_pool")
    + ("img_size", "in_chans", "no_embed_class", "num_classes", "out_indices", "output_stride", "patch_size")
    + ("pretrained", "strict_img_size", "window_size", "zero_init_last")
)
"""Arguments of timm that a file may give: they open nothing, and no loop of timm runs as long as they say."""


class TimmEncoder(Encoder):
    """timm backbone that returns the features of its stages.

    Channels and strides are timm's own `feature_info`. Features are (B, C, h, w), also from backbones that work
    channels-last. If a backbone does not accept a size, as dry runs at construction find out, the image is resized,
    never padded, to the next size that it accepts.

    Args:
        name: A name that `timm.create_model` knows, such as `"convnext_tiny"`.
        pretrained: Whether timm loads its published weights.
        **timm_args: Further arguments of `timm.create_model`, such as `out_indices`.
    """

    def __init__(self, name: str, *, pretrained: bool = False, **timm_args: Any) -> None:
        super().__init__()
        given = names_from_file()
        if given is not None:
            _check_from_file(name, given & timm_args.keys())
            pretrained = False  # the file has all weights
        try:
            self.backbone = timm.create_model(name, pretrained=pretrained, features_only=True, **timm_args)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:  # of any argument
            network = name.split(".")[0].split("/")[-1]
            if not timm.is_model(network):
                near = get_close_matches(network, timm.list_models(), n=4)
                raise ValueError(f"timm has no backbone {name!r}; similar: {', '.join(near) or 'none'}") from error
            raise ValueError(f"timm cannot create {name!r} with features: {error}") from error
        info = self.backbone.feature_info
        self.feature_info = FeatureInfo(info.channels(), info.reduction())
        config: Mapping[str, Any] = getattr(self.backbone, "pretrained_cfg", {})
        self.preprocessing = Preprocessing(mean=config.get("mean", IMAGENET_MEAN), std=config.get("std", IMAGENET_STD))
        self.channels_last = getattr(self.backbone, "output_fmt", "NCHW") == "NHWC"
        self.size_multiple = self._find_size_multiple(name, config, in_channels=timm_args.get("in_chans", 3))

    def forward(self, image: Image) -> Features:
        """(B, 3, H, W) -> timm's features as (B, C, h, w), finest first."""
        if self.size_multiple > 1:
            height, width = (math.ceil(side / self.size_multiple) * self.size_multiple for side in spatial_size(image))
            image = resize(image, (height, width))
        features = self.backbone(image)
        if self.channels_last:
            features = [feature.permute(0, 3, 1, 2).contiguous() for feature in features]
        return tuple(features)

    def _find_size_multiple(self, name: str, config: Mapping[str, Any], *, in_channels: int) -> int:
        """Find by trial the smallest multiple of sides that the backbone accepts."""
        coarsest = self.feature_info.strides[-1]
        native = config.get("input_size", (3, 224, 224))[-1]
        refusal: Exception | None = None
        for multiple, size in (
            (1, (65, 97)),
            (coarsest, (4 * coarsest, 6 * coarsest)),
            (native, (native, 2 * native)),
        ):
            try:
                self._dry_run(in_channels, size)
            except (AssertionError, RuntimeError, ValueError) as error:
                refusal = error
            else:
                return multiple
        raise ValueError(
            f"timm's {name!r} takes {native}x{native} pixels only ({refusal}); pass an argument that makes it "
            "flexible, such as strict_img_size=False (Swin), dynamic_img_size=True (ViT) or img_size=..."
        ) from refusal

    @torch.no_grad()
    def _dry_run(self, in_channels: int, size: tuple[int, int]) -> None:
        with evaluating(self.backbone):
            self.backbone(torch.zeros(1, in_channels, *size))


def _check_from_file(name: str, given: frozenset[str]) -> None:
    """Raise a ValueError unless a name and arguments out of a file open no other file or address."""
    if not re.fullmatch(r"\w+(\.\w+)?", name):
        raise ValueError(f"a model from a file takes timm's backbones by plain names, such as resnet18; got {name!r}")
    if given - FROM_FILES:
        raise ValueError(
            f"a model from a file gives timm no {', '.join(sorted(given - FROM_FILES))}; if you trust the file, make "
            "the model with create_model, and fill it with load_model(path, model=mine)"
        )
