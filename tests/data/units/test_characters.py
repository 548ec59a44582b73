"""Characters as units: vocabulary, unknown characters and long texts."""

import numpy as np

from elman.data.units import characters
from elman.data.units.characters import Characters


def test_the_most_frequent_come_first() -> None:
    units = Characters().fit(["bba", "a", "cb"])
    assert units.to_json() == {"name": "characters", "vocabulary": "bac"}


def test_the_unknown_character_is_named() -> None:
    units = Characters().fit(["abc"])
    assert units.encode("ab€").tolist() == [2, 3, 1]
    assert units.decode([2, 1]) == "a\ufffd"
    assert str(units.unknown("ab€a€")) == "character '€' (U+20AC) at offset 2"
    assert units.unknown("cab") is None


def test_the_replacement_character_may_be_in_the_text() -> None:
    units = Characters().fit(["a\ufffd"])
    assert units.unknown("\ufffd") is None


def test_the_highest_code_point() -> None:
    units = Characters().fit(["\U0010ffff\0"])
    assert units.decode(units.encode("\0\U0010ffff")) == "\0\U0010ffff"


def test_a_long_text_is_looked_up_in_chunks(monkeypatch) -> None:
    text = "abcde\U0001f6a2" * 5
    whole = Characters().fit([text]).encode(text)
    monkeypatch.setattr(characters, "CHUNK", 7)
    np.testing.assert_array_equal(Characters().fit([text]).encode(text), whole)
