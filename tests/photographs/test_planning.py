import dataclasses
import os
from pathlib import Path

import pytest

from dichoseg.photographs.naming import STREAM
from dichoseg.photographs.planning import plan_files
from dichoseg.photographs.rendering import Rendering

from .results import write_result


def rendering(format="png"):
    return Rendering(cutout=False, background=None, format=format, threshold=None, crop=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three photographs, as far as their names go, one of them in a subfolder, and something else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for name in ("a.jpg", "b.png", "sub/c.webp", "d.cr2"):
        (tmp_path / "in" / name).write_text("")
    return tmp_path


def test_value_photographs_and_their_results(folder):
    plan = plan_files(["in"], Path("out"), rendering("webp"), resume=False)
    assert plan.remaining == tuple(
        (Path("in", name), Path("out", result))
        for name, result in (("a.jpg", "a.webp"), ("b.png", "b.webp"), ("sub/c.webp", "sub/c.webp"))
    )
    assert (plan.out, plan.rendering.format, plan.skipped, plan.passed_over) == (Path("out"), "webp", 0, 1)
    assert plan.notes == ("1 ignored in in: .cr2 files (1); such as in/d.cr2",)
    assert not Path("out").exists()


def test_value_resume_leaves_what_is_there(folder):
    Path("out").mkdir()
    Path("out/b.png").write_text("")
    assert len(plan_files(["in"], Path("out"), rendering(), resume=False).remaining) == 3
    plan = plan_files(["in"], Path("out"), rendering(), resume=True)
    assert [path.name for path, _ in plan.remaining] == ["a.jpg", "c.webp"]
    assert plan.skipped == 1


def test_value_results_among_the_photographs_are_not_photographs(folder):
    write_result(Path("in/a.gif"))
    plan = plan_files(["in"], Path("in"), rendering("gif"), resume=False)
    assert [path.name for path, _ in plan.remaining] == ["a.jpg", "b.png", "c.webp"]


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_value_parts_hold_each_photograph_once(folder, parts):
    both = dataclasses.replace(rendering(), both=True)
    whole = plan_files(["in"], Path("out"), both, resume=False)
    found = [plan_files(["in"], Path("out"), both, resume=False, part=(index, parts)) for index in range(parts)]
    assert sorted(pair for plan in found for pair in plan.remaining) == sorted(whole.remaining)
    for plan in found:
        assert len(plan.remaining) == 2 * len({path for path, _ in plan.remaining}), "both results in one part"
    assert [plan.passed_over for plan in found] == [1] + [0] * (parts - 1)
    assert [len(plan.notes) for plan in found] == [1] + [0] * (parts - 1)


def test_value_parts_do_not_depend_on_what_is_done(folder):
    """Else a process that starts late would take over what another one is about to do."""
    first = plan_files(["in"], Path("out"), rendering(), resume=True, part=(0, 2))
    Path("out").mkdir()
    Path("out/a.png").write_text("")
    second = plan_files(["in"], Path("out"), rendering(), resume=True, part=(1, 2))
    assert {path.name for path, _ in (*first.remaining, *second.remaining)} == {"a.jpg", "b.png", "c.webp"}
    again = plan_files(["in"], Path("out"), rendering(), resume=True, part=(0, 2))
    assert (again.skipped, second.skipped) == (1, 0)
    assert [path.name for path, _ in again.remaining] == ["c.webp"]


@pytest.mark.parametrize("part", [(2, 2), (-1, 2), (0, 0)])
def test_error_part(folder, part):
    with pytest.raises(ValueError, match="part must be"):
        plan_files(["in"], Path("out"), rendering(), resume=False, part=part)


def test_value_results_within_the_photographs_are_none(folder):
    Path("in/out").mkdir()
    Path("in/out/a.png").write_text("")
    plan = plan_files(["in"], Path("in/out"), rendering(), resume=False)
    assert len(plan.remaining) == 3
    assert plan.notes[0] == "1 files in in/out are treated as results, not as photographs"


def test_value_single_photographs_keep_their_names_alone(folder):
    plan = plan_files(["in/sub/c.webp", Path("in/a.jpg")], Path("out"), rendering(), resume=False)
    assert [str(result) for _, result in plan.remaining] == ["out/c.png", "out/a.png"]


def test_value_results_next_to_the_photographs(folder):
    plan = plan_files(["in"], None, rendering("webp"), resume=False)
    assert [str(result) for _, result in plan.remaining] == ["in/a.mask.webp", "in/b.mask.webp", "in/sub/c.mask.webp"]
    assert plan.out is None
    write_result(Path("in/a.mask.webp"))
    Path("in/b.mask.png").write_text("of another program")
    plan = plan_files(["in"], None, rendering("webp"), resume=False)
    assert [path.name for path, _ in plan.remaining] == ["a.jpg", "b.mask.png", "b.png", "c.webp"]
    assert plan.notes[0] == "1 files in in are masks or cut-outs by dichoseg, not photographs"
    assert plan_files(["in"], None, rendering("webp"), resume=True).skipped == 1


def test_value_endings_are_kept_where_names_meet(folder):
    Path("in/a.png").write_text("")
    plan = plan_files(["in"], Path("out"), rendering(), resume=False)
    assert [str(result) for _, result in plan.remaining] == [
        "out/a.jpg.png",
        "out/a.png.png",
        "out/b.png",
        "out/sub/c.png",
    ]
    plan = plan_files(["in"], None, rendering(), resume=False)
    assert [path.name for _, path in plan.remaining] == ["a.jpg.mask.png", "a.png.mask.png", "b.mask.png", "c.mask.png"]


def test_value_one_file(folder):
    Path("b.jpeg").write_text("an older one")
    assert plan_files(["in/a.jpg"], Path("b.jpeg"), rendering(), resume=False).remaining == (
        (Path("in/a.jpg"), Path("b.jpeg")),
    )
    for out in (None, STREAM):
        plan = plan_files(["-"], out, rendering(), resume=False)
        assert (plan.remaining, plan.out) == (((STREAM, STREAM),), STREAM)
    assert plan_files(["-"], Path("new/b.png"), rendering(), resume=False).remaining == ((STREAM, Path("new/b.png")),)


@pytest.mark.parametrize(
    ("sources", "out", "kind", "message"),
    [
        ("in", "out", TypeError, r"sources takes a list of paths, such as \['in'\]; got 'in'"),
        ([], "out", ValueError, "sources is empty"),
        (["none.jpg"], "out", FileNotFoundError, "no photograph or folder at none.jpg"),
        (
            ["in/a.jpg", "none.png"],
            "out",
            FileNotFoundError,
            "at none.png; out='none.png' would write the result there",
        ),
        (["https://a.org/b.jpg"], "out", FileNotFoundError, "^https://a.org/b.jpg is an address; wanted a photograph"),
        (["s3://a/b.jpg"], "out", FileNotFoundError, "^s3://a/b.jpg is an address; wanted a photograph"),
        (["file:///a/b.jpg"], "out", FileNotFoundError, "^file:///a/b.jpg is an address; wanted a photograph"),
        (["in", "empty"], "out", ValueError, "no photographs in empty"),
        (["in", "in/a.jpg"], "out", ValueError, "in/a.jpg and in/a.jpg would both be written to out/a.jpg.png"),
        (["in"], "in", ValueError, "in/b.png is a photograph that is read and would be overwritten"),
        (["in"], "in/d.cr2", NotADirectoryError, "in/d.cr2 is a file; wanted a folder for the results"),
        (["in"], "a.png", ValueError, "a.png takes the result of one photograph; got the folder in"),
        (["in/a.jpg", "in/b.png"], "-", ValueError, "- takes the result of one photograph; got 2 paths"),
        (["in/a.jpg"], "in/a.jpg", ValueError, "in/a.jpg is a photograph that is read and would be overwritten"),
        (["-", "in/a.jpg"], "out", ValueError, "'-' is one photograph, from standard input; got in/a.jpg as well"),
        (["-"], "out", ValueError, "standard input has no name for a result in out"),
    ],
)
def test_error_sources_and_results(folder, sources, out, kind, message):
    with pytest.raises(kind, match=message):
        plan_files(sources, Path(out), rendering(), resume=False)


def test_error_folder_that_may_not_be_written_to(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(PermissionError, match="you may not write to; wanted to make out/masks in it"):
        plan_files(["in"], Path("out/masks"), rendering(), resume=False)


def test_error_a_file_of_someone_else_next_to_the_photographs(folder):
    Path("in/a.mask.png").write_text("drawn by hand")
    for out in (None, Path("in/out")):
        plan_files(["in/b.png"], out, rendering(), resume=False)
    with pytest.raises(ValueError, match="in/a.mask.png was not written by dichoseg, and would be overwritten"):
        plan_files(["in/a.jpg"], None, rendering(), resume=False)
    assert plan_files(["in/a.jpg"], None, rendering(), resume=True).skipped == 1
    write_result(Path("in/a.mask.png"))
    assert len(plan_files(["in/a.jpg"], None, rendering(), resume=False).remaining) == 1
