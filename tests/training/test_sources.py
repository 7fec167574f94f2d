import pytest
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

from dichoseg import FolderDataset, SyntheticDataset
from dichoseg.training.sources import pixel_source, size_source


@pytest.fixture
def folder(tmp_path):
    for part in ("im", "gt"):
        (tmp_path / part).mkdir()
        for number, name in enumerate("abc"):
            Image.new("L", (16 + number, 12)).save(tmp_path / part / f"{name}.png")
    return FolderDataset(tmp_path / "im", tmp_path / "gt")


class Plain(FolderDataset):
    """One that adds nothing to reading."""


class Extended(FolderDataset):
    """One that does more than read."""

    def __getitem__(self, index):
        return super().__getitem__(index)


class Turned(Extended):
    """One that knows what its own reading does to sizes."""

    def image_size(self, index):
        return super().image_size(index)[::-1]


def as_kind(data, kind):
    data.__class__ = kind
    return data


@pytest.mark.parametrize(
    ("wrap", "pixels", "sizes"),
    [
        (lambda data: data, True, True),
        (lambda data: Subset(ConcatDataset([Subset(data, [2]), data]), [1, 0, 2]), True, True),
        (lambda data: as_kind(data, Plain), True, True),
        (lambda data: Subset(as_kind(data, Extended), range(3)), False, False),
        (lambda data: Subset(as_kind(data, Turned), range(3)), False, True),
        (lambda data: [data[index] for index in range(len(data))], False, False),
    ],
    ids=["folder", "nested", "subclass", "subclass that does more", "subclass that knows sizes", "list"],
)
def test_value_sources_are_found_through_wrappers(folder, wrap, pixels, sizes):
    data = wrap(folder)
    for index in range(3):
        source, place = pixel_source(data, index)
        assert (source is not None) == pixels
        if source is not None:
            assert source.load_pixels(place).name == data[index].name
        source, place = size_source(data, index)
        assert (source is not None) == sizes
        if source is not None:
            turn = -1 if isinstance(source, Turned) else 1
            assert source.image_size(place) == tuple(data[index].image.shape[1:])[::turn]


def test_value_a_negative_index_in_joined_sets(folder):
    other = folder.without(["a"])
    chosen = Subset(ConcatDataset([folder, other]), [-1, 0, -len(other) - len(folder)])
    assert pixel_source(chosen, 0) == size_source(chosen, 0) == (other, len(other) - 1)
    assert pixel_source(chosen, 1) == pixel_source(chosen, 2) == (folder, 0)


def test_value_drawn_scenes_have_neither():
    assert pixel_source(SyntheticDataset(2, size=64), 1) == size_source(SyntheticDataset(2, size=64), 1) == (None, 1)
