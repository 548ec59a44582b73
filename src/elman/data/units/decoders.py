"""Ids back to text, one at a time: what can be said for certain comes out at once, the rest waits."""

import codecs
from collections.abc import Sequence
from typing import Generic, TypeVar

Piece = TypeVar("Piece", str, bytes)


class Decoder(Generic[Piece]):
    """Put pieces of text together as their ids arrive. The boundary is no text.

    Args:
        pieces: what each id stands for; that of the boundary, id 0, is empty.
    """

    def __init__(self, pieces: Sequence[Piece]):
        self.pieces: Sequence[Piece] = pieces

    def feed(self, unit: int) -> str:
        """The text that is certain once `unit` has arrived; it may be empty.

        Raises:
            ValueError: the id is not in the vocabulary.
        """
        if not 0 <= unit < len(self.pieces):
            raise ValueError(f"decode: expected ids from 0 to {len(self.pieces) - 1}, got {unit}.")
        return self.flush() if unit == 0 else self.add(self.pieces[unit])

    def add(self, piece: Piece) -> str:
        """What `piece` adds to the text."""
        raise NotImplementedError

    def flush(self) -> str:
        """What is left at the end of a document; the next unit starts a new one."""
        return ""


class CharacterDecoder(Decoder[str]):
    """Every unit is text of its own."""

    def add(self, piece: str) -> str:
        return piece


class ByteDecoder(Decoder[bytes]):
    """Units are runs of bytes: a character comes out with its last byte; what is not UTF-8 comes out as U+FFFD."""

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
    """Words with a blank between them; a newline is a unit of its own, without blanks around it."""

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
