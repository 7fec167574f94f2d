import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg.data import read_image, read_mask
from dichoseg.data.decoding import image_tensor, open_image, to_unit
from dichoseg.data.mask_files import alpha_pixels

SQUARE = np.zeros((4, 5), np.uint8)
SQUARE[1:3, 1:4] = 1


def read_cutout(path):
    image = open_image(path)
    return image_tensor(image), to_unit(alpha_pixels(image, path))


def palette_picture(indices, colours):
    picture = Image.fromarray(indices)
    picture.putpalette([value for colour in colours for value in colour])
    assert picture.mode == "P"
    return picture


MASKS = {
    "zero_one.png": Image.fromarray(SQUARE),
    "grey.png": Image.fromarray(SQUARE * 255),
    "bilevel.png": Image.fromarray(SQUARE * 255).convert("1"),
    "alpha.png": Image.merge("RGBA", [*[Image.new("L", (5, 4), 90)] * 3, Image.fromarray(SQUARE * 255)]),
    "grey_alpha.png": Image.merge("LA", [Image.new("L", (5, 4), 90), Image.fromarray(SQUARE * 255)]),
    "colour.png": Image.fromarray(SQUARE * 255).convert("RGB"),
    "opaque.png": Image.fromarray(SQUARE * 255).convert("RGBA"),
    "palette.png": palette_picture(1 - SQUARE, [(255, 255, 255), (0, 0, 0)]),
    "grey_palette.png": palette_picture(SQUARE * 2, [(0, 0, 0), (255, 0, 0), (255, 255, 255)]),
    "sixteen.png": Image.fromarray(SQUARE.astype(np.uint16) * 65535),
    "sixteen_zero_one.png": Image.fromarray(SQUARE.astype(np.uint16)),
    "sixteen_255.png": Image.fromarray(SQUARE.astype(np.uint16) * 255),
    "integer.tif": Image.fromarray(SQUARE.astype(np.int32) * 255),
    "deep_integer.tif": Image.fromarray(SQUARE.astype(np.int32) * 65535),
    "float.tif": Image.fromarray(SQUARE.astype(np.float32)),
    "float_255.tif": Image.fromarray(SQUARE.astype(np.float32) * 255),
}


@pytest.mark.parametrize("name", MASKS)
def test_value_masks(name, tmp_path):
    MASKS[name].save(tmp_path / name)
    assert torch.equal(read_mask(tmp_path / name), torch.from_numpy(SQUARE).float()[None])


@pytest.mark.parametrize("filled", [0, 1, 20], ids=["empty", "one pixel", "full"])
def test_value_degenerate_masks(filled, tmp_path):
    pixels = np.zeros(20, np.uint8)
    pixels[:filled] = 255
    Image.fromarray(pixels.reshape(4, 5)).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").sum() == filled


VOC = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]
LABELS = {
    "grey.png": lambda ids: Image.fromarray(ids),
    "palette.png": lambda ids: palette_picture(ids, VOC),
    "colour.png": lambda ids: Image.fromarray(ids).convert("RGB"),
    "alpha.png": lambda ids: Image.fromarray(ids).convert("LA"),
    "sixteen.png": lambda ids: Image.fromarray(ids.astype(np.uint16)),
    "integer.tif": lambda ids: Image.fromarray(ids.astype(np.int32)),
    "float.tif": lambda ids: Image.fromarray(ids.astype(np.float32)),
}


@pytest.mark.parametrize("name", LABELS)
def test_value_label_ids(name, tmp_path):
    ids = np.array([[0, 1, 2], [3, 3, 2]], np.uint8)
    LABELS[name](ids).save(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}: .*seems to hold label ids.*; wanted .*; foreground= says"):
        read_mask(tmp_path / name)
    assert read_mask(tmp_path / name, foreground=[1, 3]).tolist() == [[[0, 1, 0], [1, 1, 0]]]
    assert read_mask(tmp_path / name, foreground=[9]).sum() == 0


def test_value_label_ids_of_one_class(tmp_path):
    palette_picture(SQUARE, VOC).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="a.png: the mask's palette has colors that are not gray"):
        read_mask(tmp_path / "a.png")
    Image.fromarray(SQUARE * 255).convert("1").save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        assert torch.equal(read_mask(tmp_path / name, foreground=[1]), torch.from_numpy(SQUARE).float()[None])


def test_error_label_ids_in_colours(tmp_path):
    palette_picture(SQUARE, VOC).convert("RGB").save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="a.png: the mask holds colors; wanted one label id a pixel.*#800000"):
        read_mask(tmp_path / "a.png", foreground=[1])


def test_value_cutouts(tmp_path):
    colour = np.full((4, 5, 3), (200, 100, 50), np.uint8)
    alpha = np.zeros((4, 5), np.uint8)
    alpha[1:3, 1:4] = 255
    alpha[0, 0] = 51
    Image.fromarray(np.dstack([colour, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([colour[..., 0], alpha])).save(tmp_path / "la.png")
    palette_picture(SQUARE, [(9, 9, 9), (200, 100, 50)]).save(tmp_path / "p.png", transparency=bytes([0, 255]))
    palette_picture(SQUARE, [(9, 9, 9), (200, 100, 50)]).save(tmp_path / "one.png", transparency=0)
    for name in ("rgba.png", "la.png"):
        image, mask = read_cutout(tmp_path / name)
        assert torch.equal(mask, torch.from_numpy(alpha).float()[None] / 255)
        assert torch.equal(image[0], torch.full((4, 5), 200 / 255))
    for name in ("p.png", "one.png"):
        image, mask = read_cutout(tmp_path / name)
        assert torch.equal(mask, torch.from_numpy(SQUARE).float()[None])
        assert torch.equal(image[0], read_image(tmp_path / name)[0])
        assert set(image[0].mul(255).unique().tolist()) == {9, 200}


@pytest.mark.parametrize(
    "picture", [Image.new("RGB", (5, 4)), Image.new("P", (5, 4)), Image.fromarray(np.zeros((4, 5), np.uint16))]
)
def test_error_no_alpha_channel(picture, tmp_path):
    picture.save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=f"a.png has no alpha channel; wanted a cut-out .*, got {picture.mode}"):
        read_cutout(tmp_path / "a.png")
