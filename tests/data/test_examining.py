import cv2
import numpy as np
import pytest
from PIL import Image

from dichoseg import FolderDataset, SyntheticDataset
from dichoseg.data.report import KINDS

RNG = np.random.default_rng(0)


def object_mask(value=255, background=0):
    mask = np.full((65, 97), background, np.uint8)
    cv2.circle(mask, (50, 30), 20, value, -1)
    return mask


@pytest.fixture
def folder(tmp_path):
    """Two good pairs; `add` and the tests break it."""
    for name in ("good", "sub dir/gut ü"):
        add(tmp_path, name, object_mask())
    return tmp_path


def add(folder, name, mask, image=None):
    image = RNG.integers(0, 255, (65, 97, 3), np.uint8) if image is None else image
    for path, pixels in ((folder / f"im/{name}.jpg", image), (folder / f"gt/{name}.png", mask)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def report_of(folder, other=None, **options):
    options = {"strict": False} | options
    return FolderDataset(folder / "im", folder / "gt", **options).report(other=other)


def found(report):
    return [(problem.kind, problem.name) for problem in report.problems]


def test_value_nothing_wrong(folder):
    report = report_of(folder, strict=True)
    assert report.problems == ()
    assert (report.pairs, report.sizes) == (2, ((97, 65), (97, 65)))
    share = float((object_mask() > 0).mean())
    assert report.foreground == pytest.approx((share, share, share))


def test_value_files_without_partner(folder):
    (folder / "gt/good.png").rename(folder / "gt/bad.png")
    add(folder, "twice", object_mask())
    Image.new("L", (97, 65)).save(folder / "gt/twice.bmp")
    report = report_of(folder)
    assert found(report) == [
        ("image without mask", "good"),
        ("mask without image", "bad"),
        ("two files for one key", "twice"),
    ]
    assert report.pairs == 1
    assert report.unusable == frozenset()


def test_value_unreadable_files(folder):
    add(folder, "text", object_mask())
    (folder / "im/text.jpg").write_text("no picture")
    (folder / "gt/text.png").write_bytes(b"")
    add(folder, "large", np.zeros((1025, 1025), np.uint8), RNG.integers(0, 255, (1025, 1025, 3), np.uint8))
    whole = (folder / "im/large.jpg").read_bytes()
    (folder / "im/large.jpg").write_bytes(whole[: len(whole) * 9 // 10])
    report = report_of(folder)
    assert found(report) == [
        ("unreadable file", "large"),
        ("unreadable file", "text"),
        ("unreadable file", "text"),
        ("empty mask", "large"),
    ]
    assert "large.jpg cannot be read as an image: " in report.problems[0].message
    assert "truncated" in report.problems[0].message
    assert report.unusable == {"large", "text"}
    dataset = FolderDataset(folder / "im", folder / "gt").without(report.unusable)
    assert dataset.report().problems == ()
    assert (
        FolderDataset(folder / "im", folder / "gt").without({"good", "sub dir/gut ü", "large"}).report().sizes is None
    )


@pytest.mark.parametrize(("size", "kind"), [((130, 194), "resized mask"), ((65, 80), "stretched mask")])
def test_value_sizes(folder, size, kind):
    add(folder, "small", cv2.resize(object_mask(), size[::-1]))
    report = report_of(folder)
    assert found(report) == [("size mismatch", "small")]
    assert f"small.png is {size[1]}x{size[0]} pixels but its image" in report.problems[0].message
    assert report.problems[0].message.endswith("small.jpg 97x65")
    report = report_of(folder, resize_masks=True)
    assert (found(report), report.unusable) == ([(kind, "small")], frozenset())


def test_value_label_ids(folder):
    add(folder, "ids", object_mask(3))
    report = report_of(folder)
    assert found(report) == [("label ids", "ids")]
    assert "foreground=" not in report.problems[0].message
    assert "foreground= says" in report.text()
    assert found(report_of(folder, foreground=[3, 255])) == []


@pytest.mark.parametrize(
    ("kind", "mask"),
    [
        ("empty mask", np.zeros((65, 97), np.uint8)),
        ("full mask", np.full((65, 97), 255, np.uint8)),
        ("full mask", np.full((65, 97), 1, np.uint8)),
        ("faint mask", object_mask(100)),
        ("faint mask", object_mask(140)),
        ("soft mask", cv2.circle(object_mask(160), (50, 30), 5, 255, -1)),
        ("soft mask", cv2.GaussianBlur(object_mask(), (0, 0), 8)),
        ("probably inverted mask", object_mask(0, 255)),
    ],
)
def test_value_masks_to_look_at(folder, kind, mask):
    add(folder, "odd", mask)
    report = report_of(folder)
    assert found(report) == [(kind, "odd")]
    assert "odd.png" in report.problems[0].message
    assert not report.errors


@pytest.mark.parametrize(
    "mask",
    [
        np.pad(np.full((1, 1), 255, np.uint8), ((30, 34), (40, 56))),
        np.pad(np.full((60, 97), 255, np.uint8), ((5, 0), (0, 0))),
        cv2.GaussianBlur(object_mask(), (0, 0), 1.5),
        cv2.resize(cv2.resize(object_mask(), (24, 16)), (97, 65)),
        object_mask() // 255,
    ],
    ids=["one pixel", "large object", "blurred edge", "enlarged", "zeros and ones"],
)
def test_value_masks_that_are_well(folder, mask):
    add(folder, "fine", mask)
    assert found(report_of(folder)) == []


def test_value_thin_structures_are_well(tmp_path):
    for image, mask, name in (SyntheticDataset(30, size=96)[index] for index in range(30)):
        pixels = (image.permute(1, 2, 0) * 255).byte().numpy()
        add(tmp_path, name, (mask[0] * 255).round().byte().numpy(), pixels)
    assert found(report_of(tmp_path)) == []


def test_value_tiny_pictures(tmp_path):
    add(tmp_path, "dot", np.full((1, 1), 255, np.uint8), np.zeros((1, 1, 3), np.uint8))
    add(tmp_path, "line", np.uint8([[0, 255, 0]]), np.zeros((1, 3, 3), np.uint8))
    report = report_of(tmp_path)
    assert found(report) == [("full mask", "dot")]
    assert report.sizes == ((1, 1), (3, 1))


def test_value_cutouts(tmp_path):
    noise = RNG.integers(0, 255, (65, 97, 3), np.uint8)
    cut = noise.copy()
    cut[object_mask() == 0] = (0, 0, 7)
    Image.fromarray(np.dstack([noise, object_mask()])).save(tmp_path / "whole.png")
    Image.fromarray(np.dstack([cut, object_mask()])).save(tmp_path / "cut.png")
    Image.fromarray(np.dstack([noise + 1, object_mask() * 0])).save(tmp_path / "empty.png")
    Image.fromarray(noise // 2).save(tmp_path / "opaque.jpg")
    Image.fromarray(RNG.integers(0, 65535, (65, 97), np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    report = FolderDataset(tmp_path, "alpha").report()
    assert found(report) == [
        ("no alpha channel", "deep"),
        ("no alpha channel", "opaque"),
        ("unreadable file", "broken"),
        ("empty mask", "empty"),
        ("flat background", "cut"),
    ]
    assert "cut.png has one color, RGB (0, 0, 7), under all transparent pixels" in report.problems[-1].message
    assert report.unusable == {"deep", "opaque", "broken"}


def test_value_same_image_in_a_set(folder):
    add(folder, "zz", object_mask())
    (folder / "im/zz.jpg").write_bytes((folder / "im/good.jpg").read_bytes())
    report = report_of(folder)
    assert found(report) == [("same image twice", "zz")]
    assert "im/zz.jpg shows the same as " in report.problems[0].message
    assert report.problems[0].message.endswith("im/good.jpg")


def test_value_same_image_in_another_set(folder, tmp_path_factory):
    noise = RNG.integers(0, 255, (65, 97, 3), np.uint8)
    add(folder, "old", object_mask(), noise)
    other = tmp_path_factory.mktemp("other")
    for name in ("new", "renamed", "broken"):
        add(other, name, object_mask())
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.fromarray(noise).save(other / "im/renamed.jpg", exif=exif)
    (other / "im/broken.jpg").write_text("no picture")
    report = report_of(folder, other=FolderDataset(other / "im", other / "gt"))
    assert found(report) == [("in both sets", "old")]
    assert report.problems[0].message.endswith("im/renamed.jpg of the other set")


def test_value_similar_images_are_not_the_same(tmp_path):
    plain = np.full((600, 600, 3), 128, np.uint8)
    add(tmp_path, "plain", object_mask(), plain)
    plain[300:308, 300:308] = 140
    add(tmp_path, "dot", object_mask(), plain)
    add(tmp_path, "larger", object_mask(), np.full((602, 600, 3), 128, np.uint8))
    assert {kind for kind, _ in found(report_of(tmp_path))} == {"size mismatch"}


def test_value_every_kind_says_what_to_do():
    assert {severity for severity, _ in KINDS.values()} == {"error", "warning"}
    assert all(advice for _, advice in KINDS.values())


@pytest.mark.parametrize("ending", ["jpg", "tif", "png", "webp"])
@pytest.mark.parametrize("orientation", [1, 6, 9])
def test_value_orientation_in_any_format(tmp_path, ending, orientation):
    for part in ("im", "gt"):
        (tmp_path / part).mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 40), (90, 20, 20)).save(tmp_path / f"im/a.{ending}", exif=exif)
    mask = np.zeros((60, 40) if orientation == 6 else (40, 60), np.uint8)
    mask[10:20, 10:20] = 255
    Image.fromarray(mask).save(tmp_path / "gt/a.png")
    dataset = FolderDataset(tmp_path / "im", tmp_path / "gt")
    assert dataset.report().problems == ()
    assert dataset[0].image.shape[1:] == dataset[0].mask.shape[1:] == mask.shape


def test_value_jpegs_that_agree_in_a_fraction_of_their_size_are_not_the_same(tmp_path):
    for part in ("im", "gt"):
        (tmp_path / part).mkdir()
    board = np.indices((2304, 2304)).sum(axis=0) % 2 * 40
    mask = np.zeros((2304, 2304), np.uint8)
    mask[500:900, 500:900] = 255
    for name, pixels in (("flat", np.full_like(board, 128)), ("board", 108 + board)):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"im/{name}.jpg", quality=95)
        Image.fromarray(mask).save(tmp_path / f"gt/{name}.png")
    assert FolderDataset(tmp_path / "im", tmp_path / "gt").report().problems == ()


def test_error_foreground_for_masks_of_colours(tmp_path):
    for part in ("im", "gt"):
        (tmp_path / part).mkdir()
        Image.new("RGB", (8, 8), (200, 10, 10)).save(tmp_path / part / "a.png")
    (problem,) = FolderDataset(tmp_path / "im", tmp_path / "gt", foreground=[1]).report().problems
    assert problem.kind == "colored mask"


def test_value_files_of_other_kinds_are_listed(folder):
    (folder / "im/photo.cr2").write_text("from a telephone")
    (folder / "im/.DS_Store").write_text("hidden")
    report = FolderDataset(folder / "im", folder / "gt").report()
    assert [(problem.kind, problem.name) for problem in report.problems] == [("ignored file", "photo.cr2")]
    assert report.unusable == frozenset()


@pytest.mark.parametrize("resize_masks", [False, True])
def test_error_turned_mask(tmp_path, resize_masks):
    for part, size in (("im", (30, 20)), ("gt", (20, 30))):
        (tmp_path / part).mkdir()
        Image.fromarray(np.eye(size[1], size[0], dtype=np.uint8) * 255).save(tmp_path / part / "a.png")
    (problem,) = FolderDataset(tmp_path / "im", tmp_path / "gt", resize_masks=resize_masks).report().errors
    assert problem.kind == "turned mask"
