"""A sentence with what the gates of each unit do at each of its steps (as Karpathy et al. 2015, arXiv:1506.02078)."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from elman.doctor.examination import Examination, Layer
from elman.doctor.gates import SHOWN, Gate
from elman.pictures.numbers import steps_text
from elman.pictures.sentence import shades

WIDTH, HEIGHT = 900, 150  # pixels of a line of steps, and of the shades below it, at least
LETTER, WORD = 13, 26  # pixels of a step that is a letter, and of one that is a word


def sentence(found: Examination) -> Iterator[str]:
    """HTML: of each layer with gates, its units from the one that remembers longest down, the steps from left to right;
    the memory gate (forget; update of a GRU) at once, the others behind a click."""
    if not any(layer.gates for layer in found.layers):
        return
    yield "<h2>A row, and what the gates do at each step</h2>"
    yield ('<p class="axis">A line for each unit, those with the longest memory on top; a column for each step. Dark '
           "is shut, light is open.</p>")  # fmt: skip
    for layer in found.layers:
        if layer.gates:
            first = layer.memory_gate or next(iter(layer.gates))
            order = _order(layer, first)
            yield f"<h3>{escape(layer.name)}: {escape(layer.kind)}</h3>"
            yield f'<p class="axis">{escape(first)} gate{_lives(layer.gates[first], order)}</p>'
            yield from _gate(found, layer, first, order)
            for name in layer.gates:
                if name != first:
                    yield f"<details><summary>{escape(name)} gate</summary>"
                    yield from _gate(found, layer, name, order)
                    yield "</details>"


def data_uri(blob: bytes, kind: str) -> str:
    """A picture inside a page."""
    return f"data:image/{kind};base64,{b64encode(blob).decode()}"


def _order(layer: Layer, gate: str) -> np.ndarray:
    """The units, from the longest half-life down, or from the gate that is widest open."""
    seen = layer.gates[gate]
    return np.argsort(-(seen.half_life if seen.half_life is not None else seen.first_row.mean(0)), kind="stable")


def _gate(found: Examination, layer: Layer, name: str, order: np.ndarray) -> Iterator[str]:
    seen = layer.gates[name]
    texts = texts_of(found, layer, seen)
    words = any(len(text.strip()) > 1 and not text.isdigit() for text in texts)
    width = WORD if words else LETTER
    a_line = WIDTH // width
    for start in range(0, len(seen.first_row), a_line):
        part = seen.first_row[start : start + a_line, order].T  # [H, steps of the line]
        line = "".join(f"<span>{escape(_shown(text))}</span>" for text in texts[start : start + a_line])
        across = part.shape[1] * width
        style = f"grid-template-columns: repeat({part.shape[1]}, {width}px); width: {across}px"
        kind = "steps words" if words else "steps"
        source = data_uri(shades(part), "png")
        size = f'style="width: {across}px; height: {max(HEIGHT, min(len(order), 2 * HEIGHT))}px"'
        alt = f"gate_activations of the {name} gates at steps {start + 1} to {start + part.shape[1]}"
        steps = f'<div class="{kind}" style="{style}">{line}</div>'
        yield f'<div class="band">{steps}<img {size} alt="{alt}" src="{source}"></div>'


def texts_of(found: Examination, layer: Layer, seen: Gate) -> Sequence[str]:
    """The text of each step that is shown; numbers where the layer does not read the first row as it stands."""
    texts, steps = found.facts.texts, len(seen.first_row)
    if texts is None or not _reads(layer, len(texts), steps):
        return [str(step) if step % 10 == 0 else "" for step in range(1, steps + 1)]
    if _is_backward(layer):
        texts = texts[::-1]
    return texts[:steps]


def _reads(layer: Layer, texts: int, steps: int) -> bool:
    """Whether the steps of the layer are those of the texts: as many, or as many of them as are shown."""
    return steps == min(texts, SHOWN) and layer.longest >= texts


def _is_backward(layer: Layer) -> bool:
    return layer.name.endswith(("backward_cell", "_reverse"))


def _lives(seen: Gate, order: np.ndarray) -> str:
    if seen.half_life is None or not len(order):
        return ""
    lives = [steps_text(float(seen.half_life[order[place]])) for place in (0, len(order) // 2, -1)]
    return f"; half-lives from top to bottom: {lives[0]}, {lives[1]} in the middle, {lives[2]} steps"


def _shown(text: str) -> str:
    """White space as signs that are seen."""
    return {" ": "␣", "\n": "↵", "\t": "⇥", "": "·"}.get(text, text.strip() or text)
