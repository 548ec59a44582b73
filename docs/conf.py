"""Sphinx configuration: pages in Markdown (MyST), docstrings of the code, receipts of the gallery."""

import ast
import json
import re
from pathlib import Path

import elman

project = "elman"
author = copyright = "the elman developers"
release = version = elman.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"elman {version}"
myst_heading_anchors = 3
smartquotes = False  # W_ih' is not a quotation

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_custom_sections = ["Shapes"]

GALLERY = Path(__file__).parent.parent / "gallery"


def before_napoleon(_app, _what, _name, _object, _options, lines):
    """Convert Markdown's `code` to reStructuredText; protect fitted attributes (name_) and norms (|x|)."""
    lines[:] = [re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``", line) for line in lines]
    lines[:] = [re.sub(r"(?<=\S)( +)([a-z]+_)(?![\w`{])", r"\1``\2``", line) for line in lines]
    lines[:] = [re.sub(r"(?<![`|\w])\|([^|`]+)\|(?![`|\w])", r"``|\1|``", line) for line in lines]


def after_napoleon(_app, _what, _name, _object, _options, lines):
    """Show the lines under `Shapes:` verbatim."""
    inside = False
    for number, line in enumerate(lines):
        if line == ".. rubric:: Shapes":
            lines[number] = "Shapes::"
            inside = True
        elif inside and line.startswith((":", ".. ")):
            inside = False
        elif inside and line:
            lines[number] = "    " + line


def add_receipts(_app, page, source):
    """Insert the receipts into the page of the gallery."""
    if page == "gallery":
        paths = sorted((GALLERY / "receipts").glob("*.json"))
        receipts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
        parts = [summary(receipts), *(show_receipt(*item) for item in receipts.items())]
        source[0] = source[0].replace("<!-- receipts -->", "\n\n".join(parts))


def summary(receipts):
    """Return a table with a line per receipt; missed targets are marked."""
    lines = ["| result | measure | published | target | reached | minutes of training |", 6 * "| --- " + "|"]
    for name, receipt in receipts.items():
        result = receipt["result"]
        least = result.get("at_least")
        off = result["reached"] < least if least is not None else result["reached"] > result["at_most"]
        target = f"at most {result['at_most']}" if least is None else f"at least {least}"
        missed = " (missed)" if off else ""
        cells = result["measure"], result["published"] or "none", target, f"{result['reached']}{missed}"
        lines.append(f"| [{name}](#{name}) | {' | '.join(map(str, cells))} | {receipt['training_minutes']} |")
    return "\n".join(lines)


def show_receipt(name, receipt):
    """Return the section of a receipt: the program's docstring, the picture and the receipt."""
    about = ast.get_docstring(ast.parse((GALLERY / f"{name}.py").read_text(encoding="utf-8")))
    text = json.dumps(receipt, indent=2, ensure_ascii=False)
    return f"## {name}\n\n{about}\n\n![{name}](../gallery/receipts/{name}.png)\n\n```json\n{text}\n```"


def setup(app):
    app.connect("autodoc-process-docstring", before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", after_napoleon, priority=900)
    app.connect("source-read", add_receipts)
