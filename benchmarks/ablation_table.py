"""Table and plot of an ablation: `python benchmarks/ablation_table.py FOLDER [--metrics max_f mae ...]`.

It reads the results of `benchmarks/ablation.py` and makes three tables: mean and standard deviation over the seeds of
each arm; the differences to the baseline of the same seed, as their mean and its 95 % interval by Student's t; and the
cost of each arm. The interval covers other seeds on the same images, not other images, and considers one arm at a time:
with nine arms and six metrics, about two or three of the intervals miss zero by chance. It needs SciPy.
"""

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import t as student_t

BASELINE = "baseline"
PUBLISHED = "published"
ARMS: dict[str, tuple[str, ...]] = {
    BASELINE: (),
    PUBLISHED: (),
    "edge": ("edge",),
    "edge-map": ("edge-map",),
    "blur": ("blur",),
    "deconv": ("deconv",),
    "deconv-nonlinear": ("deconv-nonlinear",),
    "gt-encoder": ("gt-encoder",),
    "flips": ("flips",),
    "all": ("edge", "blur", "deconv", "gt-encoder", "flips"),
    "all-but-deconv": ("edge", "blur", "gt-encoder", "flips"),
}
"""The arms and their ideas, in the order of the table."""
RESULTS = "*-[0-9]*.json"
METRICS = ("max_f", "weighted_f", "s_measure", "mae", "mba", "hce")
SMALLER_IS_BETTER = ("mae", "mse", "hce")
PLOT = "differences.png"
TABLE = "table.md"
SECONDS = ("seconds", "gt_encoder_seconds")

Runs = dict[str, dict[int, dict[str, Any]]]
"""Arm -> seed -> results of the run."""


def main() -> None:
    """Print the table and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--metrics", nargs="+", default=METRICS, metavar="NAME")
    options = parser.parse_args()
    print(summarise(options.folder, metrics=options.metrics))


def summarise(folder: Path, *, metrics: Sequence[str] = METRICS) -> str:
    """Return the tables in Markdown; write them and the plot into the folder."""
    runs = read(folder)
    text = absolute_table(runs, metrics)
    differences = paired_differences(runs, metrics)
    if differences:
        text += "\n" + difference_table(differences, metrics)
        trained = {arm: of_arm for arm, of_arm in differences.items() if arm != PUBLISHED}  # far from all others
        plot(trained, metrics).savefig(folder / PLOT)
    text += "\n" + cost_table(runs)
    (folder / TABLE).write_text(text, encoding="utf-8")
    return text


def read(folder: Path) -> Runs:
    """Read all runs in a folder, with the arms in table order.

    Raises:
        FileNotFoundError: The folder has no runs.
    """
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(RESULTS))]
    if not results:
        raise FileNotFoundError(f"no runs of benchmarks/ablation.py in {folder}")
    runs: Runs = {arm: {result["seed"]: result for result in results if result["arm"] == arm} for arm in ARMS}
    return {arm: of_arm for arm, of_arm in runs.items() if of_arm}


def absolute_table(runs: Runs, metrics: Sequence[str]) -> str:
    """Return a table of mean and standard deviation over seeds."""
    rows = []
    for arm, of_arm in runs.items():
        cells = [arm, str(len(of_arm))]
        for metric in metrics:
            values = [result["scores"][metric] for result in of_arm.values()]
            spread = statistics.stdev(values) if len(values) > 1 else math.nan
            cells.append(with_spread(metric, statistics.mean(values), spread))
        rows.append(cells)
    return table(["arm", "seeds", *metrics], rows)


def paired_differences(runs: Runs, metrics: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Return arm -> metric -> score minus the baseline's, for each seed that both have."""
    baseline = runs.get(BASELINE, {})
    differences: dict[str, dict[str, list[float]]] = {}
    for arm, of_arm in runs.items():
        seeds = sorted(baseline.keys() & of_arm.keys())
        if arm != BASELINE and seeds:
            differences[arm] = {
                metric: [of_arm[seed]["scores"][metric] - baseline[seed]["scores"][metric] for seed in seeds]
                for metric in metrics
            }
    return differences


def half_interval(values: Sequence[float]) -> float:
    """Return half of the 95 % interval of the mean, by Student's t; NaN for one value."""
    count = len(values)
    if count < 2:
        return math.nan
    return float(student_t.ppf(0.975, count - 1)) * statistics.stdev(values) / math.sqrt(count)


def difference_table(differences: dict[str, dict[str, list[float]]], metrics: Sequence[str]) -> str:
    """Return a table of mean differences to the baseline and half intervals; intervals without zero are bold."""
    rows = []
    for arm, of_arm in differences.items():
        cells = [arm, str(len(of_arm[metrics[0]]))]
        for metric in metrics:
            mean, half = statistics.mean(of_arm[metric]), half_interval(of_arm[metric])
            cell = with_spread(metric, mean, half, sign="+")
            cells.append(f"**{cell}**" if abs(mean) > half else cell)
        rows.append(cells)
    return table(["minus the baseline", "pairs", *metrics], rows)


def cost_table(runs: Runs) -> str:
    """Return a table of parameters and training seconds; the last column is the part for the GT encoder."""
    rows = []
    for arm, of_arm in runs.items():
        results = list(of_arm.values())
        training, of_gt_encoder = (statistics.mean(result[name] for result in results) for name in SECONDS)
        cells = [f"{results[0]['parameters'] / 1e6:.2f}", str(results[0]["steps"])]
        rows.append([arm, *cells, f"{training:.0f}", f"{of_gt_encoder:.0f}"])
    return table(["arm", "parameters, 10⁶", "steps", "seconds", "seconds of the GT encoder"], rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table whose first column is text and whose others are numbers."""
    head = [f"| {' | '.join(columns)} |", f"|---{'|---:' * (len(columns) - 1)}|"]
    return "\n".join(head + [f"| {' | '.join(cells)} |" for cells in rows]) + "\n"


def with_spread(metric: str, value: float, spread: float, *, sign: str = "") -> str:
    """Format a score and, unless NaN, its spread; human correction effort is in clicks, all others in [0, 1]."""
    decimals = 1 if metric == "hce" else 3
    cell = f"{value:{sign}.{decimals}f}"
    return cell if math.isnan(spread) else f"{cell}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{spread:.{decimals}f}"


def plot(differences: dict[str, dict[str, list[float]]], metrics: Sequence[str]) -> Figure:
    """Plot a panel for each metric: every arm's mean difference with its interval, and the seeds as dots."""
    columns = min(len(metrics), 3)
    rows = math.ceil(len(metrics) / columns)
    arms = list(differences)
    figure = Figure(figsize=(3.6 * columns + 1, (0.34 * len(arms) + 1.3) * rows), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).flatten()
    for axis, metric in zip(axes, metrics, strict=False):
        axis.axvline(0, color="0.4", linewidth=1)
        for place, arm in enumerate(arms):
            values = differences[arm][metric]
            mean, half = statistics.mean(values), half_interval(values)
            found = abs(mean) > half
            axis.errorbar(mean, place, xerr=half, fmt="o", color="C0" if found else "0.45", capsize=3, zorder=3)
            axis.plot(values, [place + 0.28] * len(values), linestyle="", marker=".", markersize=4, color="0.65")
        axis.set_yticks(range(len(arms)), arms)
        axis.set_ylim(len(arms) - 0.4, -0.6)
        axis.set_xlabel(f"{metric}, minus the baseline's (better →)")
        if metric in SMALLER_IS_BETTER:
            axis.invert_xaxis()
        axis.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axis.grid(axis="x", alpha=0.3)
    for axis in axes[len(metrics) :]:
        axis.set_visible(False)
    return figure


if __name__ == "__main__":
    main()
