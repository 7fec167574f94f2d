import contextlib
import errno
import logging
import os
import resource
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import Predictor, predict
from dichoseg.data import read_image
from dichoseg.inference.predictor import to_uint8
from dichoseg.photographs import PredictedFiles, predict_files
from dichoseg.runtime.overlap import overlapped

RANDOM = np.random.default_rng(0)


def exact(model):
    return Predictor(model, precision="float32")


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("dichoseg")]


@pytest.fixture
def photographs(tmp_path):
    """Four, one of them in a subfolder."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name, size in (("a.jpg", (97, 65)), ("b.png", (20, 10)), ("c.webp", (33, 41)), ("sub/a.jpg", (20, 10))):
        Image.fromarray(RANDOM.integers(0, 256, (*size[::-1], 3), np.uint8)).save(folder / name)
    return folder


class Disc:
    """Predicts a disc, and can be told what to do before."""

    model = types.SimpleNamespace(preprocessing=types.SimpleNamespace(source="image"))

    def __init__(self, before=lambda count: None):
        self.before, self.count = before, 0

    def __call__(self, photograph):
        self.count += 1
        self.before(self.count)
        height, width = photograph.shape[-2:] if isinstance(photograph, torch.Tensor) else photograph.shape[:2]
        rows, columns = np.mgrid[:height, :width]
        distance = np.hypot(rows / height - 0.5, columns / width - 0.5)
        return np.clip((0.3 - distance) * 10 + 0.5, 0, 1).astype(np.float32)


def test_value_one_bad_file_is_reported_and_the_rest_done(small_isnet, tmp_path, caplog):
    (tmp_path / "in/sub").mkdir(parents=True)
    Image.new("RGB", (20, 10), "red").save(tmp_path / "in/sub/good.jpg")
    (tmp_path / "in/bad.png").write_text("no picture")
    predicted = predict_files(exact(small_isnet), [tmp_path / "in"], tmp_path / "out", cutout=True)
    assert (predicted.written, predicted.skipped) == (1, 0)
    assert predicted.failures == (f"{tmp_path / 'in/bad.png'} is not an image that can be read",)
    assert predicted.text().endswith("; 1 failed")
    assert caplog.messages == list(predicted.failures)
    with Image.open(tmp_path / "out/sub/good.png") as cutout:
        assert (cutout.mode, cutout.size) == ("RGBA", (20, 10))
    assert files(tmp_path / "out") == ["sub/good.png"]


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_value_masks_are_what_predict_gives(small_isnet, photographs, tmp_path, threads):
    predicted = predict_files(exact(small_isnet), [str(photographs)], str(tmp_path / "out"), threads=threads)
    assert files(tmp_path / "out") == ["a.png", "b.png", "c.png", "sub/a.png"]
    for path in photographs.rglob("*.*"):
        result = tmp_path / "out" / path.relative_to(photographs).with_suffix(".png")
        with Image.open(result) as mask:
            assert np.array_equal(np.array(mask), to_uint8(predict(read_image(path), small_isnet)))
    assert (predicted.written, predicted.failures) == (4, ())
    assert predicted.text().startswith(f"4 written to {tmp_path / 'out'}, ")


def test_value_options_reach_the_results(photographs, tmp_path):
    predict_files(Disc(), [photographs / "a.jpg"], tmp_path / "a", format="webp", threshold=0.5, crop=True)
    with Image.open(tmp_path / "a/a.webp") as mask:
        levels = np.array(mask.convert("L"))
    assert set(np.unique(levels)) == {0, 255}
    assert levels.shape[0] < 65
    assert levels.any(axis=1).all()
    assert levels.any(axis=0).all()
    predict_files(Disc(), [photographs / "a.jpg"], tmp_path / "b", format="jpg", cutout=True, background="#ff00ff")
    with Image.open(tmp_path / "b/a.jpg") as cutout:
        assert np.abs(np.array(cutout).astype(int)[:5, :5] - (255, 0, 255)).max() < 5


def test_value_resume(photographs, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.png").write_bytes(b"as it is")
    (tmp_path / "out/a.jpg").write_bytes(b"another format")
    predictor = Disc()
    predicted = predict_files(predictor, [photographs], tmp_path / "out", resume=True)
    assert (predicted.written, predicted.skipped, predictor.count) == (3, 1, 3)
    assert "; 1 skipped (already written)" in predicted.text()
    assert (tmp_path / "out/b.png").read_bytes() == b"as it is"
    predicted = predict_files(predictor, [photographs], tmp_path / "out", resume=True)
    assert predicted.text() == f"0 written to {tmp_path / 'out'}; 4 skipped (already written)"
    assert predict_files(predictor, [photographs], tmp_path / "out").written == 4
    assert (tmp_path / "out/b.png").read_bytes() != b"as it is"


def test_value_parts_of_several_processes(photographs, tmp_path):
    (photographs / "bad.png").write_text("no picture")
    predict_files(Disc(), [photographs], tmp_path / "whole")
    parts = [predict_files(Disc(), [photographs], tmp_path / "out", part=(rank, 2)) for rank in range(2)]
    merged = PredictedFiles.merged(parts)
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in merged.paths) == files(tmp_path / "out")
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert [part.written for part in parts] == [2, 2]
    assert (merged.out, merged.written, len(merged.failures)) == (tmp_path / "out", 4, 1)
    assert merged.seconds == max(part.seconds for part in parts)
    again = [predict_files(Disc(), [photographs], tmp_path / "out", part=(rank, 2), resume=True) for rank in range(2)]
    assert (
        PredictedFiles.merged(again).text() == f"0 written to {tmp_path / 'out'}; 4 skipped (already written); 1 failed"
    )


def test_value_results_within_the_photographs(photographs, caplog):
    for _ in range(2):
        assert predict_files(Disc(), [photographs], photographs / "masks").written == 4
    assert files(photographs / "masks") == ["a.png", "b.png", "c.png", "sub/a.png"]
    assert [record.message for record in caplog.records] == [
        f"4 files in {photographs / 'masks'} are treated as results, not as photographs"
    ]


def test_value_what_is_passed_over_is_told(photographs, caplog):
    for name in ("p.cr2", "q.cr2", "IMG_1", "notes.txt", ".hidden.cr2"):
        (photographs / name).write_text("")
    (photographs / "link").symlink_to(photographs / "sub")
    (photographs / "gone.jpg").symlink_to(photographs / "nowhere")
    (photographs / "masks").mkdir()
    (photographs / "masks/log.txt").write_text("")
    predicted = predict_files(Disc(), [photographs], photographs / "masks")
    assert (predicted.written, predicted.passed_over) == (4, 6)
    assert predicted.text().endswith("; 6 ignored (not photographs)")
    assert caplog.messages == [
        f"6 ignored in {photographs}: .cr2 files (2), files without an extension (1), broken links (1), "
        f"links to folders (1), .txt files (1); such as {photographs / 'IMG_1'}"
    ]
    assert predict_files(Disc(), [photographs / "b.png"], photographs / "one").passed_over == 0
    for path in photographs.rglob("*.*"):
        path.unlink()
    with pytest.raises(ValueError, match=r"no photographs in .*in; 2 ignored in .*without an extension \(1\)"):
        predict_files(Disc(), [photographs], photographs / "masks")


def test_error_subfolder_that_cannot_be_listed(photographs, tmp_path, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root may list everything
    with pytest.raises(PermissionError, match=r"in/sub cannot be listed: Permission denied"):
        predict_files(Disc(), [photographs], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_error_a_photograph_beside_those_that_are_read(photographs):
    (photographs / "a.png").write_bytes((photographs / "b.png").read_bytes())
    before = {path: path.read_bytes() for path in photographs.rglob("*.*")}
    for source, out in (("a.jpg", photographs), ("a.jpg", photographs / "sub/..")):
        with pytest.raises(ValueError, match=r"a.png was not written by dichoseg, .*choose another .*resume=True"):
            predict_files(Disc(), [photographs / "c.webp", photographs / source], out)
    assert {path: path.read_bytes() for path in photographs.rglob("*.*")} == before
    predicted = predict_files(Disc(), [photographs / "c.webp", photographs / "a.jpg"], photographs, resume=True)
    assert (predicted.written, predicted.skipped) == (1, 1)
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(ValueError, match=r"[ac].png was not written by dichoseg"):
        predict_files(Disc(), [photographs / "c.webp", photographs / "a.jpg"], photographs)


def test_value_without_pymatting_the_rim_is_told_once(photographs, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "pymatting", None)
    predict_files(Disc(), [photographs], tmp_path / "out", cutout=True)
    assert [(record.levelno, "dichoseg[cutout]" in record.message) for record in caplog.records] == [
        (logging.WARNING, True)
    ]
    predict_files(Disc(), [photographs], tmp_path / "out", cutout=True, resume=True)
    predict_files(Disc(), [photographs], tmp_path / "masks")
    assert len(caplog.records) == 1
    with Image.open(tmp_path / "out/b.png") as cutout, Image.open(photographs / "b.png") as photograph:
        pixels, seen = np.array(cutout), np.array(cutout)[..., 3] > 0
        assert np.array_equal(pixels[seen][:, :3], np.array(photograph)[seen])


def test_value_with_pymatting_colours_are_estimated(photographs, tmp_path, monkeypatch, caplog):
    fake = types.SimpleNamespace(estimate_foreground_ml=lambda image, alpha: image * 0 + np.float32(0.2))
    monkeypatch.setitem(sys.modules, "pymatting", fake)
    predict_files(Disc(), [photographs], tmp_path / "out", cutout=True)
    with Image.open(tmp_path / "out/sub/a.png") as cutout:
        pixels = np.array(cutout)
        assert (pixels[..., :3] == np.where(pixels[..., 3:] > 0, 51, 0)).all()
    assert not caplog.records


def test_value_odd_photographs(small_isnet, tmp_path):
    (tmp_path / "in").mkdir()
    pixels = RANDOM.integers(0, 256, (65, 97, 3), np.uint8)
    picture = Image.fromarray(pixels)
    frames = {"save_all": True, "append_images": [picture.rotate(180)]}
    exif = picture.getexif()
    exif[0x0112] = 6
    odd = {
        "point.png": (Image.new("RGB", (1, 1), "red"), {}),
        "strip.png": (Image.new("L", (20000, 50), 90), {}),
        "upright.png": (Image.new("1", (3, 700), 1), {}),
        "cmyk.jpg": (picture.convert("CMYK"), {}),
        "palette.png": (picture.quantize(16), {"transparency": bytes(range(16))}),
        "grey_alpha.png": (picture.convert("LA"), {}),
        "deep.png": (Image.fromarray(RANDOM.integers(0, 65536, (65, 97), np.uint16)), {}),
        "film.gif": (picture, frames),
        "film2.webp": (picture, frames),
        "turned.jpg": (picture, {"exif": exif}),
    }
    for name, (photograph, options) in odd.items():
        photograph.save(tmp_path / "in" / name, **options)
    for options in ({}, {"cutout": True}, {"cutout": True, "crop": True, "background": "white"}):
        predicted = predict_files(exact(small_isnet), [tmp_path / "in"], tmp_path / "out", **options)
        assert predicted.failures == ()
        for name, (photograph, _) in odd.items():
            written = tmp_path / "out" / name
            with Image.open(written if name.startswith("film") else written.with_suffix(".png")) as result:
                size = photograph.size[::-1] if name == "turned.jpg" else photograph.size
                assert "crop" in options or result.size == size


def test_error_broken_photographs(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    Image.fromarray(RANDOM.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "whole.jpg")
    (tmp_path / "in/cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    (tmp_path / "in/empty.png").write_bytes(b"")
    (tmp_path / "in/text.jpg").write_text("no picture")
    Image.new("L", (300, 100)).save(tmp_path / "in/vast.png")
    Image.new("L", (200, 100)).save(tmp_path / "in/wide.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    predicted = predict_files(Disc(), [tmp_path / "in"], tmp_path / "out", threads=2)
    assert [Path(failure.split()[0]).name for failure in predicted.failures] == [
        "cut.jpg", "empty.png", "text.jpg", "vast.png",
    ]  # fmt: skip
    assert files(tmp_path / "out") == ["wide.png"]


def test_error_one_photograph_is_too_much_for_the_network_or_the_format(photographs, tmp_path):
    def fail(count):
        if count < 4:
            raise (MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), ValueError("too odd"))[count - 1]

    predicted = predict_files(Disc(fail), [photographs], tmp_path / "out")
    assert predicted.failures == (
        f"{photographs / 'a.jpg'}: MemoryError",
        f"{photographs / 'b.png'}: CUDA out of memory",
        f"{photographs / 'c.webp'}: too odd",
    )
    assert predicted.written == 1
    Image.new("L", (20000, 2)).save(tmp_path / "wide.png")
    predicted = predict_files(Disc(), [tmp_path / "wide.png", photographs], tmp_path / "o", format="webp")
    assert len(predicted.failures) == 1
    assert predicted.failures[0].startswith(f"{tmp_path / 'wide.png'}: ")
    assert "16383" in predicted.failures[0]
    assert files(tmp_path / "o") == ["a.webp", "b.webp", "c.webp", "sub/a.webp"]


def test_error_what_is_no_photographs_fault_stops(photographs, tmp_path):
    def fail(count):
        if count == 3:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        predict_files(Disc(fail), [photographs], tmp_path / "out", threads=1)
    assert files(tmp_path / "out")[:2] == ["a.png", "b.png"]
    assert "c.png" not in files(tmp_path / "out")


def test_value_interrupted_keeps_what_is_done(photographs, tmp_path):
    def interrupt(count):
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_files(Disc(interrupt), [photographs], tmp_path / "out", threads=2)
    assert files(tmp_path / "out") == ["a.png", "b.png"]
    assert not workers()
    for name in ("a.png", "b.png"):
        assert read_image(tmp_path / "out" / name).shape[0] == 3, "whole"
    predicted = predict_files(Disc(), [photographs], tmp_path / "out", resume=True)
    assert (predicted.written, predicted.skipped) == (2, 2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_error_full_disk(photographs, tmp_path, monkeypatch, number, caplog):
    written = []

    def write_bytes(path, content):
        written.append(path)
        with open(path, "wb") as file:
            file.write(content[:10])
            if len(written) == 3:
                raise OSError(number, os.strerror(number))
            file.write(content[10:])

    def fail(count):
        if count == 3:
            raise ValueError("too odd")

    Image.new("L", (9, 9)).save(photographs / "d.png")
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)  # a bar that is shown does not close steps
    with pytest.raises(OSError, match=rf"{os.strerror(number)}; results so far are kept; .*d.png") as caught:
        predict_files(Disc(fail), [photographs], tmp_path / "out", threads=1)
    assert not workers(), "none is left, also while the error is held"
    assert caught.value.errno == number
    assert files(tmp_path / "out")[:2] == ["a.png", "b.png"]
    assert not {"c.png", "d.png"} & set(files(tmp_path / "out"))
    assert not list((tmp_path / "out").glob(".*"))
    assert caplog.messages == [f"{photographs / 'c.webp'}: too odd"], "what failed before is told"


def test_error_failures_before_an_interruption_are_told(photographs, tmp_path, caplog):
    def interrupt(count):
        if count == 2:
            raise KeyboardInterrupt

    (photographs / "b.png").write_text("no picture")
    with pytest.raises(KeyboardInterrupt):
        predict_files(Disc(interrupt), [photographs], tmp_path / "out", threads=8)
    assert caplog.messages == [f"{photographs / 'b.png'} is not an image that can be read"]


def test_value_results_have_the_permissions_of_any_file(photographs, tmp_path):
    before = os.umask(0o027)
    try:
        predict_files(Disc(), [photographs], tmp_path / "out")
    finally:
        os.umask(before)
    assert {(tmp_path / "out" / name).stat().st_mode & 0o777 for name in files(tmp_path / "out")} == {0o640}


@pytest.mark.parametrize(("cores", "given", "wanted"), [(64, None, 8), (3, None, 3), (None, None, 1), (2, 5, 5)])
def test_value_threads(photographs, tmp_path, monkeypatch, cores, given, wanted):
    seen = []

    def recording(*arguments, threads, **options):
        seen.append(threads)
        return overlapped(*arguments, threads=threads, **options)

    estimates = []
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr("dichoseg.photographs.job.overlapped", recording)
    monkeypatch.setattr(
        "dichoseg.photographs.cutout.estimate_foreground",
        lambda photograph, mask, *, threads: estimates.append(threads) or photograph,
    )
    predict_files(Disc(), [photographs / "a.jpg"], tmp_path / "out", threads=given, cutout=True)
    assert seen == [wanted]
    assert estimates == [given]


def test_error_of_300_broken_photographs_is_theirs(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)  # or a broken size would take gigabytes
    random = np.random.default_rng(0)
    picture = Image.fromarray(RANDOM.integers(0, 256, (12, 17, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = {}
    for ending in ("png", "jpg", "webp", "gif", "tif", "bmp"):
        picture.save(tmp_path / f"a.{ending}", **({} if ending in ("gif", "bmp") else {"exif": exif}))
        whole[ending] = (tmp_path / f"a.{ending}").read_bytes()
    (tmp_path / "in").mkdir()
    for index in range(300):
        content = bytearray(whole[list(whole)[index % 6]])
        place = int(random.integers(len(content)))
        match index // 6 % 4:
            case 0:
                content[place] ^= int(random.integers(1, 256))
            case 1:
                content[min(place, 40)] = int(random.integers(256))  # in the head
            case 2:
                del content[max(place, 1) :]
            case 3:
                content[:8] = whole[list(whole)[int(random.integers(6))]][:8]
        (tmp_path / f"in/{index}.{list(whole)[index % 6]}").write_bytes(content)
    predicted = predict_files(Disc(), [tmp_path / "in"], tmp_path / "out", cutout=True, threads=2)
    assert predicted.written + len(predicted.failures) == 300
    assert min(predicted.written, len(predicted.failures)) > 50
    assert sorted(caplog.messages) == sorted(predicted.failures)
    results = files(tmp_path / "out")
    assert len(results) == predicted.written
    for name in results:
        with Image.open(tmp_path / "out" / name) as result:
            assert result.format == "PNG"
            result.load()


@contextlib.contextmanager
def files_of_at_most(count):
    """Let the system cut longer files short, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("format", ["png", "webp"])
def test_error_file_cut_short_by_the_system(photographs, tmp_path, format):
    predict_files(Disc(), [photographs], tmp_path / "whole", cutout=True, format=format)
    sizes = sorted((tmp_path / "whole" / name).stat().st_size for name in files(tmp_path / "whole"))
    with files_of_at_most(sizes[-1] - 1):
        predicted = predict_files(Disc(), [photographs], tmp_path / "out", cutout=True, format=format)
    assert len(predicted.failures) == 1
    assert predicted.failures[0].startswith(f"{photographs / 'a.jpg'}: [Errno 27] File too large")
    assert files(tmp_path / "out") == [f"b.{format}", f"c.{format}", f"sub/a.{format}"]


def test_error_folder(photographs, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"file is a file; wanted a folder for the results"):
        predict_files(Disc(), [photographs], tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        predict_files(Disc(), [photographs], tmp_path / "file/out")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="File exists.*dangling"):
        predict_files(Disc(), [photographs], tmp_path / "dangling")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").write_text("in the place of the subfolder")
    predicted = predict_files(Disc(), [photographs], tmp_path / "out")
    assert predicted.written == 3
    assert predicted.failures[0].startswith(f"{photographs / 'sub/a.jpg'}: ")


def test_error_folder_without_permission(photographs, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    asked = []

    def access(path, mode):
        asked.append((path, mode))
        return False

    monkeypatch.setattr(os, "access", access)  # root may write everywhere
    predictor = Disc()
    with pytest.raises(PermissionError, match="out is a folder that you may not write to$"):
        predict_files(predictor, [photographs], tmp_path / "out")
    with pytest.raises(
        PermissionError, match=r"out is a folder that you may not write to; wanted to make .*out/a/b in"
    ):
        predict_files(predictor, [photographs], tmp_path / "out/a/b")
    assert asked == [(tmp_path / "out", os.W_OK | os.X_OK)] * 2
    assert predictor.count == 0


def test_error_sources(small_isnet, photographs, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        TypeError, match=r"predictor must be a Predictor, as Predictor\(model\); got a model, Segmenter"
    ):
        predict_files(small_isnet, [photographs], tmp_path / "out")
    with pytest.raises(ValueError, match="no photographs in"):
        predict_files(exact(small_isnet), [tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="no photograph or folder at .*none.jpg"):
        predict_files(Disc(), [tmp_path / "none.jpg"], tmp_path / "out")
    with pytest.raises(ValueError, match="sources is empty; wanted photographs, or folders of them"):
        predict_files(Disc(), [], tmp_path / "out")
    with pytest.raises(TypeError, match="sources takes a list of paths"):
        predict_files(Disc(), photographs, tmp_path / "out")
    with pytest.raises(ValueError, match=r"in/a.jpg and .*sub/a.jpg would both be written to .*out/a.jpg.png"):
        predict_files(Disc(), [photographs, photographs / "sub"], tmp_path / "out")
    with pytest.raises(ValueError, match=r"b.png is a photograph that is read and would be overwritten"):
        predict_files(Disc(), [photographs], photographs)
    with pytest.raises(ValueError, match="threads must be 1 or more; got 0"):
        predict_files(Disc(), [photographs], tmp_path / "out", threads=0)
    with pytest.raises(ValueError, match="a jpg file has no alpha channel"):
        predict_files(Disc(), [photographs], tmp_path / "out", cutout=True, format="jpg")
    assert not (tmp_path / "out").exists()
