"""Hooks of MkDocs: they write what follows from the code into the pages that hold a mark for it."""

import contextlib
import io
import os
import re
from pathlib import Path

PAGES = Path(__file__).parents[1]
COMMANDS = "<!-- commands -->"
NAMES = "<!-- names -->"
OF_ALL = ("quiet", "verbose", "traceback")
"""Options of every command, which the page states once."""


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the marks of a page."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    return markdown.replace(NAMES, names()) if NAMES in markdown else markdown


def commands() -> str:
    """Return a section for each command, from its own help."""
    from dichoseg.cli import COMMANDS as ALL

    return "\n\n".join(f"## {name}\n\n{_in_markdown(help_of(name))}" for name in ALL)


def help_of(command: str) -> str:
    """Return what `dichoseg COMMAND --help` prints."""
    from dichoseg import cli

    printed, before = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "88"
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            cli.run([command, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    printed.flush()
    return printed.buffer.getvalue().decode()


def _in_markdown(text: str) -> str:
    """Turn a help text into its usage, its description, and a table for each panel."""
    usage, _, rest = re.sub(r"\x1b\[[0-9;]*m", "", text).partition("\n\n")
    description, *panels = re.split(r"(?m)^╭─+ (.*?) ─+╮\n", rest)
    parts = [f"```text\n{' '.join(usage.removeprefix('usage: ').split())}\n```", _escaped(description.strip())]
    for title, panel in zip(panels[::2], panels[1::2], strict=True):
        lines = [line[2:-2].strip("\n").rstrip() for line in panel.splitlines() if line.startswith("│")]
        rules = [number for number, line in enumerate(lines) if line and not line.strip("─")]
        start = rules[0] + 1 if rules else 0  # after the panel's own description
        about = " ".join(line.strip() for line in lines[: max(start - 1, 0)])
        rows = _rows(lines[start:])
        if rows:
            parts.append("\n".join([f"| {title} | {_escaped(about) or 'description'} |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _rows(lines: list[str]) -> list[str]:
    """Return a row for each argument; each begins at the left margin, and its help is indented."""
    entries: list[tuple[str, list[str]]] = []
    for line in lines:
        if line[:1].strip():
            name, *first = re.split(r"\s{2,}", line, maxsplit=1)
            entries.append((name, first))
        elif line.strip():
            entries[-1][1].append(line.strip())
    return [
        f"| <code>{name.replace('|', '&#124;')}</code> | {_escaped(' '.join(words))} |"
        for name, words in entries
        if name not in ("-h, --help", *(f"--{option}" for option in OF_ALL))
    ]


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is, but for code in backquotes."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([\\*_<>|\[\]#])", r"\\\1", piece) for piece in pieces)


def names() -> str:
    """Return a list of all entries of the reference, by name."""
    entries = {
        path: page.name
        for page in sorted((PAGES / "reference").glob("*.md"))
        for path in re.findall(r"(?m)^::: ([\w.]+)$", page.read_text(encoding="utf-8"))
    }
    found = sorted((path.rpartition(".")[2], path.rpartition(".")[0], page) for path, page in entries.items())
    rows = [
        f"| [`{name}`][{package}.{name}] | `{package}` | [{page.removesuffix('.md')}]({page}) |"
        for name, package, page in sorted(found, key=lambda entry: entry[0].lower())
    ]
    return "\n".join(["| name | import from | page |", "|---|---|---|", *rows])
