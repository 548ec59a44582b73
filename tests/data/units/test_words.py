"""Words as units, as in the Penn Treebank."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.units.words import Words

LINES = " no it was n't <unk>\n no it was N \n"


def test_ends_of_lines_and_the_unknown_word_are_units() -> None:
    units = Words(min_count=2).fit([LINES])
    assert units.to_json()["vocabulary"] == ["\n", "it", "no", "was"]
    assert units.encode(LINES).tolist() == [4, 3, 5, 1, 1, 2, 4, 3, 5, 1, 2]
    assert units.decode(units.encode(LINES)) == "no it was <unk> <unk>\nno it was <unk>\n"


def test_the_penn_treebank_in_full(data_path) -> None:
    import gzip

    parts = [
        gzip.decompress((data_path / "ptb" / f"ptb.{part}.txt.gz").read_bytes()).decode() for part in ("train", "test")
    ]
    units = Words(min_count=1).fit(parts[:1])
    assert units.size == 10_001  # its 10,000 words, <unk> and <eos> among them, and the boundary
    assert [len(units.encode(part)) for part in parts] == [929_589, 82_430]
    assert units.unknown(parts[1]) is None


def test_the_unknown_word_is_named() -> None:
    units = Words(min_count=1).fit(["the sea"])
    assert str(units.unknown("the\tship")) == "word 'ship' at offset 4"
    assert str(units.unknown("the " + 100 * "é")) == f"word '{40 * 'é'}...' at offset 4"
    assert str(units.unknown("a")) == "word 'a' (U+0061) at offset 0"
    assert units.unknown("sea <unk>") is None


@given(text=st.text(min_size=1).filter(lambda text: text.split()))
def test_all_but_the_white_space_comes_back(text: str) -> None:
    units = Words(min_count=1, vocabulary_size=None).fit([text, "sea"])  # a text of `<unk>` alone has no words
    again = units.decode(units.encode(text))
    assert again.split() == text.split()
    assert again.count("\n") == text.count("\n")
    assert units.decode(units.encode(again)) == again


def test_words_seen_once_train_the_unknown_word() -> None:
    with pytest.raises(
        ValueError, match=r"expected a word that occurs 2 times or more, got 3 words; .* lower min_count"
    ):
        Words().fit(["all words differ"])
