import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from dichoseg import FolderDataset
from dichoseg.data import read_image


def test_value_transform_gets_arrays(folder):
    def flip(image, mask):
        assert image.dtype == mask.dtype == np.uint8
        return {"image": image[:, ::-1][:4].copy(), "mask": mask[:4].copy()}

    assert FolderDataset(folder / "im", folder / "gt", transform=flip)[0].image.shape == (3, 4, 8)


def test_error_transform_that_leaves_8_bits(folder):
    def scaled(image, mask):
        return {"image": image[:, ::-1], "mask": mask.astype(np.float32) / 255}

    with pytest.raises(ValueError, match="a: .*uint8.*float32 for the mask"):
        FolderDataset(folder / "im", folder / "gt", transform=scaled)[0]


def test_error_arguments_of_another_type(folder):
    with pytest.raises(TypeError, match="int"):
        FolderDataset(folder / "im", folder / "gt", foreground=5)
    dataset = FolderDataset(folder / "im", folder / "gt")
    with pytest.raises(ValueError, match="no sample is named"):
        dataset.without("a.jpg")
    assert repr(dataset) == "FolderDataset(3 pairs, a to sub dir/ü)"


def test_error_one_folder_only(folder):
    with pytest.raises(TypeError, match=r"needs a folder of masks.*; wanted FolderDataset\(\*find_folders\('"):
        FolderDataset(folder)
    with pytest.raises(TypeError, match="needs a folder of masks as well as .*im$"):
        FolderDataset(folder / "im")


def test_error_mask_that_is_turned_is_never_resized(folder):
    Image.new("L", (6, 8), 255).save(folder / "gt/a.png")
    with pytest.raises(ValueError, match="one of them is turned, as by an EXIF orientation"):
        FolderDataset(folder / "im", folder / "gt", resize_masks=True)[0]


def test_value_split(folder):
    training, validation = FolderDataset(folder / "im", folder / "gt", transform=dict).split(0.3, seed=1)
    assert training.transform is dict
    assert validation.transform is None
    names = [{files[0] for files in part.files} for part in (training, validation)]
    assert len(names[0]) == 2
    assert len(names[1]) == 1
    assert not names[0] & names[1]
    (folder / "im/orphan.png").write_text("no mask")
    parts = FolderDataset(folder / "im", folder / "gt", strict=False).split(0.3)
    assert [len(part.left_out) for part in parts] == [1, 0]


def test_value_without(folder):
    dataset = FolderDataset(folder / "im", folder / "gt")
    assert [files[0] for files in dataset.without({"b"}).files] == ["a", "sub dir/ü"]
    assert len(dataset.without([])) == len(dataset) == 3
    with pytest.raises(ValueError, match="no sample is named 'c'; wanted names such as 'a'"):
        dataset.without({"c", "a"})
    with pytest.raises(ValueError, match="without these 3"):
        dataset.without(["a", "b", "sub dir/ü"])


def test_value_with_pairs_of_another_data_set(folder, tmp_path):
    dataset = FolderDataset(folder / "im", folder / "gt")
    other = tmp_path / "other"
    for part in ("im", "gt"):
        (other / part).mkdir(parents=True)
        for name in "bc":
            Image.new("L", (4, 2)).save(other / part / f"{name}.png")
    joined = dataset.with_pairs(FolderDataset(other / "im", other / "gt"))
    assert [name for name, *_ in joined.files] == ["a", "b", "c", "sub dir/ü"]
    assert [joined[index].image.shape[-1] for index in range(4)] == [8, 4, 4, 8], "the other's b replaces the first"
    assert len(dataset) == 3
    with pytest.raises(ValueError, match=r"if foreground is the same; got None and \(7,\)"):
        dataset.with_pairs(FolderDataset(other / "im", other / "gt", foreground=[7]))


def test_value_other_process(folder):
    dataset = FolderDataset(folder / "im", folder / "gt").without(["a"])
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    assert [sample.name for sample in loader] == ["b", "sub dir/ü"]


def test_value_one_pair(folder):
    dataset = FolderDataset(folder / "im/sub dir", folder / "gt/sub dir")
    assert [sample.name for sample in dataset] == ["ü"]


def test_value_foreground(folder):
    Image.fromarray(np.tile(np.arange(8, dtype=np.uint8), (6, 1))).save(folder / "gt/a.png")
    with pytest.raises(ValueError, match=r"a.png: .*label ids.*; foreground= says which ids are foreground"):
        FolderDataset(folder / "im", folder / "gt")[0]
    mask = FolderDataset(folder / "im", folder / "gt", foreground=(1, 7))[0].mask
    assert mask[0, 0].tolist() == [0, 1, 0, 0, 0, 0, 0, 1]


def test_value_resized_masks(folder):
    Image.fromarray(np.tile(np.uint8([0, 255]).repeat(16), (24, 1))).save(folder / "gt/a.png")
    mask = FolderDataset(folder / "im", folder / "gt", resize_masks=True)[0].mask
    assert mask.shape == (1, 6, 8)
    torch.testing.assert_close(mask[0, 0, [0, 1, 6, 7]], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert 0 < mask[0, 0, 3] < 0.5 < mask[0, 0, 4] < 1
    Image.new("1", (1, 1), 1).save(folder / "gt/a.png")
    assert FolderDataset(folder / "im", folder / "gt", resize_masks=True)[0].mask.min() == 1


def test_value_exif_turn_of_the_image_alone(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 8)).save(folder / "im/a.jpg", exif=exif)
    dataset = FolderDataset(folder / "im", folder / "gt")
    assert dataset[0].image.shape == (3, 6, 8)
    assert not dataset.report().errors
    Image.new("L", (6, 8)).save(folder / "gt/a.png")
    with pytest.raises(ValueError, match=r"a.png is 6x8 pixels but its image .*a.jpg 8x6"):
        dataset[0]


def test_value_reduced_image_keeps_its_mask(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 96), (200, 100, 50)).save(folder / "im/a.jpg", exif=exif)
    Image.new("L", (96, 64), 255).save(folder / "gt/a.png")
    dataset = FolderDataset(folder / "im", folder / "gt")
    image, mask, name = dataset.load(0, at_least=20)
    assert (image.shape, mask.shape, name) == ((3, 32, 48), (1, 64, 96), "a")
    torch.testing.assert_close(image[:, 0, 0], torch.tensor([200, 100, 50]) / 255, atol=2 / 255, rtol=0)
    assert dataset.load(0).image.shape == dataset[0].image.shape == (3, 64, 96)
    dataset.transform = lambda image, mask: {"image": image, "mask": mask}
    assert dataset.load(0, at_least=20).image.shape == (3, 64, 96)
    Image.new("L", (48, 32), 255).save(folder / "gt/a.png")
    with pytest.raises(ValueError, match=r"a.png is 48x32 pixels but its image .*a.jpg 96x64; resize_masks=True"):
        FolderDataset(folder / "im", folder / "gt").load(0, at_least=20)
    resizing = FolderDataset(folder / "im", folder / "gt", resize_masks=True)
    assert resizing.load(0, at_least=20).mask.shape == (1, 64, 96)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("ending", ["jpg", "png", "tiff", "webp"])
def test_shape_image_size_from_the_header(folder, ending, orientation, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = orientation
    (folder / "im/a.jpg").unlink()
    more = {"save_all": True, "append_images": [Image.new("RGB", (80, 50))]} if ending == "tiff" else {}
    Image.new("RGB", (40, 30)).save(folder / f"im/a.{ending}", exif=exif, **more)
    dataset = FolderDataset(folder / "im", folder / "gt", resize_masks=True)
    picture = read_image(folder / f"im/a.{ending}")
    with monkeypatch.context() as patched:
        patched.setattr("dichoseg.data.decoding.load", lambda image: pytest.fail("it decodes"))
        assert dataset.image_size(0) == tuple(picture.shape[1:])
    assert set(picture.shape[1:]) == ({50, 80} if ending == "tiff" else {30, 40})
    (folder / f"im/a.{ending}").write_text("no picture")
    with pytest.raises(ValueError, match=rf"a\.{ending} is not an image"):
        dataset.image_size(0)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_value_pixels_keep_8_bits(folder, kind):
    levels = np.linspace(0, np.iinfo(kind).max, 48).astype(kind).reshape(6, 8)
    (folder / "im/a.jpg").unlink()
    Image.fromarray(levels).save(folder / "im/a.png")
    Image.fromarray(levels).save(folder / "gt/a.png")
    dataset = FolderDataset(folder / "im", folder / "gt")
    for _ in range(2):
        pixels, loaded = dataset.load_pixels(0), dataset.load(0)
        assert pixels.name == loaded.name == "a"
        for part, expected in zip(pixels[:2], loaded[:2], strict=True):
            few = kind == np.uint8 or dataset.transform is not None
            assert part.dtype == (torch.uint8 if few else torch.float32)
            assert torch.equal(part / 255 if few else part, expected)
        dataset.transform = lambda image, mask: {"image": image[:, ::-1], "mask": mask[:, ::-1]}


def test_value_transform_gets_the_levels_of_the_file(folder):
    levels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    Image.fromarray(levels).save(folder / "gt/a.png")
    Image.fromarray(levels).convert("RGB").save(folder / "im/a.png")
    (folder / "im/a.jpg").unlink()
    seen = {}
    dataset = FolderDataset(folder / "im", folder / "gt", transform=lambda **pair: seen.update(pair) or pair)
    image, mask, _ = dataset[0]
    assert (seen["mask"] == levels).all()
    assert (seen["image"] == levels[..., None]).all()
    assert torch.equal(mask[0], torch.from_numpy(levels) / 255)
    assert torch.equal(image, mask.expand(3, -1, -1))


def test_value_cutouts(tmp_path):
    pixels = np.full((6, 8, 4), 200, np.uint8)
    pixels[:3, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    dataset = pickle.loads(pickle.dumps(FolderDataset(tmp_path, "alpha")))
    assert dataset[0].mask[0].sum(dim=1).mul(255).tolist() == [0, 0, 0, 1600, 1600, 1600]
    assert dataset[0].image.mul(255).unique().tolist() == [200]
    Image.new("RGB", (8, 6)).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match="b.png has no alpha channel"):
        FolderDataset(tmp_path, "alpha")[1]
    with pytest.raises(ValueError, match=r"alpha.*foreground=\[1\]"):
        FolderDataset(tmp_path, "alpha", foreground=[1])
    with pytest.raises(FileNotFoundError, match="no folder alpha"):
        FolderDataset(tmp_path, Path("alpha"))


def test_value_broken_pairs_are_left_out_with_a_warning(folder, caplog):
    (folder / "gt/a.png").rename(folder / "gt/z.png")
    Image.new("L", (8, 6)).save(folder / "im/b.png")
    with caplog.at_level(logging.WARNING):
        dataset = FolderDataset(folder / "im", folder / "gt", strict=False)
    assert [files[0] for files in dataset.files] == ["sub dir/ü"]
    assert [(problem.kind, problem.name) for problem in dataset.left_out] == [
        ("two files for one key", "b"),
        ("image without mask", "a"),
        ("mask without image", "z"),
    ]
    (record,) = caplog.records
    assert "left out: two files for one key (1), image without mask (1), mask without image (1)" in record.message
    caplog.clear()
    FolderDataset(folder / "im/sub dir", folder / "gt/sub dir", strict=False)
    assert not caplog.records


def test_error_folders(folder):
    make = lambda: FolderDataset(folder / "im", folder / "gt")  # noqa: E731
    (folder / "gt/a.png").rename(folder / "gt/z.png")
    with pytest.raises(ValueError, match=r"im/a.jpg has no mask in .*gt \(and 1 more .*report\(\) .*strict=False"):
        make()
    (folder / "gt/z.png").rename(folder / "gt/a.png")
    Image.new("L", (3, 3)).save(folder / "gt/a.png")
    with pytest.raises(ValueError, match=r"a.png is 3x3 pixels but its image .*a.jpg 8x6; resize_masks=True"):
        make()[0]
    Image.new("L", (8, 6)).save(folder / "gt/a.bmp")
    with pytest.raises(ValueError, match="two files for one key: .*a.bmp and .*a.png; report"):
        make()
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in .*empty"):
        FolderDataset(folder / "empty", folder / "gt")
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        FolderDataset(folder / "nowhere", folder / "gt")
    with pytest.raises(ValueError, match=r"foreground .*\[\]"):
        FolderDataset(folder / "im", folder / "gt", foreground=[])


def test_error_transform_of_the_image_alone(folder):
    data = FolderDataset(folder / "im", folder / "gt", transform=lambda image, mask: {"image": image[:3], "mask": mask})
    with pytest.raises(ValueError, match=r"\(3, 8, 3\) and \(6, 8\)"):
        data[0]


def label_folder(root, mask, **options):
    for part, pixels in (("im", np.zeros((*mask.shape[:2], 3), np.uint8)), ("gt", mask)):
        (root / part).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / part / "a.png")
    return FolderDataset(root / "im", root / "gt", **options)


IDS = np.array([[0, 1, 255], [2, 1, 0]], np.uint8)


@pytest.mark.parametrize(
    ("stored", "options", "mask", "weight"),
    [
        (np.where(IDS == 2, 0, IDS), {"ignore": [255]}, [[0, 1, 0], [0, 1, 0]], [[1, 1, 0], [1, 1, 1]]),
        (IDS, {"ignore": [255], "foreground": [2]}, [[0, 0, 0], [1, 0, 0]], [[1, 1, 0], [1, 1, 1]]),
        (np.array([0, 128, 255], np.uint8)[IDS % 3], {"ignore": [128]}, [[0, 0, 0], [1, 0, 0]], [[1, 0, 1], [1, 0, 1]]),
        (np.array([0, 127, 129], np.uint8)[IDS % 3], {"ignore": [127, 129]}, [[0] * 3] * 2, [[1, 0, 1], [0, 0, 1]]),
        (
            np.array([(0, 0, 0), (255, 0, 0), (255, 255, 255)], np.uint8)[IDS % 3],
            {"ignore": ["white"], "foreground": ["#ff0000"]},
            [[0, 1, 0], [0, 1, 0]],
            [[1, 1, 1], [0, 1, 1]],
        ),
    ],
)
def test_value_ignored_values(stored, options, mask, weight, tmp_path):
    dataset = label_folder(tmp_path, stored, **options)
    sample = dataset[0]
    assert sample.mask[0].tolist() == mask
    assert sample.weight[0].tolist() == weight
    assert not dataset.report().errors
    image, unpacked, name = sample  # the weight is no item
    assert (image.shape, unpacked is sample.mask, name) == ((3, 2, 3), True, "a")
    assert pickle.loads(pickle.dumps(sample)).weight.tolist() == sample.weight.tolist()
    assert label_folder(tmp_path, np.where(np.array(mask) > 0, np.uint8(255), np.uint8(0)))[0].weight is None


def test_value_a_transform_moves_ignored_pixels(tmp_path):
    from dichoseg.augmentations import cpu_augmentation

    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:] = 1
    mask[:8] = 255
    flip = cpu_augmentation("isnet", size=20, horizontal_flip=1)
    sample = label_folder(tmp_path, mask, ignore=[255], transform=flip)[0]
    assert (sample.mask[0, 4:].numpy() == [1] * 10 + [0] * 10).all()
    assert not sample.mask[0, :4].any()
    assert (sample.weight[0].numpy() == [[0]] * 4 + [[1]] * 16).all()


def test_value_a_resized_mask_ignores_what_ignored_pixels_reach(tmp_path):
    mask = np.full((8, 8), 255, np.uint8)
    mask[:, 5] = 128
    dataset = label_folder(tmp_path, mask, ignore=[128], resize_masks=True)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "im/a.png")
    sample = dataset[0]
    assert sample.weight[0, 0].tolist() == [1, 1, 0, 0]
    assert sample.mask[0, 0, :2].tolist() == [1, 1]


@pytest.mark.parametrize("options", [{"ignore": ["nocolor"]}, {"foreground": [1.5]}, {"ignore": "red"}])
def test_error_values(folder, options):
    with pytest.raises((TypeError, ValueError), match="must be .*nocolor|must be .*1.5|must be .*'red'"):
        FolderDataset(folder / "im", folder / "gt", **options)
