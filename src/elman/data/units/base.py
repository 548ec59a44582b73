"""Base class of all kinds of units: fit, encode, decode, and conversion to JSON."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from elman.data.units.decoders import Decoder
from elman.representation import brief_fields, call, complete
from elman.sequences import Sequences

Text = str | bytes  # bytes only for the units `bytes`

BOUNDARY = 0  # `<doc>`: the beginning and the end of a document
SPACES = " \t\n\r\f\v"  # white space, as `\s` of a regular expression with re.ASCII
UNKNOWN = 1  # `<unk>`: any unit that is not in the vocabulary


@brief_fields
class Unknown(NamedTuple):
    """First unit of a text that is not in the vocabulary, and its position."""

    kind: str
    unit: str
    offset: int

    def __str__(self) -> str:
        code = f" (U+{ord(self.unit):04X})" if len(self.unit) == 1 else ""
        unit = self.unit if len(self.unit) <= 40 else self.unit[:40] + "..."
        return f"{self.kind} {unit!r}{code} at offset {self.offset}"


class Units(ABC):
    """Preprocessor that converts text to ids and back."""

    name: ClassVar[str]
    has_unknown: ClassVar[bool] = False  # True if id 1 is `<unk>`

    @complete
    def __repr__(self) -> str:
        return call(type(self).__name__, f"{self.size:,} units")

    @property
    @abstractmethod
    def size(self) -> int:
        """Size V of the vocabulary, with the boundary: ids are 0 to V - 1."""

    @abstractmethod
    def fit(self, documents: Iterable[Any]) -> Self:
        """Build the vocabulary from the training documents, an iterable of texts that is read once."""

    @abstractmethod
    def encode(self, text: Any) -> np.ndarray:
        """Return the ids of a text, int64 [n], without the boundary."""

    def encode_rows(self, texts: Iterable[Any]) -> Sequences:
        """Return the ids of texts, a row per text."""
        ids = [np.empty(0, np.int64), *map(self.encode, texts)]
        return Sequences(np.concatenate(ids), [*map(len, ids[1:])])

    @abstractmethod
    def decoder(self) -> Decoder[Any]:
        """Return a new decoder, which returns text while its ids arrive."""

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids."""
        decoder = self.decoder()
        return "".join(map(decoder.feed, np.asarray(ids).tolist())) + decoder.flush()

    @property
    def follows_word(self) -> np.ndarray:
        """Whether the word before a unit has ended, [V]: the unit begins with white space, or is the boundary."""
        pieces = self.decoder().pieces
        return np.array([not piece or piece[:1] in (SPACES if isinstance(piece, str) else SPACES.encode())
                         for piece in pieces])  # fmt: skip

    @abstractmethod
    def locate(self, text: Any, ids: np.ndarray) -> tuple[Text, np.ndarray]:
        """Return the text, as bytes if the units are made of bytes, and the offset in it after each unit, [n].

        Args:
            ids: the ids of the text, [n].
        """

    def unknown(self, text: Any) -> Unknown | None:
        """Return the first unit of `text` that is not in the vocabulary, or None."""
        return None

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able description for `from_json`."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the fitted units that `to_json` described.

        Raises:
            ValueError: a part is missing or wrong.
        """


def check_documents(where: str, documents: Iterable[Any], kinds: tuple[type, ...] = (str,)) -> Iterator[Any]:
    """Yield the documents, each of them checked."""
    if isinstance(documents, str | bytes):
        raise TypeError(f"{where}: expected a list of documents, got one {type(documents).__name__}; put it in a list.")
    for text in documents:
        check_text(where, text, kinds)
        yield text


def check_text(where: str, text: Any, kinds: tuple[type, ...] = (str,)) -> None:
    """Raise unless `text` is one of `kinds` and can be written as UTF-8. Errors begin with `where`, if there is any."""
    prefix = f"{where}: " if where else ""
    if not isinstance(text, kinds):
        hint = "; read the file as text, or use units=bytes" if isinstance(text, bytes) else ""
        hint = "; this model reads texts, not series or pictures" if isinstance(text, np.ndarray) else hint
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{prefix}expected text ({wanted}), got {type(text).__name__}{hint}.")
    if isinstance(text, str):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{prefix}the text has half a surrogate pair (U+{ord(text[error.start]):04X}) at offset "
                             f"{error.start}, which is not a character; remove it.") from None  # fmt: skip


def check_limits(where: str, vocabulary_size: int | None, min_count: int) -> None:
    """Raise unless the limits leave room for the boundary, `<unk>` and at least one unit."""
    if vocabulary_size is not None and vocabulary_size < 3:
        raise ValueError(f"{where}: expected a vocabulary_size of at least 3 (<doc>, <unk> and a unit), "
                         f"got {vocabulary_size}.")  # fmt: skip
    if min_count < 1:
        raise ValueError(f"{where}: expected a min_count of at least 1, got {min_count}.")


def most_frequent(counts: Counter[str], vocabulary_size: int | None, min_count: int) -> list[str]:
    """Return the most frequent units, most frequent first, with room left for the two special ids."""
    ordered = sorted((unit for unit, count in counts.items() if count >= min_count), key=lambda u: (-counts[u], u))
    return ordered if vocabulary_size is None else ordered[: vocabulary_size - 2]


def shifted(units: Sequences) -> tuple[Sequences, np.ndarray]:
    """Return the inputs of a decoder, the boundary and all units, and its targets, all units and the boundary."""
    lengths = units.lengths + 1
    first = np.cumsum(lengths) - lengths
    inputs = np.full(int(lengths.sum()), BOUNDARY, np.int64)
    targets = inputs.copy()
    place = first[units.rows] + units.times
    inputs[place + 1], targets[place] = units.values, units.values
    return Sequences(inputs, lengths), targets
