"""Published weights of BiRefNet. Importable without torch.

A record needs a checksum: of the author's DIS5K, DIS5K-TR_TEs, HRSOD, COD and legacy files none is known.
"""

from __future__ import annotations

import dataclasses

from ..records import Weights

_ROWS, _COLUMNS = "(patch_order='rows')", "(patch_order='columns')"

_GENERAL = Weights(
    name="birefnet",
    network=f"birefnet{_COLUMNS}",
    file="model.safetensors",
    addresses=("hf://ZhengPeng7/BiRefNet@e2bf8e4460fc8fa32bba5ea4d94b3233d367b0e4/model.safetensors",),
    sha256="9ab37426bf4de0567af6b5d21b16151357149139362e6e8992021b8ce356a154",
    bytes=444_473_596,
    license="mit",
    license_source="the author, for code and weights; terms of some training sets, such as DIS5K, are stricter",
    commercial="yes",
    training_data="DIS5K, DUTS, HRSOD, UHRSD, HRS10K, P3M-10k and others",
    seen_test_sets="DIS-TE1 to TE4",
    paper="arXiv:2401.03407",
    tested="by its keys",
)


def _like_general(name: str, repository: str, revision: str | None, **changes: object) -> Weights:
    """Return the record of another file of the same author; without a known revision, only a mirror has it."""
    address = f"hf://ZhengPeng7/{repository}@{revision}/model.safetensors"
    fields = {
        "addresses": (address,) if revision else (),
        "training_data": "not stated",
        "seen_test_sets": None,
    } | changes
    return dataclasses.replace(_GENERAL, name=name, **fields)  # type: ignore[arg-type]  # checked by Weights


RECORDS = (
    _GENERAL,
    _like_general(
        "birefnet-lite",
        "BiRefNet_lite",
        "aa62cd87eafb9cc43056d08ef3615a14628b831d",
        network=f"birefnet_lite{_COLUMNS}",
        sha256="4417d89795250e698c3cb0ae8df15743810065f646f48a694fdfa7ca052d0815",
        bytes=177_634_392,
        training_data=_GENERAL.training_data,
        seen_test_sets=_GENERAL.seen_test_sets,
        purpose="general, small",
    ),
    _like_general(
        "birefnet-hr",
        "BiRefNet_HR",
        "a7a562f6fd16021180f2f4348f4de003a2d3d1e1",
        network=f"birefnet{_ROWS}",
        sha256="9d678bafec0b0019fbb073b7fd02f05ede25dc4b15254f23b2fb0be333200c0d",
        preprocessing={"size": 2048},
        purpose="general, large photographs",
    ),
    _like_general(
        "birefnet-hr-matting",
        "BiRefNet_HR-matting",
        "5d6b6f8adcb5b417c871b1d84ceaae9871355b7f",
        network=f"birefnet{_ROWS}",
        sha256="a5a4de698739ea5e0e8bbab28e1b293dde95092b87a442d566cbc585c53cef55",
        preprocessing={"size": 2048},
        purpose="matting, large photographs",
    ),
    _like_general(
        "birefnet-dynamic",
        "BiRefNet_dynamic",
        "280306042f57b7a33854319da62fd86aaa89ec4c",
        network=f"birefnet{_ROWS}",
        sha256="e3d2e4884e51ff30f0cd630edc6b1e41b06b7f23a0a2a5169f7b7cb33a711c2d",
        purpose="general, sizes from 256 to 2304 pixels",
    ),
    _like_general(
        "birefnet-matting",
        "BiRefNet-matting",
        "eccde0a8cbdce7ac5fecfeb06340fe7b949e85d9",
        sha256="a9875de5b1e6c8eb5fdaa8c727a82927ce442cdc87ba3abee6a77e6fa46c25bb",
        bytes=884_878_856,
        purpose="matting",
    ),
    _like_general(
        "birefnet-lite-matting",
        "BiRefNet_lite-matting",
        "99c33412e3f58e1f33187abdc8c435c645243690",
        network="birefnet_lite",  # its patch order is not known
        sha256="ce8bcfc045e336322c0424a5863dcfb7e9ce8fed0a5fd4d1b2b20adf12d97243",
        bytes=88_965_896,
        purpose="matting, small",
    ),
    _like_general(
        "birefnet-portrait",
        "BiRefNet-portrait",
        None,
        sha256="4a4eb3a5469b75f0cccaec6772c22fc30e6c12ed429c2c0ba71b43e3d8d97182",
        bytes=884_878_856,
        purpose="people",
    ),
    _like_general(
        "birefnet-512",
        "BiRefNet_512x512",
        None,
        network=f"birefnet{_ROWS}",
        sha256="d94ae0eefb2d2020192001e984ecd6b367478118257a3132e6a484bbf18b0f41",
        preprocessing={"size": 512},
        purpose="general, small photographs",
    ),
    _like_general(
        "birefnet-lite-2k",
        "BiRefNet_lite-2K",
        None,
        network=f"birefnet_lite{_COLUMNS}",
        sha256="aa2e4a5af5eb3904694feb40f2b39ec5dd7cd9110906590cfeb982f09a46021d",
        bytes=177_634_392,
        preprocessing={"size": (1440, 2560)},
        purpose="general, small, photographs of 2560 by 1440 pixels",
    ),
)
