"""Incremental decoders of ids to text: complete characters and words are returned at once."""

import codecs
from collections.abc import Sequence
from typing import Generic, TypeVar

from elman.representation import call, complete

Piece = TypeVar("Piece", str, bytes)


class Decoder(Generic[Piece]):
    """Decoder that joins pieces of text as their ids arrive. The boundary has no text.

    Args:
        pieces: text or bytes of each id; empty for the boundary, id 0.
    """

    def __init__(self, pieces: Sequence[Piece]):
        self.pieces: Sequence[Piece] = pieces

    @complete
    def __repr__(self) -> str:
        return call(type(self).__name__, f"{len(self.pieces):,} units")

    def feed(self, unit: int) -> str:
        """Return the text that is complete after `unit`; it may be empty.

        Raises:
            ValueError: the id is not in the vocabulary.
        """
        if not 0 <= unit < len(self.pieces):
            raise ValueError(f"decode: expected ids from 0 to {len(self.pieces) - 1}, got {unit}.")
        return self.flush() if unit == 0 else self.add(self.pieces[unit])

    def add(self, piece: Piece) -> str:
        """Return the text that `piece` completes."""
        raise NotImplementedError

    def flush(self) -> str:
        """Return the rest at the end of a document; the next unit starts a new one."""
        return ""


class CharacterDecoder(Decoder[str]):
    """Decoder of units that are complete texts."""

    def add(self, piece: str) -> str:
        return piece


class ByteDecoder(Decoder[bytes]):
    """Decoder of units of bytes. A character is returned with its last byte; invalid UTF-8 becomes U+FFFD."""

    def __init__(self, pieces: Sequence[bytes]):
        super().__init__(pieces)
        self.utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, piece: bytes) -> str:
        return self.utf8.decode(piece)

    def flush(self) -> str:
        rest = self.utf8.decode(b"", final=True)
        self.utf8.reset()
        return rest


class WordDecoder(Decoder[str]):
    """Decoder of words, joined by blanks; a newline is a separate unit, without blanks around it."""

    def __init__(self, pieces: Sequence[str]):
        super().__init__(pieces)
        self.blank = ""

    def add(self, piece: str) -> str:
        text = piece if piece == "\n" else self.blank + piece
        self.blank = "" if piece == "\n" else " "
        return text

    def flush(self) -> str:
        self.blank = ""
        return ""
