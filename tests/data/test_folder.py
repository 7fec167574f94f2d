import pickle

import numpy as np
import pytest
from PIL import Image

from dichoseg import FolderDataset
from dichoseg.data import find_folders


@pytest.fixture
def folder(tmp_path):
    for name in ("b", "a", "sub dir/ü"):
        for part, ending in (("im", "jpg"), ("gt", "png")):
            path = tmp_path / part / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 8), 255, np.uint8)).convert("RGB").save(path)
    return tmp_path


def test_value_pairs_by_path_without_extension(folder):
    dataset = pickle.loads(pickle.dumps(FolderDataset(folder / "im", folder / "gt")))
    assert [dataset[index].name for index in range(len(dataset))] == ["a", "b", "sub dir/ü"]
    assert dataset[0].image.shape == (3, 6, 8)
    assert dataset[0].mask.shape == (1, 6, 8)


def test_value_transform_gets_arrays(folder):
    def flip(image, mask):
        assert image.dtype == mask.dtype == np.uint8
        return {"image": image[:, ::-1][:4].copy(), "mask": mask[:4].copy()}

    assert FolderDataset(folder / "im", folder / "gt", transform=flip)[0].image.shape == (3, 4, 8)


def test_value_split(folder):
    training, validation = FolderDataset(folder / "im", folder / "gt").split(0.3, seed=1)
    names = [{files[0] for files in part.files} for part in (training, validation)]
    assert len(names[0]) == 2
    assert len(names[1]) == 1
    assert not names[0] & names[1]


def test_value_layouts(folder, tmp_path_factory):
    assert find_folders(folder) == (folder / "im", folder / "gt")
    root = tmp_path_factory.mktemp("dis")
    for part in ("DIS-TR/im", "DIS-TR/gt", "val/im", "val/gt"):
        (root / part).mkdir(parents=True)
    assert find_folders(root) == (root / "DIS-TR/im", root / "DIS-TR/gt")
    assert find_folders(root, part="val") == (root / "val/im", root / "val/gt")
    with pytest.raises(FileNotFoundError, match="wanted .*train"):
        find_folders(root / "val/im")


def test_error_folders(folder):
    make = lambda: FolderDataset(folder / "im", folder / "gt")  # noqa: E731
    (folder / "gt/a.png").rename(folder / "gt/z.png")
    with pytest.raises(ValueError, match="im/a.jpg has no mask in"):
        make()
    (folder / "gt/z.png").rename(folder / "gt/a.png")
    Image.new("L", (3, 3)).save(folder / "gt/a.png")
    with pytest.raises(ValueError, match=r"a.png is 3x3 pixels but its image .*a.jpg 8x6"):
        make()[0]
    Image.new("L", (8, 6)).save(folder / "gt/a.bmp")
    with pytest.raises(ValueError, match="two files for one key"):
        make()
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in .*empty"):
        FolderDataset(folder / "empty", folder / "empty")
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        FolderDataset(folder / "nowhere", folder / "gt")
