"""Heatmaps of gate activations below the text of a row, in HTML (after Karpathy et al. 2015, arXiv:1506.02078)."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO

import numpy as np

from elman.doctor.findings import Findings, Layer
from elman.doctor.gates import SHOWN, Gate
from elman.optional_packages import needed_by
from elman.pictures.numbers import steps_text
from elman.tasks.probe import texts_at

WIDTH, HEIGHT = 900, 150  # pixels of a line of steps, and of the heatmap below it, at least
LETTER, WORD = 13, 26  # pixels of a step that is a letter, and of one that is a word
COLORS = "magma"


def heatmaps(findings: Findings) -> Iterator[str]:
    """Yield HTML with a heatmap per gate: a row per unit, longest memory on top, and a column per step.

    The memory gate (the forget gate; the update gate of a GRU) is shown at once, the others on a click.
    """
    if not any(layer.gates for layer in findings.layers):
        return
    yield "<h2>Gate activations along a row</h2>"
    yield ('<p class="axis">One line per unit, longest memory on top; one column per step. Dark: closed, light: '
           "open.</p>")  # fmt: skip
    for layer in findings.layers:
        if layer.gates:
            memory_gate = layer.cell.memory_gate
            first = memory_gate if memory_gate in layer.gates else next(iter(layer.gates))
            order = _order(layer.gates[first])
            yield f"<h3>{escape(layer.name)}: {escape(str(layer.cell))}</h3>"
            yield f'<p class="axis">{escape(first)} gate{_half_lives(layer.gates[first], order)}</p>'
            yield from _gate(findings, layer, first, order)
            for name in layer.gates:
                if name != first:
                    yield f"<details><summary>{escape(name)} gate</summary>"
                    yield from _gate(findings, layer, name, order)
                    yield "</details>"


def texts_of(findings: Findings, layer: Layer, gate: Gate) -> Sequence[str]:
    """Return the text of each step shown; step numbers if the layer does not read the first row as it is."""
    texts, steps = texts_at(layer.path, findings.facts.texts), len(gate.first_row)
    if texts is None or steps != min(len(texts), SHOWN) or layer.longest < len(texts):
        return [str(step) if step % 10 == 0 else "" for step in range(1, steps + 1)]
    return (texts[::-1] if layer.reversed else texts)[:steps]


def data_uri(blob: bytes, kind: str) -> str:
    """Return an image as the source of an `img` element."""
    return f"data:image/{kind};base64,{b64encode(blob).decode()}"


def _order(gate: Gate) -> np.ndarray:
    """Return the units from the longest half-life down, or from the largest mean activation."""
    return np.argsort(-(gate.half_life if gate.half_life is not None else gate.first_row.mean(0)), kind="stable")


def _gate(findings: Findings, layer: Layer, name: str, order: np.ndarray) -> Iterator[str]:
    gate = layer.gates[name]
    texts = texts_of(findings, layer, gate)
    words = any(len(text.strip()) > 1 and not text.isdigit() for text in texts)
    width = WORD if words else LETTER
    per_line = WIDTH // width
    for start in range(0, len(gate.first_row), per_line):
        part = gate.first_row[start : start + per_line, order].T  # [H, steps of the line]
        line = "".join(f"<span>{escape(_visible(text))}</span>" for text in texts[start : start + per_line])
        across = part.shape[1] * width
        style = f"grid-template-columns: repeat({part.shape[1]}, {width}px); width: {across}px"
        kind = "steps words" if words else "steps"
        source = data_uri(_png(part), "png")
        size = f'style="width: {across}px; height: {max(HEIGHT, min(len(order), 2 * HEIGHT))}px"'
        alt = f"{name} gate at steps {start + 1} to {start + part.shape[1]}"
        steps = f'<div class="{kind}" style="{style}">{line}</div>'
        yield f'<div class="band">{steps}<img {size} alt="{alt}" src="{source}"></div>'


def _half_lives(gate: Gate, order: np.ndarray) -> str:
    if gate.half_life is None or not len(order):
        return ""
    top, middle, bottom = (steps_text(float(gate.half_life[order[place]])) for place in (0, len(order) // 2, -1))
    return f"; half-lives: {top} steps at the top, {middle} in the middle, {bottom} at the bottom"


def _visible(text: str) -> str:
    """Return white space as visible characters."""
    return {" ": "␣", "\n": "↵", "\t": "⇥", "": "·"}.get(text, text.strip() or text)


def _png(activations: np.ndarray) -> bytes:
    """Return a PNG with one pixel per unit and step, from 0 (dark) to 1 (light): [H, T]."""
    with needed_by("a picture of activations"):
        from matplotlib import colormaps
        from PIL import Image

    levels = np.round(255 * np.clip(np.asarray(activations, np.float64), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(levels)
    picture.putpalette((255 * colormaps[COLORS](np.arange(256))[:, :3]).round().astype(np.uint8).tobytes())
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()
