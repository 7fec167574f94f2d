"""Draw the badges of the README and the home page: `python docs/assets/badges.py` reads pyproject.toml, writes SVG."""

import tomllib
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def least(name: str) -> str:
    """Return the lowest version of a dependency, such as `2.6+`."""
    (version,) = [each.partition(">=")[2] for each in PROJECT["dependencies"] if each.partition(">=")[0] == name]
    return version + "+"


BADGES = {
    "python": ("Python", PROJECT["requires-python"].removeprefix(">=") + "+"),
    "pytorch": ("PyTorch", least("torch")),
    "license": ("license", PROJECT["license"]),
    "version": ("version", PROJECT["version"]),
    "typed": ("types", "strict"),
}
"""File -> label and value."""


def draw(label: str, value: str) -> str:
    """Return a badge as SVG."""
    left, right = (round(6.6 * len(text) + 12) for text in (label, value))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{escape(label)}: {escape(value)}">'
        f'<rect width="{left + right}" height="20" rx="3" fill="#00695c"/>'
        f'<path d="M3 0h{left - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#37474f"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(value)}</text></g></svg>\n'
    )


if __name__ == "__main__":
    for file, words in BADGES.items():
        (HERE / f"badge_{file}.svg").write_text(draw(*words), encoding="utf-8")
