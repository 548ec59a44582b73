"""The words of a text, and the units that belong to them, for all kinds of units."""

import numpy as np
import pytest

from elman.data.units import make_units
from elman.data.word_rows import word_rows

TEXTS = {  # text -> words
    "a cat": ["a", "cat", "</s>"],
    "": ["</s>"],
    "  a \t cat  ": ["a", "cat", "</s>"],
    "a\n\n  cat.\n": ["a", "\n", "cat.", "\n", "</s>"],
    "\r\na\r\n": ["\n", "a", "\n", "</s>"],
    "10\u00a0km é€ 中文": ["10\u00a0km", "é€", "中文", "</s>"],
    "\n": ["\n", "</s>"],
    " ": ["</s>"],
}


def rows_of(kind, texts):
    units = make_units(kind, vocabulary_size=300 if kind == "bpe" else None).fit(["a cat; the cat\n" * 9])
    return units, word_rows(units, texts, [units.encode(text) for text in texts])


@pytest.mark.parametrize("kind", ["characters", "bytes", "words", "bpe"])
def test_all_units_have_the_same_words(kind):
    texts = list(TEXTS)
    units, rows = rows_of(kind, texts)
    assert rows.words == [word for words in TEXTS.values() for word in words]
    assert rows.text.tolist() == [number for number, words in enumerate(TEXTS.values()) for _ in words]
    assert rows.position.tolist() == [number for words in TEXTS.values() for number, _ in enumerate(words)]
    assert rows.units.sum() == sum(len(units.encode(text)) + 1 for text in texts)
    assert (rows.units > 0).all()
    assert (rows.unknown.sum() > 0) == (kind in ("characters", "words"))


def test_white_space_belongs_to_the_next_word():
    assert rows_of("characters", ["a  cat \nthe "])[1].units.tolist() == [1, 5, 2, 3, 2]
    assert rows_of("bytes", ["é cat"])[1].units.tolist() == [2, 4, 1]
    assert rows_of("words", ["a  cat \n\nthe "])[1].units.tolist() == [1, 1, 2, 1, 1]


def test_unknown_units_are_counted_by_word():
    assert rows_of("characters", ["ca€ €€"])[1].unknown.tolist() == [1, 2, 0]
    assert rows_of("words", ["a dog"])[1].unknown.tolist() == [0, 1, 0]


@pytest.mark.parametrize("kind", ["characters", "bytes", "words", "bpe"])
def test_the_cost_of_a_word_end_moves_to_the_word_and_no_cost_is_lost(kind):
    _, rows = rows_of(kind, list(TEXTS))
    draw = np.random.default_rng(0)
    costs, ends = draw.random((2, len(rows.word_of_unit)))
    assert rows.sums(costs, ends).sum() == pytest.approx(costs.sum())
    _, rows = rows_of(kind, ["a cat"])
    ends = np.zeros(len(rows.word_of_unit))
    ends[np.flatnonzero(np.diff(rows.word_of_unit)) + 1] = 1, 10  # before `cat` and before the end
    assert rows.sums(0 * ends, ends).tolist() == [1, 9, -10]
