"""Text as numbers of its words, characters, bytes or BPE units."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from elman.data.raw_files import with_line_feeds
from elman.data.units import Units, make_units, units_from_json
from elman.data.units.base import check_text
from elman.declared_types import Record, field
from elman.errors import about_row
from elman.inputs.base import OF_FRAMES, OF_NUMBERS, OF_SKELETONS, Inputs, InputSettings
from elman.sequences import Sequences

TOKEN = re.compile(r"['\u2019]?\w+(?:['\u2019-]\w+)*|[^\w\s]")  # it's | 's | well-known | , | ...


class TextInputs(Inputs):
    """Rows that are texts, possibly empty. Words are split from punctuation: `Great!` is `great !`."""

    name: ClassVar[str] = "text"
    without_effect: ClassVar[tuple[str, ...]] = (*OF_NUMBERS, *OF_SKELETONS, *OF_FRAMES)

    def fit(self, rows: Sequence[Any], settings: InputSettings) -> Self:
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

    @property
    def step_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def input_size(self) -> int:
        return self.units.size

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
