"""Text as numbers of its words, characters, bytes or BPE units."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch

from elman.cells import CellModule
from elman.data.raw_files import with_line_feeds
from elman.data.units import UNKNOWN, Units, make_units, units_from_json
from elman.data.units.base import check_text
from elman.declared_types import Record, field
from elman.errors import about_row
from elman.layers import Dropout, Embedding
from elman.sequences import Sequences
from elman.tasks.inputs.base import OF_FRAMES, OF_NUMBERS, OF_SKELETONS, Inputs

TOKEN = re.compile(r"['\u2019]?\w+(?:['\u2019-]\w+)*|[^\w\s]")  # it's | 's | well-known | , | ...


class TextInputs(Inputs):
    """Rows that are texts, possibly empty. Words are split from punctuation: `Great!` is `great !`."""

    name: ClassVar[str] = "text"
    without_effect: ClassVar[tuple[str, ...]] = (*OF_NUMBERS, *OF_SKELETONS, *OF_FRAMES)

    def fit(self, rows: Sequence[Any]) -> Self:
        settings = self.settings
        self.kind = settings.units
        words = self.kind == "words"
        self.lowercase = words if settings.lowercase is None else settings.lowercase
        units = make_units(self.kind, vocabulary_size=settings.vocabulary_size, min_count=settings.min_count)
        self.units: Units = units.fit([self._prepared(row, number) for number, row in enumerate(rows)])
        return self

    def encode(self, rows: Sequence[Any]) -> Sequences:
        return self.units.encode_rows(self._prepared(row, number) for number, row in enumerate(rows))

    def steps(self, row: np.ndarray) -> list[str]:
        return [self.units.decode([unit]) for unit in row.tolist()]

    def augment(self, sequences: Sequences) -> Sequences:
        part = self.settings.word_dropout
        if not part or not self.units.has_unknown:
            return sequences
        return sequences.map(lambda ids: torch.where(torch.rand(len(ids)) < part, UNKNOWN, ids))

    @property
    def width(self) -> int:
        return 1

    @property
    def input_dropout(self) -> float:
        heavy = self.kind == "words" and self.settings.input_dropout is None
        return 0.7 if heavy else super().input_dropout

    def layers(self) -> list[CellModule]:
        size, drop = self.settings.embedding_size or 256, self.input_dropout
        embedding = Embedding(self.units.size, size, lazy=True)
        torch.nn.init.normal_(embedding.weight, std=0.1)
        return [embedding, *([Dropout(size, drop)] if drop else [])]

    @property
    def description(self) -> str:
        return f"{self.kind}, {self.units.size:,} different"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "lowercase": self.lowercase, "units": self.units.to_json()}

    def restore(self, data: dict[str, Any]) -> Self:
        self.lowercase, self.units = (
            field(data, "lowercase", bool),
            units_from_json(field(data, "units", Record)),
        )
        self.kind = self.units.name
        return self

    def _prepared(self, text: Any, number: int) -> Any:
        """Return a text as its units are cut from it."""
        with about_row(number):
            check_text("", text, (str, bytes) if self.kind == "bytes" else (str,))
        if isinstance(text, bytes):
            return text
        text = text.lower() if self.lowercase else text
        if self.kind == "words":
            return " ".join(TOKEN.findall(text))
        return text.encode() if self.kind == "bytes" else with_line_feeds(text)
