"""How `make docs` builds these pages: Markdown (MyST), the docstrings of the code, the receipts of the gallery."""

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
smartquotes = False  # W_ih' is no quotation

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_custom_sections = ["Shapes"]

RECEIPTS = Path(__file__).parent.parent / "gallery" / "receipts"


def before_napoleon(_app, _what, _name, _object, _options, lines):
    """Docstrings write `code` as Markdown does."""
    lines[:] = [re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``", line) for line in lines]


def after_napoleon(_app, _what, _name, _object, _options, lines):
    """The lines under `Shapes:` are a table in plain text: shown as they are."""
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
    """The receipts that are there, in place of the comment on the page of the gallery."""
    if page == "gallery":
        parts = [show_receipt(path) for path in sorted(RECEIPTS.glob("*.json"))]
        source[0] = source[0].replace("<!-- receipts -->", "\n\n".join(parts) or "There is no receipt yet.")


def show_receipt(path):
    picture = path.with_suffix(".png")
    text = json.dumps(json.loads(path.read_text(encoding="utf-8")), indent=2, ensure_ascii=False)
    shown = f"\n\n![{path.stem}](../gallery/receipts/{picture.name})" if picture.exists() else ""
    return f"## {path.stem.replace('_', ' ')}\n\n```json\n{text}\n```{shown}"


def setup(app):
    app.connect("autodoc-process-docstring", before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", after_napoleon, priority=900)
    app.connect("source-read", add_receipts)
