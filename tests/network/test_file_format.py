"""The page on the file format describes every layer type with the settings and tensors that its code reads."""

import inspect
import re
import sys
from pathlib import Path

import pytest

from elman.network import LAYER_TYPES

PAGE = Path(__file__).parents[2] / "docs" / "file-format.md"
ROWS = {cells[0].strip(" `"): cells[1:3] for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and len(cells := line.strip("|").split("|")) == 4}  # fmt: skip
READS = r"spec\.(?:setting|size|sizes|word)\(\s*\"(\w+)\""
TENSORS = r"spec\.(?:tensor|buffer)\(\s*f?\"([^\"]+)\""


def names(text):
    return set(re.findall(r"`([^`]+)`", text))


def code(layer):
    """Return the source text of a layer type, with that of its bases in elman."""
    return "".join(inspect.getsource(kind) for kind in layer.__mro__ if kind.__module__.startswith("elman.network"))


def test_every_layer_type_has_a_row():
    assert list(ROWS) == list(LAYER_TYPES)


@pytest.mark.parametrize("kind", LAYER_TYPES)
def test_the_row_has_all_settings_and_tensors_and_no_others(kind):
    settings, tensors = ROWS[kind]
    source = code(LAYER_TYPES[kind])
    assert set(re.findall(READS, source)) - {"input_size", "output_size"} <= names(settings)
    literal = {name for name in re.findall(TENSORS, source) if "{" not in name}
    assert literal <= names(tensors)
    words = set(re.findall(r"\w+", inspect.getsource(sys.modules[LAYER_TYPES[kind].__module__]) + source))
    for name in names(settings + tensors):
        assert set(re.findall(r"\w+", name.replace(".N", ""))) <= words
