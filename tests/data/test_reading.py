import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg.data import read_image, read_mask


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1", "CMYK", "I;16"])
def test_shape_any_mode(mode, tmp_path):
    path = tmp_path / ("a.tif" if mode in ("CMYK", "I;16") else "a.png")
    grey = Image.fromarray(np.full((5, 7), 200, np.uint8))
    picture = Image.fromarray(np.full((5, 7), 51400, np.uint16)) if mode == "I;16" else grey.convert(mode)
    picture.save(path)
    image = read_image(path)
    assert image.shape == (3, 5, 7)
    assert image.dtype == torch.float32
    if mode not in ("1",):
        torch.testing.assert_close(image, torch.full((3, 5, 7), 200 / 255), atol=0.01, rtol=0)


def test_value_exif_orientation(tmp_path):
    picture = Image.fromarray(np.zeros((4, 8, 3), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (3, 8, 4)


def test_value_masks(tmp_path):
    square = np.zeros((4, 4), np.uint8)
    square[1:3] = 1
    expected = torch.from_numpy(square).float()[None]
    for name, picture in {
        "zero_one": Image.fromarray(square),
        "grey": Image.fromarray(square * 255),
        "bilevel": Image.fromarray(square * 255).convert("1"),
        "alpha": Image.merge("RGBA", [*[Image.new("L", (4, 4), 90)] * 3, Image.fromarray(square * 255)]),
        "colour": Image.fromarray(square * 255).convert("RGB"),
        "opaque": Image.fromarray(square * 255).convert("RGBA"),
    }.items():
        picture.save(tmp_path / f"{name}.png")
        assert torch.equal(read_mask(tmp_path / f"{name}.png"), expected), name


def test_error_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image at .*none.png"):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ValueError, match="text.jpg is not an image"):
        read_image(tmp_path / "text.jpg")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    with pytest.raises(ValueError, match="cut.jpg cannot be read as an image: .*truncated"):
        read_image(tmp_path / "cut.jpg")
    Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(tmp_path / "ids.png")
    with pytest.raises(ValueError, match="ids.png: the mask's largest value is 15, so it seems to hold label ids"):
        read_mask(tmp_path / "ids.png")
