"""Published weights of InSPyReNet. Importable without torch.

A record needs a checksum: of `ckpt_base_nightly.pth` and of the files of the paper none is known.
"""

from __future__ import annotations

import dataclasses

from ..records import Weights

_RELEASE = "https://github.com/plemeri/transparent-background/releases/download/1.2.12"
_HUB = "hf://plemeri/InSPyReNet@d94c2baaa4d023ab018c6f97be6ef37548e3bd1f"

_BASE = Weights(
    name="inspyrenet",
    network="inspyrenet(base_size=(1024, 1024))",
    file="ckpt_base.pth",
    addresses=(f"{_RELEASE}/ckpt_base.pth", f"{_HUB}/ckpt_base.pth"),
    sha256="0a6fe2a73ab0532d6d0b8d82849a9760a226df719e3063d09b4149ece6f80fcd",
    md5="d692e3dd5fa1b9658949d452bebf1cda",
    bytes=367_520_613,
    license="mit",
    license_source="the repositories InSPyReNet and transparent-background, which state none for the weights only",
    commercial="yes",
    training_data="DUTS, HRSOD, UHRSD, DIS5K and others, with their test sets",
    seen_test_sets="DUTS-TE, DUT-OMRON, ECSSD, HKU-IS, PASCAL-S, DAVIS-S, HRSOD-TE, UHRSD-TE, DIS-VD, DIS-TE1 to TE4",
    paper="arXiv:2209.09475",
    tested="by its keys",
)

RECORDS = (
    _BASE,
    dataclasses.replace(
        _BASE,
        name="inspyrenet-fast",
        network="inspyrenet(base_size=(384, 384))",
        file="ckpt_fast.pth",
        addresses=(f"{_RELEASE}/ckpt_fast.pth", f"{_HUB}/ckpt_fast.pth"),
        sha256="e61ed7e85763dd83a796e1d650ea78604fff524121750858c54a6b560ac58c82",
        md5="9efdbfbcc49b79ef0f7891c83d2fd52f",
        bytes=None,
        approximate_bytes=368_000_000,
        purpose="general, fast",
    ),
)
