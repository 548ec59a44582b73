"""Report of an examination as one HTML page, without scripts or other files, and as a picture."""

from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import elman
from elman.doctor.findings import CONTEXT, GATES, JACOBIANS, LAGS, PASS, Findings
from elman.doctor.heatmaps import data_uri, heatmaps
from elman.doctor.rules import verdicts
from elman.doctor.summary import summary, table
from elman.files import replacing
from elman.pictures.doctor import doctor, panel_figure
from elman.pictures.doctor_panels import Panel, panels_of_layer, panels_of_model

ENDINGS = (".html", ".png", ".svg", ".pdf")
IN_FOLDER = ("doctor.png", "doctor.html")
DPI = 110


class Measure(NamedTuple):
    """A measurement, for the table of the page; `timed` is its key in `Findings.seconds`, empty if it takes no time."""

    name: str
    meaning: str
    paper: str
    timed: str


MEASURES = (
    Measure("gradient by lag", "gradient of the loss at late steps with respect to earlier states, exact, by one "
            "backward step of the cell per lag; at the horizon, 1 % is left",
            "Bengio et al. 1994; Hochreiter and Schmidhuber 1997", LAGS),
    Measure("singular values", "largest and smallest factor by which several steps grow or shrink a small change of "
            "the state, from the products of Jacobians; for an LSTM, of the cell state too",
            "Pascanu et al. 2013, arXiv:1211.5063; Halko et al. 2011, arXiv:0909.4061", JACOBIANS),
    Measure("Lyapunov exponents", "mean rates of that growth, in nats per step; above zero the model is chaotic",
            "Benettin et al. 1980; Engelken et al. 2020, arXiv:2006.02427", JACOBIANS),
    Measure("bound", "spectral norm of the recurrent matrix times the largest slope of the activation: below one, the "
            "gradient vanishes for every input", "Pascanu et al. 2013, arXiv:1211.5063", ""),
    Measure("gates", "activation of every gate at every step; for the gate that multiplies the previous state, the "
            "half-life of each unit's memory", "Gers et al. 2000; Karpathy et al. 2015, arXiv:1506.02078; "
            "Tallec and Ollivier 2018, arXiv:1804.11188", GATES),
    Measure("units", "units with a constant or saturated output; norm of the state along the rows",
            "Le et al. 2015, arXiv:1504.00941", GATES),
    Measure("loss by context", "loss if every recurrence is restarted a few steps before each of its outputs",
            "Khandelwal et al. 2018, arXiv:1805.04623", CONTEXT),
    Measure("forward and backward pass", "one run of the model on real data, in evaluation mode", "", PASS),
)  # fmt: skip
CAPTIONS = {
    "gradient": "Fraction of the gradient of a late loss that is left at earlier steps. A straight line is "
                "exponential decay. The dot marks the reach, where 1 % is left of the gradient at the first step back: "
                "the layer hardly learns from inputs further back. Dashed: the bound from the weights.",
    "context": "Loss if each recurrence is restarted a few steps before each output. Where the curve is flat, the "
               "model does not use inputs further back.",
    "training": "Gradient norm before clipping: median and range. Updates above the dashed line were clipped.",
    "reach": "Horizon of each layer over the training.",
    "jacobians": "Largest and smallest factor by which a small change of the state grows over the steps. All far below "
                 "1: the gradient vanishes. Above 1: it grows.",
    "gates": "Distribution of the gate activations: 0 is closed, 1 is open.",
    "memory": "Half-life of each unit's memory if nothing is written to it.",
    "state": "Mean norm of the state along the rows. A state that keeps growing leaves the range of values seen in "
             "training.",
}  # fmt: skip
STYLE = """
.elman-doctor { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  background: #fff; }
.elman-doctor h1 { font-size: 1.5rem; }
.elman-doctor h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.elman-doctor h3 { font-size: 1rem; margin-bottom: .3rem; }
.elman-doctor .verdict { border-left: .4rem solid; padding: .4rem .9rem; margin: .7rem 0; background: #f7f7f7; }
.elman-doctor .failing { border-color: #c0392b; }
.elman-doctor .warning { border-color: #e08e0b; }
.elman-doctor .healthy { border-color: #2e8b57; }
.elman-doctor .verdict b { text-transform: uppercase; font-size: .8rem; }
.elman-doctor .verdict code { display: block; margin-top: .3rem; }
.elman-doctor code { background: #eee; padding: .1rem .3rem; overflow-wrap: anywhere; }
.elman-doctor .pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
.elman-doctor figure { margin: 0; }
.elman-doctor figure img { width: 100%; }
.elman-doctor figcaption { font-size: .85rem; color: #555; }
.elman-doctor table { border-collapse: collapse; font-size: .9rem; }
.elman-doctor td, .elman-doctor th { padding: .2rem .7rem; text-align: left; }
.elman-doctor th { border-bottom: 1px solid #999; }
.elman-doctor td { border-bottom: 1px solid #ddd; vertical-align: top; }
.elman-doctor .band { margin: .2rem 0 .8rem; }
.elman-doctor .band img { display: block; image-rendering: pixelated; }
.elman-doctor .steps { display: grid; font: 12px/1.2 ui-monospace, monospace; }
.elman-doctor .steps span { text-align: center; }
.elman-doctor .steps.words span { writing-mode: vertical-rl; text-align: left; justify-self: center;
  padding-bottom: .2rem; }
.elman-doctor .axis { font-size: .8rem; color: #555; }
"""


def save(findings: Findings, path: Path, title: str = "") -> list[Path]:
    """Write the page and the picture, or one of them: see `Examination.save`."""
    ending = path.suffix.lower()
    if not ending or path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return [file for name in IN_FOLDER for file in save(findings, path / name, title)]
    if ending not in ENDINGS:
        raise ValueError(f"{path}: expected a folder, or a name that ends in {', '.join(ENDINGS)}.")
    title = title or _title(findings)
    blob = page(findings, title).encode() if ending == ".html" else image(doctor(findings, title), ending[1:])
    with replacing(path) as file:
        file.write(blob)
    return [path]


def page(findings: Findings, title: str = "") -> str:
    """Return the HTML of the page."""
    title = title or _title(findings)
    head = f'<meta charset="utf-8"><title>{escape(title or "elman doctor")}</title><style>{STYLE}</style>'
    body = "\n".join(_body(findings, title))
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body class="elman-doctor">\n{body}\n</body></html>\n'
    )


def notebook(findings: Findings) -> str:
    """Return the report as an HTML element for a notebook; the summary alone if matplotlib is not installed."""
    try:
        body = "\n".join(_body(findings, _title(findings)))
    except ModuleNotFoundError:
        return f"<pre>{escape(summary(findings))}</pre>"
    return f'<style>{STYLE}</style>\n<div class="elman-doctor">\n{body}\n</div>'


def _title(findings: Findings) -> str:
    """Return the task and its run folder, as far as they are known."""
    return ": ".join(str(part) for part in (findings.facts.task, findings.facts.run) if part)


def _body(findings: Findings, title: str) -> list[str]:
    kinds = ", ".join(dict.fromkeys(str(layer.cell) for layer in findings.layers))
    return [
        f"<h1>{escape(title or 'Examination')}</h1>",
        f"<p>{escape(kinds)}; loss {findings.loss:.4g}. Created by elman {elman.__version__}.</p>",
        *_verdicts(findings),
        "<h2>Pictures</h2>",
        *_pictures(findings),
        *heatmaps(findings),
        "<h2>Figures</h2>",
        *_table(table(findings)),
        *(
            f"<p><code>{escape(path)}</code> was not examined: {escape(why)}.</p>"
            for path, why in findings.skipped.items()
        ),
        "<h2>Measurements and their cost</h2>",
        *_measures(findings),
    ]


def image(figure: Any, kind: str) -> bytes:
    """Return a matplotlib Figure as a file of that kind, with the same bytes for the same picture."""
    from matplotlib import rc_context

    file = BytesIO()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with rc_context({"svg.hashsalt": "elman"}):
        figure.savefig(file, format=kind, dpi=DPI, metadata=undated)
    return file.getvalue()


def _verdicts(findings: Findings) -> Iterator[str]:
    for verdict in verdicts(findings):
        remedy = f"<code>{escape(verdict.remedy)}</code>" if verdict.remedy else ""
        name = f"<b>{escape(verdict.level)}</b> {escape(verdict.rule)}: " if verdict.rule != verdict.level else ""
        name = name or f"<b>{escape(verdict.level)}</b> "
        yield f'<div class="verdict {verdict.level}">{name}{escape(verdict.message)}{remedy}</div>'


def _pictures(findings: Findings) -> Iterator[str]:
    rows = [("", panels_of_model(findings))]
    rows += [(f"{layer.name}: {layer.cell}", panels_of_layer(findings, layer)) for layer in findings.layers]
    for name, panels in rows:
        if panels:
            yield f"<h3>{escape(name)}</h3>" if name else ""
            yield '<div class="pictures">' + "".join(map(_picture, panels)) + "</div>"


def _picture(panel: Panel) -> str:
    source = data_uri(image(panel_figure(panel), "svg"), "svg+xml")
    about = f"<figcaption>{escape(CAPTIONS[panel.kind])}</figcaption>"
    return f'<figure><img alt="{escape(panel.title)}" src="{source}">{about}</figure>'


def _measures(findings: Findings) -> Iterator[str]:
    rows = [("measurement", "meaning", "paper", "seconds")]
    for measure in MEASURES:
        seconds = findings.seconds.get(measure.timed)
        rows.append((measure.name, measure.meaning, measure.paper, "-" if seconds is None else f"{seconds:.2f}"))
    yield from _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    head, *rest = rows
    yield "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
    for row in rest:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table>"
