"""Write the tables of the models page, from the catalogue and benchmarks/results: `python docs/assets/models.py`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch

import dichoseg
from dichoseg.weights.catalogue import RECORDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/models.md"
RESULTS = ROOT / "benchmarks/results"
OTHER_FILES = ("-onnx", "-fp16", "-pth")
"""Ends of the names of other files of the same weights."""
METRICS = ("max_f", "weighted_f", "mae", "s_measure", "mean_e", "hce")


def read(name: str) -> dict[str, Any]:
    """Read a file of results."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def markdown(header: tuple[str, ...], numbers: set[str], rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown, with columns of numbers to the right."""
    rule = tuple("---:" if name in numbers else "---" for name in header)
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *rows)) + "\n"


@cache
def network_of(network: str, size: int | tuple[int, int] | None) -> tuple[int, tuple[int, int]]:
    """Return the number of parameters of a network, and the size (height, width) of its input."""
    with torch.device("meta"):  # without memory for the parameters
        model = dichoseg.create_model(network, size=size)
    height_width = model.preprocessing.height_width
    assert height_width is not None
    return sum(parameter.numel() for parameter in model.parameters()), height_width


def weights_table() -> str:
    """Return the table of weights by name."""
    costs, scores = read("models.json")["networks"], read("scores.json")
    rows = []
    for record in RECORDS:
        if record.name.endswith(OTHER_FILES):
            continue
        network = record.network.partition("(")[0]
        parameters, (height, width) = network_of(record.network, record.preprocessing.get("size"))
        cost = costs.get(f"{network} {height}x{width}", {})
        measured = next((one["scores"] for one in scores["measured"] if one["weights"] == record.name), None)
        published = next((one["scores"] for one in scores["published"] if one.get("weights") == record.name), None)
        rows.append(
            (
                f"`{record.name}`",
                f"`{network}`",
                record.license or "not stated",
                f"{width}\u00a0×\u00a0{height}",
                f"{parameters / 1e6:.1f}",
                f"{measured['max_f']:.3f}, {measured['mae']:.3f}" if measured else "",
                f"{published['weighted_f']:.3f}, {published['s_measure']:.3f}" if published else "",
                f"{cost['seconds']:.1f}" if cost else "",
                f"{cost['memory_gb']:.1f}" if cost else "",
                f"`dichoseg download {record.name}`" if record.addresses else "a mirror or a copy",
            )
        )
    header = (
        "weights",
        "network",
        "license",
        "input",
        "parameters, 10⁶",
        "ECSSD: max_f, mae",
        "DIS-VD: weighted_f, s_measure",
        "CPU, s",
        "memory, GB",
        "download",
    )
    return markdown(header, {"parameters, 10⁶", "CPU, s", "memory, GB"}, rows)


def scores_table(which: str) -> str:
    """Return the table of published scores, of weights by name ("weights") or of networks trained on DIS-TR."""
    rows = [
        (
            f"`{one[which]}`",
            *(
                f"{one['scores'][name]:{'.0f' if name == 'hce' else '.3f'}}" if name in one["scores"] else ""
                for name in METRICS
            ),
            one["source"],
        )
        for one in read("scores.json")["published"]
        if which in one
    ]
    return markdown((which, *(f"`{name}`" for name in METRICS), "source"), {f"`{name}`" for name in METRICS}, rows)


def machine() -> str:
    """Return the sentence about the machine of the measurements."""
    it = read("models.json")["machine"]
    return f"\nMeasured on one core of an {it['processor']}, in {it['precision']}, with torch {it['torch']}.\n\n"


TABLES = {
    "weights": weights_table,
    "machine": machine,
    "published weights": lambda: scores_table("weights"),
    "published networks": lambda: scores_table("network"),
}
"""Name between the comments of the page -> its text."""


def with_tables(page: str) -> str:
    """Return a page with each text between its two comments."""
    for name, text in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, rest = page.split(begin)
        page = before + begin + text() + end + rest.split(end)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
