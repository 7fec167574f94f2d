import io
import struct
import threading
import warnings
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from dichoseg.data import read_image, read_mask
from dichoseg.data.decoding import eight_bits, image_pixels, image_tensor, open_image, open_reduced, opened, to_unit
from dichoseg.data.mask_files import mask_pixels


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


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_value_sixteen_bit(channels, tmp_path):
    values = np.full((5, 7, channels), 51400, np.uint16)
    values[..., 3:] = 65535
    cv2.imwrite(str(tmp_path / "a.png"), values)
    for picture in (read_image(tmp_path / "a.png"), read_mask(tmp_path / "a.png")):
        torch.testing.assert_close(picture, torch.full_like(picture, 200 / 255), atol=0.01, rtol=0)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGB", "I;16"])
def test_value_pixels_are_levels_of_what_has_8_bits(tmp_path, mode):
    grey = Image.fromarray(np.uint8([[0, 40, 255], [128, 200, 1]]))
    picture = Image.fromarray(np.array(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    grey.save(tmp_path / "a.png")
    for pixels, expected in (
        (image_pixels(picture), image_tensor(picture)),
        (mask_pixels(picture, "a.png", foreground=None), to_unit(mask_pixels(picture, "a.png", foreground=None))),
    ):
        assert pixels.dtype == (torch.float32 if mode == "I;16" else torch.uint8)
        assert expected.dtype == torch.float32
        assert torch.equal(to_unit(pixels), expected)
        assert torch.equal(expected, pixels if mode == "I;16" else pixels / 255)
    ones = Image.fromarray(np.uint8([[0, 1, 1]]))
    assert mask_pixels(ones, tmp_path / "a.png", foreground=None).tolist() == [[[0, 255, 255]]]
    assert mask_pixels(ones, "a.png", foreground=[0]).tolist() == [[[255, 0, 0]]]


def test_value_exif_orientation(tmp_path):
    picture = Image.fromarray(np.zeros((4, 8, 3), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (3, 8, 4)
    picture.save(tmp_path / "a.png", exif=exif)
    assert read_mask(tmp_path / "a.png").shape == (1, 8, 4)


def test_value_levels_are_255ths(tmp_path):
    levels = np.random.default_rng(0).permuted(np.tile(np.arange(256, dtype=np.uint8), (3, 1)), axis=1)
    pixels = np.ascontiguousarray(levels.reshape(3, 8, 32).transpose(1, 2, 0))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "b.png")
    assert torch.equal(read_image(tmp_path / "a.png"), torch.from_numpy(levels.reshape(3, 8, 32)) / 255)
    assert torch.equal(read_mask(tmp_path / "b.png"), torch.from_numpy(levels[:1].reshape(1, 8, 32)) / 255)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_value_reduced_jpeg(mode, orientation, tmp_path):
    rows, columns = np.mgrid[:196, :296] / 300
    pixels = np.stack([rows, columns, 1 - rows], axis=-1) * 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(tmp_path / "a.jpg", quality=95, exif=exif)
    whole = open_image(tmp_path / "a.jpg")
    assert whole.size == ((296, 196) if orientation == 1 else (196, 296))
    for at_least, fraction in ((1, 4), (49, 4), (50, 2), (98, 2), (99, 1), (1000, 1)):
        picture, size = open_reduced(tmp_path / "a.jpg", at_least=at_least)
        assert size == whole.size
        assert picture.size == (size[0] // fraction, size[1] // fraction)
        assert picture.mode == whole.mode
        averages = np.asarray(whole.convert("RGB").reduce(fraction), int)
        assert np.abs(np.asarray(picture.convert("RGB"), int) - averages).mean() < 1


def test_value_sides_that_no_fraction_divides_stay_whole(tmp_path):
    Image.new("RGB", (296, 195)).save(tmp_path / "a.jpg")
    assert open_reduced(tmp_path / "a.jpg", at_least=1)[0].size == (296, 195)
    Image.new("RGB", (296, 192)).save(tmp_path / "a.jpg")
    assert open_reduced(tmp_path / "a.jpg", at_least=1)[0].size == (37, 24)


def test_value_others_than_jpeg_stay_whole(tmp_path):
    for name in ("a.png", "a.webp", "a.tif"):
        Image.new("RGB", (96, 64)).save(tmp_path / name)
        picture, size = open_reduced(tmp_path / name, at_least=8)
        assert picture.size == size == (96, 64)


def test_error_reduced_jpeg_that_is_cut_off(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-1500])
    with pytest.raises(ValueError, match="a.jpg cannot be read as an image: image file is truncated"):
        open_reduced(tmp_path / "a.jpg", at_least=8)


def test_error_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no image at .*none.png"):
        read_image(tmp_path / "none.png")
    with pytest.raises(ValueError, match="is a folder; wanted an image file"):
        read_image(tmp_path)
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ValueError, match="text.jpg is not an image"):
        read_image(tmp_path / "text.jpg")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    with pytest.raises(ValueError, match="cut.jpg cannot be read as an image: .*truncated"):
        read_image(tmp_path / "cut.jpg")
    Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(tmp_path / "ids.png")
    with pytest.raises(ValueError, match="ids.png: the mask's values are 0, 1, 2, .*, so it seems to hold label ids"):
        read_mask(tmp_path / "ids.png")
    Image.fromarray(np.full((4, 5), np.nan, np.float32)).save(tmp_path / "nan.tif")
    with pytest.raises(ValueError, match="nan.tif cannot be read as an image: it holds numbers that are not finite"):
        read_mask(tmp_path / "nan.tif")


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_value_an_alpha_channel_that_is_the_same_all_over_says_nothing(tmp_path, alpha):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2, :, :3] = 255
    pixels[..., 3] = alpha
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png")[0, :, 0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_value_eight_bits_are_the_image_rounded(tmp_path, mode):
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 4), np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(values).convert(mode)
    picture.save(tmp_path / "a.png")
    image = open_image(tmp_path / "a.png")
    rounded = (image_tensor(image) * 255).round().byte().permute(1, 2, 0).numpy()
    assert (eight_bits(image) == rounded).all()
    assert eight_bits(image).shape == (5, 7, 3)


def random_picture(mode="RGB", size=(17, 12)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(pixels[..., 0].astype(np.float32) / 255)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("size", [(1, 1), (20000, 50), (1, 3000)])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "gif"])
def test_shape_extreme_sizes(tmp_path, size, ending):
    Image.new("L", size, 255).save(tmp_path / f"a.{ending}")
    assert read_image(tmp_path / f"a.{ending}").shape == (3, size[1], size[0])
    assert torch.equal(read_mask(tmp_path / f"a.{ending}"), torch.ones(1, size[1], size[0]))


@pytest.mark.parametrize(("name", "options"), [("a.gif", {}), ("a.webp", {"lossless": True}), ("a.png", {})])
def test_value_an_animation_is_its_first_picture(tmp_path, name, options):
    first, second = Image.new("RGB", (9, 7), (255, 0, 0)), Image.new("RGB", (9, 7), (0, 0, 255))
    first.save(tmp_path / name, save_all=True, append_images=[second], **options)
    with opened(tmp_path / name) as image:
        assert image.n_frames == 2
    assert torch.equal(read_image(tmp_path / name), torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 7, 9))


def test_value_transparent_palette(tmp_path):
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 255])
    for transparency in (bytes([0, 128]), 1):
        picture.save(tmp_path / "a.png", transparency=transparency)
        colours = (read_image(tmp_path / "a.png") * 255).round().byte().permute(1, 2, 0).tolist()
        assert colours == [[[10, 20, 30], [200, 100, 50]], [[0, 0, 255], [200, 100, 50]]]


def test_error_decompression_bomb(tmp_path, monkeypatch):
    random_picture().save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 17 * 12 // 2 - 1)
    for read in (read_image, read_mask):
        with pytest.raises(
            ValueError, match=r"a.png cannot .* \(204 pixels\) exceeds limit of 202 pixels.*MAX_IMAGE_PIXELS"
        ):
            read(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 17 * 12 - 1)  # where Pillow warns
    assert read_image(tmp_path / "a.png").shape == (3, 12, 17)


def test_value_broken_exif_is_passed_over(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "a maker with a long name"
    stored = io.BytesIO()
    random_picture().save(stored, "JPEG", exif=exif)
    content = stored.getvalue().replace(b"\x01\x0f\x00\x02\x00\x00\x00\x19", b"\x01\x0f\x00\x02\x00\x0f\xff\xff")
    assert content != stored.getvalue()
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.warns(UserWarning, match="Tag data larger than file"), Image.open(tmp_path / "a.jpg") as image:
        image.getexif()
    assert read_image(tmp_path / "a.jpg").shape == (3, 12, 17)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("exif", [b"XX*\0\x08\0\0\0", b"II", b"", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff"])
def test_value_exif_of_a_broken_head_is_passed_over(tmp_path, format, exif):
    picture = random_picture()
    path = tmp_path / "a.picture"
    path.write_bytes(stored(picture, format, exif=b"Exif\0\0" + exif))
    whole = stored(picture, format)
    assert torch.equal(read_image(path), image_tensor(open_image(whole)))


def test_value_exif_that_cannot_be_written_anew_still_turns(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    random_picture().save(tmp_path / "a.jpg", exif=exif)

    def tobytes(self):
        raise ValueError("a tag of an unknown type")

    monkeypatch.setattr(Image.Exif, "tobytes", tobytes)
    assert read_image(tmp_path / "a.jpg").shape == (3, 17, 12)


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_value_every_orientation_is_pillows(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    random_picture().save(tmp_path / f"a.{ending}", exif=exif)
    with Image.open(tmp_path / f"a.{ending}") as image:
        wanted = np.array(ImageOps.exif_transpose(image))
    assert np.array_equal(eight_bits(open_image(tmp_path / f"a.{ending}")), wanted)


def test_error_out_of_memory_is_one_of_the_file(tmp_path, monkeypatch):
    random_picture().save(tmp_path / "a.png")

    def load(image):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(ValueError, match="a.png cannot be read as an image: MemoryError"):
        read_image(tmp_path / "a.png")


def test_value_warnings_are_silent_only_within(tmp_path):
    random_picture().save(tmp_path / "a.png")
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def read():
        with opened(tmp_path / "a.png"):
            inside.set()
            assert leave.wait(20)

    thread = threading.Thread(target=read)
    thread.start()
    assert inside.wait(20)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        leave.set()
        thread.join()
        read_image(tmp_path / "a.png")
    assert warnings.filters == before
    with warnings.catch_warnings():
        with opened(tmp_path / "a.png"):
            warnings.resetwarnings()
        assert warnings.filters == []
    assert warnings.filters == before


def stored(picture, format, **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def fuzzed_pictures():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    frames = {"save_all": True, "append_images": [random_picture().rotate(90 * turns) for turns in range(3)]}
    rgb, palette = random_picture(), random_picture().quantize(16)
    return [
        stored(rgb, "JPEG", exif=exif, dpi=(72, 72)),
        stored(random_picture("CMYK"), "JPEG"),
        stored(random_picture("L"), "JPEG", progressive=True),
        stored(rgb, "MPO", save_all=True, append_images=[rgb]),
        stored(rgb, "PNG", exif=exif),
        stored(rgb, "PNG", **frames),
        stored(palette, "PNG", transparency=3),
        *(stored(random_picture(mode), "PNG") for mode in ("I;16", "1", "LA")),
        stored(rgb, "WEBP", exif=exif),
        stored(rgb, "WEBP", **frames),
        stored(random_picture("RGBA"), "WEBP", lossless=True),
        stored(palette, "GIF"),
        stored(rgb, "GIF", **frames),
        *(stored(random_picture(mode), "TIFF") for mode in ("RGB", "I;16", "CMYK")),
        stored(random_picture("RGBA"), "TIFF", compression="tiff_lzw"),
        stored(rgb, "TIFF", compression="jpeg"),
        stored(random_picture("F"), "TIFF", compression="tiff_adobe_deflate"),
        stored(random_picture("1"), "TIFF", compression="group4"),
        *(stored(random_picture(mode), "BMP") for mode in ("RGB", "P", "RGBA")),
    ]


def mutated(content, random):
    """Some bytes changed, taken away or put in, half of the time within the head."""
    data = bytearray(content)
    for _ in range(random.integers(1, 4)):
        place = int(random.integers(len(data) if random.random() < 0.5 else min(len(data), 64)))
        some = int(random.integers(1, 9))
        match random.integers(6):
            case 0:
                data[place] = random.integers(256)
            case 1:
                data[place] ^= 1 << (some - 1)
            case 2:
                number = int(random.choice([0, 1, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1]))
                data[place : place + 4] = number.to_bytes(4, "little" if random.random() < 0.5 else "big")
            case 3:
                del data[max(place, 1) :]
            case 4:
                del data[place : place + some]
            case 5:
                data[place:place] = random.bytes(some)
        data = data or bytearray(1)
    return bytes(data)


def with_right_checksums(png):
    """The chunks of a PNG file with checksums that hold, so that what is broken in them is read."""
    parts, place = [png[:8]], 8
    while len(chunk := png[place + 4 : place + 8 + int.from_bytes(png[place : place + 4])]) >= 4:
        parts += [struct.pack(">I", len(chunk) - 4), chunk, struct.pack(">I", zlib.crc32(chunk))]
        place += len(chunk) + 8
    return b"".join(parts)


def test_error_of_2500_broken_files_is_the_documented_one(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)  # or a broken size would take gigabytes
    random = np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    path = tmp_path / "a.picture"
    for content in fuzzed_pictures():
        for index in range(100):
            broken = mutated(content, random)
            if broken.startswith(b"\x89PNG") and index % 4 < 2:
                broken = with_right_checksums(broken)
            path.write_bytes(broken)
            try:
                picture = (read_image, read_mask)[index % 2](path)
            except ValueError as error:
                outcomes["refused"] += str(path) in str(error)
            else:
                assert picture.dtype == torch.float32
                assert picture.shape[0] == (3, 1)[index % 2]
                assert 0 <= picture.min() <= picture.max() <= 1
                outcomes["read"] += 1
    assert sum(outcomes.values()) == 2500
    assert min(outcomes.values()) > 300
