import pytest

from dichoseg.untrusted import (
    LIMITS,
    UnusableFileError,
    arguments_from_file,
    check_elements,
    check_limit,
    limit,
    names_from_file,
    reading,
)


def test_value_limits_and_their_factor(monkeypatch):
    monkeypatch.delenv("DICHOSEG_LIMIT_FACTOR", raising=False)
    assert limit("tensors") == LIMITS["tensors"]
    check_limit("tensors", 10_000)
    with pytest.raises(ValueError, match=r"too many tensors: 10001, and the limit is 10,000; DICHOSEG_LIMIT_FACTOR=10"):
        check_limit("tensors", 10_001)
    monkeypatch.setenv("DICHOSEG_LIMIT_FACTOR", "2.5")
    check_limit("tensors", 25_000)
    check_elements(40_000_000 + 10 * 7, 7)
    with pytest.raises(ValueError, match="claims 40,000,071 elements, and a file of its size may have 40,000,070"):
        check_elements(40_000_071, 7)


@pytest.mark.parametrize("text", ["", "many", "0", "-1", "nan", "inf"])
def test_error_factor(monkeypatch, text):
    monkeypatch.setenv("DICHOSEG_LIMIT_FACTOR", text)
    with pytest.raises(RuntimeError, match=f"DICHOSEG_LIMIT_FACTOR must be a number above 0; got '{text}'"):
        limit("tensors")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("odd"),
        RuntimeError("odd"),
        RecursionError("odd"),
        MemoryError("odd"),
        OverflowError("odd"),
        OSError("odd"),
    ],
    ids=repr,
)
def test_error_of_any_kind_names_the_file(error):
    with pytest.raises(UnusableFileError, match="^a.pth cannot be used: odd$") as caught, reading("a.pth"):
        raise error
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is error


def test_error_without_a_text_and_with_a_long_one():
    with pytest.raises(UnusableFileError, match="^a.pth cannot be used: MemoryError$"), reading("a.pth"):
        raise MemoryError
    with pytest.raises(UnusableFileError, match="^a.pth is odd$"), reading("a.pth"):
        raise ValueError("a.pth is odd")
    with pytest.raises(UnusableFileError) as caught, reading("a.pth"):
        raise ValueError("x" * 100_000)
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize(
    "error", [FileNotFoundError("no file"), PermissionError(13, "denied"), ImportError("no onnx"), KeyboardInterrupt()]
)
def test_error_of_the_system_stays(error):
    with pytest.raises(type(error)) as caught, reading("a.pth"):
        raise error
    assert caught.value is error


def test_value_names_from_a_file():
    assert names_from_file() is None
    with arguments_from_file(["a", "b", "a"]):
        assert names_from_file() == {"a", "b"}
    assert names_from_file() is None
