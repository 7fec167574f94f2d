from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from dichoseg.data import read_image
from dichoseg.data.profiles import to_srgb

CASES = Path(__file__).parents[1] / "cases"


def test_value_cmyk_by_its_profile():
    colors = read_image(CASES / "print_cmyk.jpg")[:, 40, 12::24] * 255  # one column in each bar of ink
    wanted = [(0, 152, 212), (214, 32, 34), (0, 145, 73), (255, 255, 255)]
    for color in wanted:
        assert (colors.T - colors.new_tensor(color)).abs().amax(1).min() < 8


def test_value_without_a_usable_profile_the_formula_stays(tmp_path):
    inks = Image.new("CMYK", (5, 4), (255, 0, 0, 0))
    for profile in (b"", b"broken", b"\0" * 16 + b"CMYK" + b"\0" * 200, b"\0" * 16 + b"GRAY" + b"\0" * 200):
        inks.info["icc_profile"] = profile
        assert to_srgb(inks) is inks
    for mode in ("RGB", "P", "1", "RGBA"):
        image = Image.new(mode, (5, 4))
        image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        assert to_srgb(image) is image


def test_value_cie_lab(tmp_path):
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (5, 4), (200, 90, 40)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    lab.save(tmp_path / "with.tif")
    lab.info.clear()
    lab.save(tmp_path / "without.tif", icc_profile=None)
    for name in ("with.tif", "without.tif"):
        pixels = read_image(tmp_path / name) * 255
        assert np.abs(pixels[:, 2, 2].numpy() - (200, 90, 40)).max() <= 2


def test_error_a_broken_profile_of_cie_lab():
    lab = Image.new("LAB", (5, 4))
    lab.info["icc_profile"] = b"broken"
    with pytest.raises(ValueError, match="its colors are CIE LAB, which cannot be converted"):
        to_srgb(lab)
