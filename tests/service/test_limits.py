import pytest

from dichoseg.runtime.memory import memory_limit
from dichoseg.service import Limits


def test_value_memory_for_models():
    assert Limits(memory=1.5).model_bytes == 1.5e9
    assert Limits().model_bytes == memory_limit() / 2 * 1e9


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"memory": -1}, "memory must be .*; got -1"),
        ({"queue": 0}, "queue must be 1 or more; got 0"),
        ({"timeout": 0}, "timeout must be .*; got 0"),
        ({"max_bytes": 0}, "max_bytes must be 1 or more; got 0"),
        ({"max_pixels": 0}, "max_pixels must be 1 or more; got 0"),
        ({"max_size": 0}, "max_size must be 1 or more; got 0"),
    ],
)
def test_error_limits(limits, text):
    with pytest.raises(ValueError, match=text):
        Limits(**limits)
