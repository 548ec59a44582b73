"""Summary of all benchmarks, with targets and measured values: a table on the terminal, a page and a picture."""

import json
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from report import RESULTS, STEADY, Claim, claims_table

ORDER = ["recurrent", "ragged", "threads", "wavefront", "linear", "step"]
CELLS = ["lstm", "gru", "rnn"]
RIVALS = {"torch": "tab:orange", "padded": "tab:orange", "padded, buckets": "tab:olive", "packed before": "tab:red",
          "jax": "tab:green"}  # fmt: skip


def load() -> dict[str, Any]:
    """Read the files of all benchmarks."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    return {name: found[name] for name in [*ORDER, *sorted(set(found) - set(ORDER))] if name in found}


def claims(results: dict[str, Any]) -> list[Claim]:
    return [Claim(one["what"], one["target"], one["measured"], one["unit"])
            for facts in results.values() for one in facts["claims"]]  # fmt: skip


def markdown(results: dict[str, Any]) -> str:
    """Return the page: the machine, the picture, the claims, and every row."""
    first = next(iter(results.values()))
    lines = [
        f"{_machine(first)}; " + ", ".join(f"{name} {number}" for name, number in first["versions"].items()) + ".",
        "", *(f"The machine was busy during *{name}*: the peak fell to {facts['peak_swing']:.0%} of its best."
          for name, facts in results.items() if facts["peak_swing"] < STEADY),
        "", "![speed of training relative to other libraries](benchmarks.png)",
        "", "| comparison | target | measured | |", "| --- | ---: | ---: | --- |",
        *(f"| {one.what} | {one.target:g} {one.unit} | {one.measured:.2f} {one.unit} | {'' if one.met else 'missed'} |"
          for one in claims(results)),
    ]  # fmt: skip
    for name, facts in results.items():
        lines += ["", f"### {name.replace('_', ' ').capitalize()}", "", facts["about"], "",
                  *([f"Machine: {_machine(facts)}.", ""] if _machine(facts) != _machine(first) else []),
                  "| shape | | | ms (p10 to p90) | GFLOP/s | of the peak | times as long |",
                  "| --- | --- | --- | ---: | ---: | ---: | ---: |",
                  *(line for row in facts["rows"] for line in _lines(row))]  # fmt: skip
    return "\n".join(lines) + "\n"


def _machine(facts: dict[str, Any]) -> str:
    machine = facts["machine"]
    return f"{machine['processor']}, {machine['cores']} cores, kernels for {machine['kernels']}"


def _lines(row: dict[str, Any]) -> list[str]:
    what = " ".join(filter(None, [row.get("cell"), row["what"]]))
    lines = []
    for name, facts in row["contestants"].items():
        time, share, ratio = facts["milliseconds"], facts["share_of_peak"], facts["times_as_long"]
        figures = [
            f"{time['median']:.3g} ({time['p10']:.3g} to {time['p90']:.3g})",
            f"{facts['gflops']:.0f}" if facts["gflops"] else "",
            f"{share['median']:.0%}" if share else "",
            f"{ratio['median']:.2f}" if ratio else "",
        ]
        lines.append(f"| {row['shape']} | {what} | {name} | {' | '.join(figures)} |")
    return lines


def draw(results: dict[str, Any]) -> Figure:
    """Draw the speed of training relative to other libraries: a panel per cell, a bar per shape and library."""
    rows = [row for name in ("recurrent", "ragged") for row in results.get(name, {"rows": []})["rows"]
            if row["what"] == "training step"]  # fmt: skip
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    panels = figure.subplots(1, len(CELLS), sharey=True)
    for panel, cell in zip(panels, CELLS, strict=True):
        bars(panel, [row for row in rows if row["cell"] == cell])
        panel.set_title(cell.upper())
    panels[0].invert_yaxis()
    figure.supxlabel("speed of a training step relative to other libraries; lines: p10 to p90 of the rounds")
    return figure


def bars(panel: Axes, rows: list[dict[str, Any]]) -> None:
    places, labels, place = [], [], 0.0
    for row in rows:
        rivals = [name for name in RIVALS if name in row["contestants"]]
        places.append(place + (len(rivals) - 1) / 2)
        labels.append(row["shape"].replace(" ", "\n"))
        for name in rivals:
            ratio = row["contestants"][name]["times_as_long"]
            spread = [[ratio["median"] - ratio["p10"]], [ratio["p90"] - ratio["median"]]]
            panel.barh(place, ratio["median"] - 1, left=1, xerr=spread, color=RIVALS[name], ecolor="0.4", height=0.9)
            panel.text(max(1, ratio["p90"]) * 1.07, place, f"{ratio['median']:.1f} {name}", va="center", fontsize=7)
            place += 1
        place += 0.8
    panel.set_xscale("log")
    panel.set_xlim(0.4, 4 * max(panel.get_xlim()[1], 2))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.axvline(1, color="black", linewidth=0.8)
    panel.set_yticks(places, labels, fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def main() -> None:
    results = load()
    if not results:
        raise SystemExit("benchmarks/results: no results yet; `make bench` runs all benchmarks.")
    print(claims_table(claims(results)))
    RESULTS.joinpath("benchmarks.md").write_text(markdown(results), encoding="utf-8")
    draw(results).savefig(RESULTS / "benchmarks.png", dpi=110)


if __name__ == "__main__":
    main()
