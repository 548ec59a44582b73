"""Data: documents, text units, and the windows and batches that a model is trained on."""

from elman.data.batches import DocumentBatches
from elman.data.documents import read_documents, split
from elman.data.units import UNITS, Units, make_units
from elman.data.windows import Window, Windows, resume

__all__ = ["UNITS", "DocumentBatches", "Units", "Window", "Windows", "make_units", "read_documents", "resume", "split"]
