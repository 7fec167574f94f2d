import sys

import pytest

from dichoseg._lazy import attach


def test_value_names_resolve_on_first_use():
    get, names = attach("json", {"decoder": "JSONDecoder", "": "encoder"})
    assert {"JSONDecoder", "encoder", "dumps"} <= set(names())
    assert get("encoder") is sys.modules["json.encoder"]
    assert get("JSONDecoder") is sys.modules["json.decoder"].JSONDecoder


def test_error_unknown_name():
    get, _ = attach("json")
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'nothing'"):
        get("nothing")
