import dataclasses
import functools

import pytest

from dichoseg import create_model
from dichoseg.models.isnet import ISNET
from dichoseg.models.u2net import U2NET
from dichoseg.testing import ConformanceError, check_published

ISNET_MODEL = functools.partial(create_model, "isnet")


def renamed(**changes):
    return dataclasses.replace(ISNET, names={**ISNET.names, **changes})


def test_value_a_good_record_passes():
    check_published(ISNET_MODEL, ISNET)
    check_published(functools.partial(create_model, "u2netp"), U2NET)
    converted = dataclasses.replace(ISNET, convert=dict, names={"theirs": "anything"})
    check_published(ISNET_MODEL, converted)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (U2NET, r"missing \['encoder.stem'\], unknown \['heads.fuse'\]"),
        (renamed(side7="heads.sides.5"), r"wanted each module once; got \['heads.sides.5'\] several times"),
        (renamed(side1="heads.sides.9"), r"missing \['heads.sides.0'\], unknown \['heads.sides.9'\]"),
        (dataclasses.replace(ISNET, names={}), "names that are not a dict of modules, str to str"),
        (dataclasses.replace(ISNET, convert="function"), "a convert that is not a function"),
        (dataclasses.replace(ISNET, names=["conv_in"], convert=dict), "names that are not a dict of modules"),
        (dataclasses.replace(ISNET, unused="num_batches_tracked"), "an unused that is not a tuple of str"),
        (ISNET.names, "a Published; got a dict"),
    ],
)
def test_error_says_what_to_change(record, message):
    with pytest.raises(ConformanceError, match=message):
        check_published(ISNET_MODEL, record)
