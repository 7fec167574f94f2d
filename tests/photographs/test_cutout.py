import contextlib
import importlib.util
import os
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dichoseg.photographs.cutout import (
    bounding_box,
    can_estimate_foreground,
    cut_out,
    estimate_foreground,
    parse_background,
    times_alpha,
)

RANDOM = np.random.default_rng(0)
with_pymatting = pytest.mark.skipif(importlib.util.find_spec("pymatting") is None, reason="pymatting is not installed")


def mixture():
    """An orange disc of 65 by 97 with a soft edge before green: the photograph and its mask."""
    rows, columns = np.mgrid[:65, :97]
    alpha = np.clip((25 - np.hypot(rows - 32, columns - 48)) / 8 + 0.5, 0, 1)[..., None]
    photograph = alpha * (250, 140, 20) + (1 - alpha) * (10, 120, 10)
    return photograph.round().astype(np.uint8), (alpha[..., 0] * 255).round().astype(np.uint8)


def test_value_plain_cut_out():
    photograph = RANDOM.integers(0, 256, (65, 97, 3), np.uint8)
    mask = RANDOM.integers(0, 256, (65, 97), np.uint8)
    cut = cut_out(photograph, mask, estimate=False)
    assert cut.mode == "RGBA"
    assert np.array_equal(np.array(cut), np.dstack([photograph * (mask > 0)[..., None], mask]))
    placed = cut_out(photograph, mask, background=(255, 0, 10), estimate=False)
    alpha = mask[..., None] / 255
    assert placed.mode == "RGB"
    np.testing.assert_allclose(np.array(placed), photograph * alpha + (1 - alpha) * (255, 0, 10), atol=1)


def test_value_a_map_of_floats():
    photograph = RANDOM.integers(0, 256, (65, 97, 3), np.uint8)
    mask = RANDOM.integers(0, 256, (65, 97), np.uint8)
    expected = np.array(cut_out(photograph, mask, estimate=False))
    assert np.array_equal(cut_out(photograph, mask / np.float32(255), estimate=False), expected)
    hard = (mask > 127).astype(np.uint8) * np.uint8(255)
    expected = np.array(cut_out(photograph, hard, estimate=False))
    assert np.array_equal(cut_out(photograph, mask > 127, estimate=False), expected)


def test_value_transparent_pixels():
    photograph = RANDOM.integers(1, 256, (65, 97, 4), np.uint8)
    mask = RANDOM.integers(0, 2, (65, 97), np.uint8) * np.uint8(255)
    photograph[::2, :, 3] = 0
    cut = np.array(cut_out(photograph, mask, estimate=False))
    assert np.array_equal(cut[..., 3], np.where(mask > 0, photograph[..., 3], 0))
    assert (cut[cut[..., 3] == 0] == 0).all()
    kept = np.array(cut_out(photograph, mask, estimate=False, keep_colors=True))
    assert np.array_equal(kept[..., :3], photograph[..., :3])
    times = times_alpha(np.uint8([[0, 255, 128, 255]]), np.uint8([[255, 255, 128, 1]]))
    assert times.tolist() == [[0, 255, 64, 1]]
    assert times_alpha(mask, None) is mask
    photograph[..., :3], photograph[..., 3] = (0, 200, 0), np.where(mask > 0, 128, 255)
    cut = np.array(cut_out(photograph, np.maximum(mask, 1)))
    assert (cut[..., :3] == (0, 200, 0)).all(), "half-transparent pixels of the photograph are not mixed with another"


def test_value_estimated_colours_are_those_of_pymatting(monkeypatch):
    photograph, mask = mixture()
    seen = []

    def invert(image, alpha):
        seen.append((image.dtype, alpha.dtype, image.max() <= 1, alpha.max() == 1))
        return 1 - image

    monkeypatch.setitem(sys.modules, "pymatting", types.SimpleNamespace(estimate_foreground_ml=invert))
    assert can_estimate_foreground()
    cut = np.array(cut_out(photograph, mask))
    assert np.array_equal(cut, np.dstack([(255 - photograph) * (mask > 0)[..., None], mask]))
    assert seen == [(np.float32, np.float32, True, True)]
    for level in (0, 128, 255):
        for shape in ((1, 1), (5, 7)):
            mask = np.full(shape, level, np.uint8)
            assert np.array_equal(estimate_foreground(photograph[: shape[0], : shape[1]], mask),
                                  photograph[: shape[0], : shape[1]])  # fmt: skip
    assert len(seen) == 1


def test_value_one_estimate_at_a_time(monkeypatch):
    photograph, mask = mixture()
    running, most = 0, 0

    def estimate(image, alpha):
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return image

    monkeypatch.setitem(sys.modules, "pymatting", types.SimpleNamespace(estimate_foreground_ml=estimate))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: cut_out(photograph, mask), range(4)))
    assert most == 1, "or numba's simplest threading layer ends the process"


@pytest.mark.parametrize("fails", [False, True])
def test_value_threads_of_the_estimate(monkeypatch, fails):
    photograph, mask = mixture()
    numbers, seen = [6], []

    def estimate(image, alpha):
        seen.append(numbers[-1])
        if fails:
            raise MemoryError
        return image

    fake = types.SimpleNamespace(get_num_threads=lambda: numbers[-1], set_num_threads=numbers.append)
    monkeypatch.setitem(sys.modules, "numba", fake)
    monkeypatch.setitem(sys.modules, "pymatting", types.SimpleNamespace(estimate_foreground_ml=estimate))
    for threads in (None, 1, 4, 99):
        with pytest.raises(MemoryError) if fails else contextlib.nullcontext():
            cut_out(photograph, mask, threads=threads)
        assert numbers[-1] == 6, "as before"
    assert seen == [6, 1, 4, 6], "and never more than numba has"


@with_pymatting
def test_value_threads_do_not_change_the_estimate():
    photograph, mask = mixture()
    assert can_estimate_foreground()
    import numba  # after pymatting, or the threads that it starts would also be torch's in all later tests

    before = numba.get_num_threads()
    one, all_of_them = (estimate_foreground(photograph, mask, threads=threads) for threads in (1, None))
    assert np.array_equal(one, all_of_them)
    assert numba.get_num_threads() == before


@with_pymatting
def test_value_torch_keeps_its_threads():
    script = """
import numpy as np, torch
from dichoseg.photographs.cutout import can_estimate_foreground, estimate_foreground
torch.set_num_threads(1)
assert torch.get_num_threads() == 1
assert can_estimate_foreground()
print(torch.get_num_threads())
estimate_foreground(np.zeros((8, 8, 3), np.uint8), np.eye(8, dtype=np.uint8) * 255)
print(torch.get_num_threads())
"""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


@with_pymatting
def test_value_no_halo_of_the_old_background_remains():
    photograph, mask = mixture()
    alpha = mask[..., None] / 255
    wanted = alpha * (250, 140, 20) + (1 - alpha) * (255, 0, 255)
    off = [
        np.abs(np.array(cut_out(photograph, mask, background=(255, 0, 255), estimate=estimate)) - wanted).max()
        for estimate in (False, True)
    ]
    assert off[0] > 50, "the green shows"
    assert off[1] < 5
    inside = mask == 255
    estimated = estimate_foreground(photograph, mask)
    assert np.abs(estimated[inside].astype(int) - photograph[inside]).max() <= 2


@with_pymatting
@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 97), (500, 3)])
def test_shape_estimate_of_narrow_pictures(shape):
    photograph = RANDOM.integers(0, 256, (*shape, 3), np.uint8)
    mask = np.zeros(shape, np.uint8)
    mask[0, 0] = 255
    assert estimate_foreground(photograph, mask).shape == (*shape, 3)


def test_value_without_pymatting(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymatting", None)
    assert not can_estimate_foreground()


def test_error_pymatting_is_broken(tmp_path):
    (tmp_path / "pymatting.py").write_text("import no_such_compiler")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from dichoseg.photographs.cutout import can_estimate_foreground\ncan_estimate_foreground()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "No module named 'no_such_compiler'" in done.stderr


def test_value_bounding_box():
    mask = np.zeros((65, 97), np.uint8)
    assert bounding_box(mask) == (0, 0, 97, 65), "of nothing: all"
    mask[1, 2] = 12
    assert bounding_box(mask) == (0, 0, 97, 65), "fainter than one twentieth"
    mask[10, 20] = 13
    assert bounding_box(mask) == (20, 10, 21, 11)
    mask[30, 5] = 255
    assert bounding_box(mask) == (5, 10, 21, 31)
    assert bounding_box(mask, margin=6) == (0, 4, 27, 37)
    assert Image.fromarray(mask).crop(bounding_box(mask)).size == (16, 21)
    assert bounding_box(np.full((65, 97), 255, np.uint8)) == (0, 0, 97, 65)


@pytest.mark.parametrize(
    ("text", "colour"), [("white", (255, 255, 255)), ("#0a141e", (10, 20, 30)), ("#f00", (255, 0, 0))]
)
def test_value_colours(text, colour):
    assert parse_background(text) == colour


@pytest.mark.parametrize("text", ["", "none", "#12345", "#11223344"])
def test_error_colours(text):
    with pytest.raises(
        ValueError, match=f"background must be a color such as white or #f0f0f0, or a picture; got '{text}'"
    ):
        parse_background(text)
