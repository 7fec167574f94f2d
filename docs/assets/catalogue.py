"""Write the table of published weights into the pages that hold it."""

from pathlib import Path

from dichoseg.weights.catalogue import RECORDS

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs/how-to/weights.md",)
HEADER = ("name", "network", "MB", "for", "license", "commercial use")
BEGIN, END = "<!-- table of published weights -->\n", "<!-- end of the table -->\n"


def table() -> str:
    """Return the table in Markdown."""
    rows = [
        (
            f"`{record.name}`" + (" ¹" if record.seen_test_sets else ""),
            f"`{record.network.partition('(')[0]}`",  # the whole record states its arguments
            record.megabytes,
            record.purpose,
            record.license or "not stated",
            record.commercial,
        )
        for record in RECORDS
    ]
    lines = [HEADER, ("---", "---", "---:", "---", "---", "---"), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def with_table(page: str) -> str:
    """Return a page with the table between the two comments."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
