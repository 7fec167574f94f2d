import pickle
import unicodedata

import pytest
from PIL import Image

from dichoseg import FolderDataset


def test_value_pairs_by_path_without_extension(folder):
    dataset = pickle.loads(pickle.dumps(FolderDataset(folder / "im", folder / "gt")))
    assert [dataset[index].name for index in range(len(dataset))] == ["a", "b", "sub dir/ü"]
    assert dataset[0].image.shape == (3, 6, 8)
    assert dataset[0].mask.shape == (1, 6, 8)


def suffixed(folder, suffix="_mask"):
    """The same data as people also have it: each mask beside its image."""
    for path in (folder / "gt").rglob("*.png"):
        path.rename(folder / "im" / path.relative_to(folder / "gt").with_name(f"{path.stem}{suffix}.png"))
    return folder / "im"


def test_value_masks_of_a_suffix_beside_their_images(folder):
    together = suffixed(folder)
    (together / "notes.txt").write_text("")
    dataset = FolderDataset(together, together, mask_suffix="_mask")
    assert [files[0] for files in dataset.files] == ["a", "b", "sub dir/ü"]
    assert [path.name for _, *paths in dataset.files[:1] for path in paths] == ["a.jpg", "a_mask.png"]
    assert [problem.message for problem in dataset.ignored] == [
        f"{together / 'notes.txt'} is not of a kind that can be read as an image"
    ]


def test_value_masks_of_a_suffix_in_their_own_folder(folder):
    for path in list((folder / "gt").rglob("*.png")):
        path.rename(path.with_stem(unicodedata.normalize("NFD", f"{path.stem}-maß")))
    Image.new("L", (8, 6)).save(folder / "gt/a.png")
    Image.new("L", (8, 6)).save(folder / "gt/-maß.png")
    dataset = FolderDataset(folder / "im", folder / "gt", mask_suffix="-maß")
    assert [dataset[index].name for index in range(3)] == ["a", "b", "sub dir/ü"]
    ignored = [problem for problem in dataset.report().problems if problem.kind == "ignored file"]
    assert [problem.name for problem in ignored] == ["-maß.png", "a.png"]
    assert ignored[1].message.endswith("gt/a.png is not a mask: its name lacks '-maß'")


def test_error_suffix(folder):
    with pytest.raises(ValueError, match=r"before the extension, such as '_mask'; got '_mask\.PNG'"):
        FolderDataset(folder / "im", folder / "gt", mask_suffix="_mask.PNG")
    with pytest.raises(ValueError, match="gt whose names end in '_mask'"):
        FolderDataset(folder / "im", folder / "gt", mask_suffix="_mask")
    with pytest.raises(ValueError, match="alpha.*'_mask'"):
        FolderDataset(folder / "im", "alpha", mask_suffix="_mask")
    with pytest.raises(ValueError, match=r"im, .*mask_suffix=''"):
        FolderDataset(folder / "im", folder / "gt/../im")
    together = suffixed(folder)
    (folder / "masks").mkdir()
    (together / "a_mask.png").rename(folder / "masks/a_mask.png")
    with pytest.raises(ValueError, match="no images in .*masks, .*mask_suffix='_mask'"):
        FolderDataset(folder / "masks", folder / "masks", mask_suffix="_mask")
    with pytest.raises(ValueError, match=r"a\.jpg has no mask in .*im; report\(\) lists all"):
        FolderDataset(together, together, mask_suffix="_mask")


def test_error_no_pair_names_the_suffix_that_would_make_them(folder):
    for path in list((folder / "gt").rglob("*.png")):
        path.rename(path.with_stem(f"{path.stem}_mask"))
    with pytest.raises(ValueError, match=r"no pair in .*; mask_suffix='_mask' would pair 3 of 3"):
        FolderDataset(folder / "im", folder / "gt")
    (folder / "gt/b_mask.png").rename(folder / "gt/b_other.png")
    with pytest.raises(ValueError, match="'_mask' would pair 2 of 3 masks"):
        FolderDataset(folder / "im", folder / "gt")
    (folder / "gt/a_mask.png").rename(folder / "gt/a_another.png")
    with pytest.raises(ValueError, match=r"got such as .*a\.jpg and .*a_another\.png$"):
        FolderDataset(folder / "im", folder / "gt")


def test_error_names_that_differ_in_their_unicode_form_only(folder):
    paths = [folder / "im" / unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    for path in paths:
        Image.new("RGB", (8, 6)).save(path)
    with pytest.raises(ValueError, match=r"two files for one key: .*png \(NFD\) and .*png \(NFC\)"):
        FolderDataset(folder / "im", folder / "gt")


def test_error_every_image_in_two_formats(tmp_path):
    for path in ("im/a.png", "im/a.jpg", "gt/a.png"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 6)).save(tmp_path / path)
    with pytest.raises(ValueError, match=r"of one file each; two files for one key: .*a.jpg and .*a.png$"):
        FolderDataset(tmp_path / "im", tmp_path / "gt")


def test_value_accents_of_another_system(folder):
    mask = folder / "gt/sub dir" / unicodedata.normalize("NFC", "ü.png")
    mask.rename(mask.with_name(unicodedata.normalize("NFD", "ü.png")))
    assert FolderDataset(folder / "im", folder / "gt")[2].mask.shape == (1, 6, 8)


@pytest.mark.parametrize("strict", [True, False])
def test_error_no_pair(folder, strict):
    for name in ("a", "b", "sub dir/ü"):
        (folder / f"gt/{name}.png").rename(folder / f"gt/{name}_mask.png")
    with pytest.raises(ValueError, match=r"no pair in .*; got such as .*im/a.jpg and .*gt/a_mask.png"):
        FolderDataset(folder / "im", folder / "gt", strict=strict)


def test_error_every_cutout_in_two_formats(tmp_path):
    for name in ("a.png", "a.webp"):
        Image.new("RGBA", (8, 6)).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"no cut-out in .*; two files for one key: .*a.png and .*a.webp$"):
        FolderDataset(tmp_path, "alpha", strict=False)
