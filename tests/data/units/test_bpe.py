"""Byte pairs: the merges against counting by hand, ids against the package tokenizers, long and awkward texts."""

import copy
import pickle
import sys
import unicodedata
from functools import cache

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_without_tokenizers_it_still_encodes_and_decodes(monkeypatch) -> None:
    units = BPE().fit([TEXT])
    ids, data = units.encode(TEXT), units.to_json()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    np.testing.assert_array_equal(units_from_json(data).encode(TEXT), ids)
    assert units_from_json(data).decode(ids) == TEXT
    with pytest.raises(ModuleNotFoundError, match="units=bpe needs the package tokenizers"):
        BPE().fit([TEXT])


def tokens(units: BPE, text: str) -> list[int]:
    """Return the ids of the package tokenizers."""
    vocabulary = {token: id for id, token in enumerate(units.tokens)}
    tokenizer = bpe._tokenizer(tokenizers.models.BPE(vocabulary, units.merges))
    return [id + 1 for id in tokenizer.encode(text, add_special_tokens=False).ids]


OLD = [chr(code) for code in range(0xD800) if unicodedata.ucd_3_2_0.category(chr(code)) != "Cn"]  # known to both
PIECES = [" ", "  ", "\n", "\t", "\xa0", "\x1c", "'", "'s", "'ll", "'LL", "don't", "low", "newest", "a\u0301", "12",
          "½", "一", "-", "_", "日本語", "x" * 40, "7" * 33, "!" * 50, " " * 70]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.sampled_from(OLD) | st.characters(max_codepoint=127)).map("".join))
def test_ids_are_those_of_the_package_tokenizers(text) -> None:
    units = fitted()
    assert units.encode(text).tolist() == tokens(units, text)


@cache
def fitted() -> BPE:
    return BPE().fit([TEXT * 3 + "".join(PIECES) * 5])


def test_units_that_two_merges_write_are_those_of_the_package_tokenizers() -> None:
    letters = [[left, right] for left in "abc" for right in "abc"]
    merges = [["a", "b"], ["b", "c"], ["a", "bc"], ["abc", "a"], ["ab", "c"], ["c", "abc"], ["abc", "abc"], *letters]
    units = units_from_json({"name": "bpe", "merges": merges})
    generator = np.random.default_rng(0)
    for _ in range(200):
        text = "".join(generator.choice(list("abc"), 20))
        assert units.encode(text).tolist() == tokens(units, text)


def test_pickles_and_copies_encode_alike() -> None:
    units = fitted()
    ids = units.encode(TEXT)
    for other in (pickle.loads(pickle.dumps(units)), copy.deepcopy(units)):
        np.testing.assert_array_equal(other.encode(TEXT + "unseen"), units.encode(TEXT + "unseen"))
    np.testing.assert_array_equal(units.encode(TEXT), ids)
