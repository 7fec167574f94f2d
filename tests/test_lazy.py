import sys

import pytest

from dichoseg._lazy import attach


def test_value_names_resolve_on_first_use():
    get, names, listed = attach("json", {"JSONDecoder": "decoder", "encoder": ""})
    assert names() == listed == ["JSONDecoder", "encoder"]
    assert get("encoder") is sys.modules["json.encoder"]
    assert get("JSONDecoder") is sys.modules["json.decoder"].JSONDecoder


def test_error_unknown_name():
    get, _, _ = attach("json", {})
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'nothing'"):
        get("nothing")
