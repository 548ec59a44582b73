import json

import numpy as np
import pytest

from elman.data.spelled_words import UNKNOWN, Words

ROWS = [["Ann", "met", "ann", "in", "1999"], [], ["Bob", "met", "in", "2001"]]


def test_words_are_folded_and_their_spelling_is_not():
    words = Words().fit(ROWS)
    data = words.encode(ROWS)
    word, spelling, given = data.tokens.values
    assert data.tokens.lengths.tolist() == [5, 0, 4]
    assert word[0] == word[2] != UNKNOWN  # Ann, ann
    assert word[4] == word[8] != UNKNOWN  # 1999, 2001
    assert spelling[0] != spelling[2]
    assert spelling[1] == spelling[6]
    assert given.shape == (9, 0)
    assert len(data.characters) == 7  # different spellings


def test_spellings_are_read_back():
    words = Words().fit(ROWS)
    data = words.encode(ROWS)
    letters = ["".join(words.characters[id_ - 1] for id_ in row) for row in data.characters.to_list()]
    assert [letters[form] for form in data.tokens.values.spelling] == [word for row in ROWS for word in row]


def test_some_sentences_come_with_the_spellings_that_they_need():
    words = Words().fit(ROWS)
    some, alone = words.encode(ROWS).select(np.array([2, 1])), words.encode([ROWS[2], ROWS[1]])
    np.testing.assert_array_equal(some.tokens.values.word, alone.tokens.values.word)
    by_word = [[part.characters.to_list()[form].tolist() for form in part.tokens.values.spelling]
               for part in (some, alone)]  # fmt: skip
    assert by_word[0] == by_word[1]
    assert len(some.characters) == 4


def test_words_and_letters_unseen_in_training_are_unknown():
    words = Words(min_count=2).fit(ROWS)
    data = words.encode([["Bob", "met", "Zoë"]])
    assert (data.tokens.values.word == UNKNOWN).tolist() == [True, False, True]  # Bob occurs once
    assert data.characters.to_list()[2].tolist()[1:] == [words.encode([["o"]]).characters.values[0], UNKNOWN]


def test_extra_columns_are_read_with_the_words():
    rows = [[("a", "X", "1"), ("b", "Y", "1")]]
    words = Words().fit(rows)
    assert words.sizes == (3, 3, [3, 2])
    assert words.encode([[("a", "Y", "2")]]).tokens.values.given.tolist() == [[2, UNKNOWN]]


def test_json_round_trip():
    words = Words().fit(ROWS)
    again = Words.from_json(json.loads(json.dumps(words.to_json())))
    assert again.to_json() == words.to_json()
    np.testing.assert_array_equal(again.encode(ROWS).tokens.values.word, words.encode(ROWS).tokens.values.word)


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([["a"], "b c"], "row 1: expected a list of words, got a string; split it with elman.data.tokenizer.tokenize"),
        ([["a"], [("b", "X")]], r"row 1: expected 0 given tags with every word, as in training, got 1 with 'b'"),
        ([[3]], "row 0: expected words, got int 3"),
        ([[], ["a"], ["a", ()]], r"row 2: expected words, got tuple \(\)"),
    ],
)
def test_rows_that_cannot_be_read(rows, error):
    with pytest.raises((TypeError, ValueError), match=error):
        Words().fit([["a"]]).encode(rows)


def test_fit_needs_words_with_the_same_columns():
    with pytest.raises(ValueError, match="rows that are all empty"):
        Words().fit([[], []])
    with pytest.raises(ValueError, match=r"the same number of given tags with every word, got \[0, 1\]"):
        Words().fit([["a", ("b", "X")]])
    with pytest.raises(TypeError, match="row 0: expected words, got int 3"):
        Words().fit([[3]])


def test_no_sentences_are_no_words():
    data = Words().fit([[("a", "X")]]).encode([])
    assert len(data.tokens) == len(data.characters) == 0
    assert data.tokens.values.given.shape == (0, 1)
