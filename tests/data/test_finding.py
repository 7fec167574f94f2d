import os

import pytest
from PIL import Image

from dichoseg import FolderDataset
from dichoseg.data import find_folders
from dichoseg.data.finding import images_and_others


def test_value_hidden_folders_are_passed_over(folder):
    (folder / "gt/.ipynb_checkpoints").mkdir()
    Image.new("L", (8, 6)).save(folder / "gt/.ipynb_checkpoints/a-checkpoint.png")
    assert len(FolderDataset(folder / "im", folder / "gt")) == 3


def test_value_links(folder):
    (folder / "im/round").symlink_to(folder / "im")
    (folder / "im/gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "im/linked.jpg").symlink_to(folder / "im/a.jpg")
    (folder / "im/.hidden").symlink_to(folder / "gt")
    (folder / "im/notes.txt").write_text("")
    images, others = images_and_others(folder / "im")
    assert [path.relative_to(folder / "im").as_posix() for path in images] == [
        "a.jpg", "b.jpg", "linked.jpg", "sub dir/ü.jpg",
    ]  # fmt: skip
    assert [path.name for path in others] == ["gone.jpg", "notes.txt", "round"]
    (folder / "link").symlink_to(folder / "im")
    assert len(images_and_others(folder / "link")[0]) == 4, "one that is asked for is followed"


def test_error_folder_that_cannot_be_listed(folder, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith(("sub dir", ".hidden")):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    (folder / "im/.hidden").mkdir()
    monkeypatch.setattr(os, "scandir", refusing)  # root may list everything
    with pytest.raises(PermissionError, match=r"im/sub dir cannot be listed: Permission denied; wanted a folder of im"):
        FolderDataset(folder / "im", folder / "gt")


def test_value_layouts(folder, tmp_path_factory):
    assert find_folders(folder) == (folder / "im", folder / "gt")
    assert find_folders(folder, images="gt", masks="im") == (folder / "gt", folder / "im")
    root = tmp_path_factory.mktemp("dis")
    for part in ("DIS-TR/im", "DIS-TR/gt", "val/im", "val/gt"):
        (root / part).mkdir(parents=True)
    assert find_folders(root) == (root / "DIS-TR/im", root / "DIS-TR/gt")
    assert find_folders(root, part="val") == (root / "val/im", root / "val/gt")
    assert find_folders(root, masks="alpha") == (root / "DIS-TR/im", "alpha")
    assert find_folders(root / "val/im", masks="alpha") == (root / "val/im", "alpha")


def test_error_layouts(folder):
    with pytest.raises(FileNotFoundError, match="wanted .*train.*sub dir holds no folders"):
        find_folders(folder / "im/sub dir")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        find_folders(folder / "nowhere", masks="alpha")
    (folder / "im").rename(folder / "images")
    (folder / "train/masks").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"holds gt, images, train, train/masks; images= and masks= take"):
        find_folders(folder)
