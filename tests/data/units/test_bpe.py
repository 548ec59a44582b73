"""Byte pairs: the merges against counting by hand, long and awkward texts, and no tokenizers."""

import sys

import numpy as np
import pytest

from elman.data.units import bpe, units_from_json
from elman.data.units.bpe import BPE

TEXT = "low low low low low lower lower newest newest newest newest newest newest widest widest widest\n"


def test_the_merges_of_the_paper() -> None:
    # Sennrich et al., section 3.2: in {low: 5, lower: 2, newest: 6, widest: 3}, e s occurs 9 times, then es t 9 times.
    units = BPE().fit([TEXT])
    assert units.to_json()["merges"][:2] == [["e", "s"], ["es", "t"]]
    assert units.decode(units.encode("a newest")[1:]) == " newest"
    assert len(units.encode("a newest")) == 2


def test_the_vocabulary_is_the_boundary_the_bytes_and_the_merges() -> None:
    units = BPE(vocabulary_size=260).fit([TEXT])
    assert units.size == 260
    pieces = units.decoder().pieces
    assert sorted(pieces[1:257]) == [bytes([byte]) for byte in range(256)]
    assert pieces[257:] == [b"es", b"est", b"lo"]
    assert BPE(vocabulary_size=257).fit([TEXT]).size == 257
    assert BPE().fit([]).size == 257


def test_fitting_twice_gives_the_same_units_and_other_texts_give_others() -> None:
    units = BPE().fit([TEXT])
    assert units.size < 300
    assert BPE().fit([TEXT]).to_json() == units.to_json()
    assert units.fit(["zzzz zzzz"]).to_json() == BPE().fit(["zzzz zzzz"]).to_json()
    assert units.decode(units.encode(TEXT)) == TEXT


def test_the_text_may_hold_the_names_of_specials() -> None:
    text = "<doc> <unk> <|endoftext|>" * 3
    units = BPE().fit([text])
    assert units.encode(text).min() > 0
    assert units.decode(units.encode(text)) == text


def test_a_long_text_is_cut_where_words_begin(monkeypatch) -> None:
    units = BPE().fit([TEXT])
    text = TEXT * 20 + "x" * 500 + TEXT
    whole = units.encode(TEXT * 20)
    monkeypatch.setattr(bpe, "CHUNK", 50)
    np.testing.assert_array_equal(units.encode(TEXT * 20), whole)
    assert units.decode(units.encode(text)) == text


def test_one_long_word_does_not_hang() -> None:
    text = "abcd" * 250_000
    units = BPE().fit([text])
    assert units.decode(units.encode(text)) == text


def test_the_merges_of_a_very_long_text_come_from_all_over_it(monkeypatch) -> None:
    monkeypatch.setattr(bpe, "CHUNK", 100)
    monkeypatch.setattr(bpe, "ENOUGH", 1000)
    units = BPE().fit(["low " * 10_000 + "newest " * 10_000])
    assert len(units.encode("a low newest")) == 3


@pytest.mark.parametrize("size", [2**31, 10**18, 10**30])
def test_a_limit_above_all_pairs_reserves_no_memory(size) -> None:
    text = "é" * 64 + TEXT
    assert BPE(size).fit([text]).to_json() == BPE(4096).fit([text]).to_json()


def test_without_tokenizers_it_still_decodes(monkeypatch) -> None:
    units = BPE().fit([TEXT])
    ids, data = units.encode(TEXT), units.to_json()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert units_from_json(data).decode(ids) == TEXT
    for act in (lambda: units_from_json(data).encode(TEXT), lambda: BPE().fit([TEXT])):
        with pytest.raises(ModuleNotFoundError, match="units=bpe needs the package tokenizers"):
            act()
