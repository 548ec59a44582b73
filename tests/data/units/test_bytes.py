"""Bytes against Python's own UTF-8."""

from hypothesis import given
from hypothesis import strategies as st

from elman.data.units.bytes import Bytes


@given(data=st.binary())
def test_bytes_decode_as_python_does(data: bytes) -> None:
    ids = Bytes().encode(data)
    assert ids.tolist() == [byte + 1 for byte in data]
    assert Bytes().decode(ids) == data.decode("utf-8", "replace")


def test_a_character_waits_for_its_last_byte() -> None:
    decoder = Bytes().fit(["€", b"\xff"]).decoder()
    assert [decoder.feed(unit) for unit in Bytes().encode("a€b")] == ["a", "", "", "€", "b"]


def test_the_end_of_a_document_ends_a_character() -> None:
    decoder = Bytes().decoder()
    first, second, _ = Bytes().encode("€")
    assert [decoder.feed(unit) for unit in (first, second, 0, 98)] == ["", "", "\ufffd", "a"]
    decoder.feed(first)
    assert (decoder.flush(), decoder.flush()) == ("\ufffd", "")
