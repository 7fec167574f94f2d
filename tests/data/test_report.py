import pickle

import pytest

from dichoseg.data import DataReport, Problem

PROBLEMS = (
    *(Problem("size mismatch", "error", f"{index}", f"gt/{index}.png is too small") for index in range(7)),
    Problem("unreadable file", "error", "8", "im/8.jpg cannot be read"),
    Problem("empty mask", "warning", "9", "gt/9.png is empty"),
)
REPORT = DataReport(290, PROBLEMS, ((300, 400), (3000, 4000)), (0.004, 0.31, 0.8))


def test_value_text():
    lines = str(REPORT).splitlines()
    assert lines[0] == (
        "290 pairs, images 300x400 to 3000x4000 pixels, foreground 0.4 % to 80 % of the picture, median 31 %"
    )
    assert lines[1] == "error: size mismatch (7): resize_masks=True resizes such masks"
    assert lines[2:8] == [*(f"  gt/{index}.png is too small" for index in range(5)), "  ... and 2 more"]
    assert lines[8].startswith("error: unreadable file (1): ")
    assert lines[10].startswith("warning: empty mask (1): ")
    assert lines[11:] == ["  gt/9.png is empty"]
    assert len(REPORT.text(limit=None).splitlines()) == 1 + 3 + 9
    assert REPORT.text(limit=0).splitlines()[1:3] == [lines[1], "  ... and 7 more"]


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (DataReport(1, (), ((8, 6), (8, 6)), (0.5, 0.5, 0.5)), "1 pair, images 8x6 pixels, foreground 50 % to 50 %"),
        (DataReport(2, (), None, None), "2 pairs\nno problems found"),
    ],
)
def test_value_text_of_little(report, text):
    assert report.text().startswith(text)
    assert report.text().endswith("no problems found")


def test_value_unusable_names_pairs_alone():
    orphans = (
        Problem("image without mask", "error", "a", "im/a.jpg has no mask in gt"),
        Problem("mask without image", "error", "b", "gt/b.png has no image in im"),
        Problem("two files for one key", "error", "c", "two files for one key: im/c.jpg and im/c.png"),
    )
    report = pickle.loads(pickle.dumps(DataReport(290, (*orphans, *PROBLEMS), None, None)))
    assert report.unusable == {*"0123456", "8"}
    assert len(report.errors) == 11
    assert [problem.name for problem in report.warnings] == ["9"]
