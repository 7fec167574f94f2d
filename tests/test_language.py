"""Habits of prose that must not come back: in pages, docstrings, messages and comments."""

import ast
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = "words: allowed"
"""In a comment on the same line, Python's or Markdown's, it lets the line pass."""
HABITS = {
    "begin with a verb or a noun": r'"""(What|Who|Which|Where|Whether|How)\b',
    "name the noun: `Number of ...`, not `Of ...`": r"(^|: )Of (the |a )?[a-z]",
    "`not a`, `none`, or `no ... exists`": r"(?<![Tt]here )\b(is|was) no\b(?! longer\b)|\bnone that (is|are)\b",
    "`if`, not `where`": r"\bwhere (there|nothing|none|one|that|a|an|no) (is|are|was)\b",
    "a noun, not `what`": r"\bwhat ((is|was)(?! wrong| in )|comes|came|goes|lies|it holds|a|an|one|can|would|none)\b",
    "`only`, not `alone`": r"\b(answer|output|map|maps|logits|name|weights|mask|final|taken|quantized) alone\b",
    "`next to` or `in addition to`, not `beside`": r"\bbeside\b",
    "the field's words: output, overfit, skip, fix, synthetic images, int": (
        r"\b(the answer alone|by heart|passed over|mended|drawn scenes|whole numbers?)\b"
    ),
    "`fraction of`, `std`, `logs`, `gets`": r"\b(share of|speaks|(is|are) told|told by|tells nobody)\b",
    "`continues`, `replaces`, `needs`": (
        r"\b(goes on|go on (with|from)|stands in for|wants converting|takes? the place)\b"
    ),
    "no possessive before `own`": r"\w+s' own\b",
    "say what was measured, not what was not": r"\bwas not measured here\b",
    "American spelling": (
        r"\b(optimis(e|ing|ation)|normalis|colour|grey|recognis|licence|initialis|behaviour"
        r"|centre|labell|modell|quantis|summaris|analys(e|ing)\b|neighbour)\w*"
    ),
}
"""What to write instead, and the pattern of what not to write."""


def prose_of(path):
    """Yield the number and the text of each piece of prose in a file: lines of a page, strings and comments of code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = re.sub(r"(?ms)^( *)```.*?^\1```", lambda code: "\n" * code.group().count("\n"), text)
        yield from enumerate(text.splitlines(), start=1)
        return
    docstrings = set()
    for node in ast.walk(ast.parse(text)):  # a docstring comes before its constant
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings.add(node.value)
            first, *rest = node.value.value.splitlines() or [""]
            yield node.lineno, f'"""{first}'
            yield from enumerate(rest, start=node.lineno + 1)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.lineno, node.value if " " in node.value else ""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def hits_in(path):
    """Return a message for each habit in a file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [
        f"{path}:{number}: {advice}: {lines[number - 1].strip()[:100]}"
        for number, text in prose_of(path)
        for advice, pattern in HABITS.items()
        if re.search(pattern, re.sub(r"`[^`]+`", "", text)) and ALLOWED not in lines[number - 1]
    ]
    return list(dict.fromkeys(found))


def files():
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    code = [path for part in ("src", "examples", "benchmarks") for path in (ROOT / part).rglob("*.py")]
    return sorted(path for path in pages + code if path.name != "CHANGELOG.md")


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="the pages are not next to the tests")
def test_value_no_habit_has_come_back():
    hits = [hit for path in files() for hit in hits_in(path)]
    assert not hits, "\n".join(hits)


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("page.md", "The licence of the weights.", 1),
        ("page.md", "The licence of the weights. <!-- words: allowed -->", 0),
        ("page.md", "```\nThe licence.\n```\n", 0),
        ("page.md", "The license of the weights; there is no other.", 0),
        ("code.py", 'def f():\n    """What it does."""\n', 1),
        ("code.py", 'raise ValueError("this is no model")\n', 1),
        ("code.py", "centre = 1  # of the image\n", 0),
        ("code.py", "x = 1  # the centre of it\n", 1),
        ("code.py", "x = 1  # the centre of it; words: allowed\n", 0),
    ],
)
def test_value_hits(tmp_path, name, text, number):
    path = tmp_path / name
    path.write_text(text)
    assert len(hits_in(path)) == number
