"""Published file of the pocket network: its names and the conversion of its tensors."""

from collections.abc import Mapping
from typing import Any

from dichoseg.records import Names, Published


def _names() -> Names:
    names = {"input": "encoder.stem"}
    for stage, depth in enumerate((7, 6, 5, 4)):
        blocks = ["entry", *(f"down.{level}" for level in range(depth))]
        blocks += [f"up.{level}" for level in range(depth - 1)]
        names |= {
            f"backbone.{stage}.{block}.{part}": f"encoder.stages.{stage}.{block}.{part}"
            for block in blocks
            for part in ("conv", "norm")
        }
    names |= {f"neck.{index}": f"decoder.project.{index}" for index in range(4)}
    return names | {
        "mix.conv": "decoder.mix.conv",
        "mix.norm": "decoder.mix.norm",
        "mask": "heads.sides.0",
    }


def _with_kernels(state: dict[str, Any]) -> Mapping[str, Any]:
    """Reshape the neck's matrices into kernels of 1x1 convolutions."""
    return {
        name: value[:, :, None, None]
        if name.startswith("decoder.project") and value.ndim == 2
        else value
        for name, value in state.items()
    }


POCKET = Published(names=_names(), convert=_with_kernels)
