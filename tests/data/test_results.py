from PIL import ExifTags, Image

from dichoseg.data import FolderDataset
from dichoseg.data.results import is_result, is_written_by_dichoseg

from ..photographs.results import write_result


def test_value_results_are_known(tmp_path):
    for name in ("a.mask.png", "a.mask.webp", "a.cutout.jpg", "a.png", "b\n.mask.png"):
        write_result(tmp_path / name)
    Image.new("RGB", (9, 9)).save(tmp_path / "b.mask.png")
    (tmp_path / "c.mask.png").write_text("no image")
    assert sorted(path.name for path in tmp_path.iterdir() if is_result(path)) == [
        "a.cutout.jpg", "a.mask.png", "a.mask.webp", "b\n.mask.png",
    ]  # fmt: skip


def test_value_results_are_known_by_their_exif(tmp_path):
    write_result(tmp_path / "a.jpg")
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = "a camera"
    Image.new("RGB", (9, 9)).save(tmp_path / "b.jpg", exif=exif)
    (tmp_path / "c.jpg").write_text("no image")
    assert [is_written_by_dichoseg(tmp_path / name) for name in ("a.jpg", "b.jpg", "c.jpg")] == [True, False, False]


def test_value_data_sets_pass_results_next_to_photographs_over(tmp_path):
    for folder, mode in (("im", "RGB"), ("gt", "L")):
        (tmp_path / folder).mkdir()
        Image.new(mode, (9, 9), 0).save(tmp_path / folder / "a.png")
    write_result(tmp_path / "im/a.mask.png")
    assert [name for name, *_ in FolderDataset(tmp_path / "im", tmp_path / "gt").files] == ["a"]
