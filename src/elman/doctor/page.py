"""The report as one page for a browser: no other file, no script."""

from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import elman
from elman.doctor.examination import Examination
from elman.doctor.measures import MEASURES
from elman.doctor.sentence import data_uri, sentence
from elman.doctor.summary import table
from elman.files import replacing
from elman.pictures.doctor import doctor, panel_figure
from elman.pictures.doctor_panels import Panel, panels_of_layer, panels_of_model

ENDINGS = (".html", ".png", ".svg", ".pdf")
DPI = 110
CAPTIONS = {
    "gradient": "How much of the gradient of a late loss is left so many steps before it; a straight line halves in "
                "equal steps. A dot marks where 1 % is left of what there is at the first step back: what lies "
                "further back is hardly learnt from here. Dashed, the most that the weights allow.",
    "context": "The loss where each recurrence starts afresh so many steps before each step: where it stops falling, "
               "the model makes no use of what lies further back.",
    "training": "The norm of the gradient before clipping, with its range; what lies above the dashed line was cut.",
    "reach": "The horizon of each layer, from the first updates to the last.",
    "jacobians": "What becomes of a small change of the state after so many steps, in the direction that keeps it best "
                 "and in the one that keeps it worst. All far below 1: the gradient vanishes. Above 1: it grows.",
    "gates": "How far the gates are open: at 0 nothing comes through, at 1 everything.",
    "memory": "In how many steps the memory of each unit halves, where nothing is written to it.",
    "drift": "The mean norm of the state along the rows. A state that goes on growing leaves the numbers that it was "
             "trained with.",
}  # fmt: skip
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
.verdict { border-left: .4rem solid; padding: .4rem .9rem; margin: .7rem 0; background: #f7f7f7; }
.ill { border-color: #c0392b; } .warning { border-color: #e08e0b; } .well { border-color: #2e8b57; }
.verdict b { text-transform: uppercase; font-size: .8rem; } .verdict code { display: block; margin-top: .3rem; }
code { background: #eee; padding: .1rem .3rem; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 100%; } figcaption { font-size: .85rem; color: #555; }
table { border-collapse: collapse; font-size: .9rem; } td, th { padding: .2rem .7rem; text-align: left; }
th { border-bottom: 1px solid #999; } td { border-bottom: 1px solid #ddd; vertical-align: top; }
.band { margin: .2rem 0 .8rem; } .band img { display: block; image-rendering: pixelated; }
.steps { display: grid; font: 12px/1.2 ui-monospace, monospace; } .steps span { text-align: center; }
.steps.words span { writing-mode: vertical-rl; text-align: left; justify-self: center; padding-bottom: .2rem; }
.axis { font-size: .8rem; color: #555; }
"""


def save(found: Examination, path: Path, title: str = "") -> None:
    """See `Examination.save`."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"{path}: expected a name that ends in {', '.join(ENDINGS)}.")
    blob = page(found, title).encode() if ending == ".html" else image(doctor(found, title), ending[1:])
    with replacing(path) as file:
        file.write(blob)


def page(found: Examination, title: str = "") -> str:
    """The text of the page."""
    kinds = ", ".join(dict.fromkeys(layer.kind for layer in found.layers))
    parts = [
        f"<h1>{escape(title or 'Examination')}</h1>",
        f"<p>{escape(kinds)}; loss {found.loss:.4g}. By elman {elman.__version__}.</p>",
        *_verdicts(found),
        "<h2>Pictures</h2>",
        *_pictures(found),
        *sentence(found),
        "<h2>Figures</h2>",
        *_table(table(found)),
        *(f"<p><code>{escape(path)}</code> was not examined: {escape(why)}.</p>" for path, why in found.unseen.items()),
        "<h2>What was measured, and what it cost</h2>",
        *_measures(found),
    ]
    head = f'<meta charset="utf-8"><title>{escape(title or "elman doctor")}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def image(figure: Any, kind: str) -> bytes:
    """A matplotlib Figure as a file of that kind, the same bytes for the same picture."""
    from matplotlib import rc_context

    file = BytesIO()
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with rc_context({"svg.hashsalt": "elman"}):
        figure.savefig(file, format=kind, dpi=DPI, metadata=undated)
    return file.getvalue()


def _verdicts(found: Examination) -> Iterator[str]:
    for verdict in found.verdicts():
        remedy = f"<code>{escape(verdict.remedy)}</code>" if verdict.remedy else ""
        name = f"<b>{escape(verdict.level)}</b> {escape(verdict.rule)}: " if verdict.rule != verdict.level else ""
        name = name or f"<b>{escape(verdict.level)}</b> "
        yield f'<div class="verdict {verdict.level}">{name}{escape(verdict.says)}{remedy}</div>'


def _pictures(found: Examination) -> Iterator[str]:
    rows = [("", panels_of_model(found))]
    rows += [(f"{layer.name}: {layer.kind}", panels_of_layer(found, layer)) for layer in found.layers]
    for name, panels in rows:
        if panels:
            yield f"<h3>{escape(name)}</h3>" if name else ""
            yield '<div class="pictures">' + "".join(map(_picture, panels)) + "</div>"


def _picture(panel: Panel) -> str:
    source = data_uri(image(panel_figure(panel), "svg"), "svg+xml")
    about = f"<figcaption>{escape(CAPTIONS[panel.kind])}</figcaption>"
    return f'<figure><img alt="{escape(panel.title)}" src="{source}">{about}</figure>'


def _measures(found: Examination) -> Iterator[str]:
    rows = [("measure", "what it is", "paper", "seconds")]
    for measure in MEASURES:
        seconds = found.seconds.get(measure.timed)
        rows.append((measure.name, measure.what, measure.paper, "-" if seconds is None else f"{seconds:.2f}"))
    yield from _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    head, *rest = rows
    yield "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"
    for row in rest:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table>"
