import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dichoseg import create_model
from dichoseg.data import pixel_limit
from dichoseg.photographs import predict_files
from dichoseg.photographs.animation import animation_kind, predict_frames
from dichoseg.photographs.rendering import Rendering

DURATIONS = [100, 200, 300]


class Bright:
    """A predictor whose foreground is what has more than half of red; counts its calls."""

    model = create_model("u2netp", size=32)

    def __init__(self):
        self.calls = 0

    def __call__(self, pixels):
        self.calls += 1
        return (pixels[..., 0] > 128).astype(np.float32)


@pytest.fixture(params=["gif", "webp", "png"])
def animation(request, tmp_path):
    frames = []
    for index in range(3):
        frames.append(Image.new("RGB", (60, 40), (0, 0, 128)))
        ImageDraw.Draw(frames[-1]).rectangle((5 + 15 * index, 5, 20 + 15 * index, 25), fill=(250, 200, 40))
    path = tmp_path / f"moving.{request.param}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=DURATIONS, loop=2, lossless=True)
    return path


def read(path):
    """Frames as RGBA, their durations, and the loop."""
    frames, durations = [], []
    with Image.open(path) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()
            durations.append(image.info.get("duration"))
            frames.append(np.array(image.convert("RGBA")))
        return frames, durations, image.info.get("loop")


def test_value_every_frame_and_the_same_kind(animation, tmp_path):
    predictor = Bright()
    result = predict_files(predictor, [animation], tmp_path / "out", both=True)
    kind = animation.suffix
    assert [path.name for path in result.paths] == [f"moving.mask{kind}", f"moving.cutout{kind}"]
    assert predictor.calls == 3
    for path in result.paths:
        frames, durations, loop = read(path)
        assert (durations, loop) == (DURATIONS, 2)
        for index, frame in enumerate(frames):
            inside = np.zeros((40, 60), bool)
            inside[5:26, 5 + 15 * index : 21 + 15 * index] = True
            shown = frame[..., 3 if "cutout" in path.name else 0]
            assert (shown[inside] == 255).all()
            assert (shown[~inside] == 0).all()
            if "cutout" in path.name:
                assert np.abs(frame[inside].astype(int) - (250, 200, 40, 255)).max() < 20


def test_value_frames_are_cropped_alike(animation, tmp_path):
    (path,) = predict_files(Bright(), [animation], tmp_path / "out", crop=True).paths
    assert {frame.shape for frame in read(path)[0]} == {(21, 46, 4)}


def test_value_a_still_format_takes_the_first_frame(animation, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        (path,) = predict_files(Bright(), [animation], tmp_path / "out", format="jpg").paths
    assert path.suffix == ".jpg"
    assert "moving" in caplog.text
    assert "holds 3 pictures; number 1 is taken" in caplog.text


def test_value_next_to_the_photograph_and_not_a_photograph_later(animation):
    kind = animation.suffix[1:]
    for _ in range(2):  # which is also no photograph of the folder
        (path,) = predict_files(Bright(), [animation.parent]).paths
        assert path == animation.with_name(f"moving.mask.{kind}")
        assert len(read(path)[0]) == 3
    one = animation.with_name(f"one.{kind}")
    assert predict_files(Bright(), [animation], one).paths == (one,)
    assert len(read(one)[0]) == 3


def test_error_too_many_pixels_in_all(animation, tmp_path):
    with pixel_limit(2 * 60 * 40):
        result = predict_files(Bright(), [animation], tmp_path / "out")
    assert "3 frames of 60x40 pixels exceed 4800 in all" in result.failures[0]


def test_error_truncated(animation, tmp_path):
    content = animation.read_bytes()
    animation.write_bytes(content[: len(content) * 3 // 5])
    result = predict_files(Bright(), [animation], tmp_path / "out")
    assert result.written + len(result.failures) == 1  # as much as Pillow reads, or a failure that names the file
    assert all("moving" in failure for failure in result.failures)


def test_value_kinds(tmp_path):
    Image.new("L", (4, 5)).save(tmp_path / "still.png")
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    assert [animation_kind(tmp_path / name) for name in ("still.png", "broken.gif", "a.jpg", "none.gif")] == [None] * 4


def test_value_a_picture_that_is_not_part_of_the_animation(tmp_path):
    pages = [Image.new("RGB", (6, 4), color) for color in ("white", "red", "blue")]
    path = tmp_path / "a.png"
    pages[0].save(path, save_all=True, append_images=pages[1:], default_image=True, duration=50)
    predicted = predict_frames(Path(path), Bright(), {"mask": Rendering(cutout=False)})
    assert [frame.mask.max() for frame in predicted.frames["mask"]] == [255, 0]
