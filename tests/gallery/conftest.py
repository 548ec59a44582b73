"""Gallery programs as modules, and the receipts that they write to a temporary folder."""

import importlib
import json
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[2] / "gallery"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that imports a module of the gallery by name; receipts are written below `tmp_path`."""
    monkeypatch.syspath_prepend(GALLERY)
    monkeypatch.setattr(importlib.import_module("receipt"), "RECEIPTS", tmp_path / "receipts")
    return importlib.import_module


@pytest.fixture
def receipt(tmp_path):
    """Return a function that reads the receipt of a program, which has a picture and no NaN; None without receipt."""

    def receipt(name):
        path = tmp_path / "receipts" / f"{name}.json"
        if not path.exists():
            return None
        assert path.with_suffix(".png").exists()
        return json.loads(path.read_text(), parse_constant=pytest.fail)

    return receipt
