import numpy as np
import pytest

from elman.data.units import UNKNOWN
from elman.inputs import InputSettings
from elman.inputs.text import TextInputs


def every_word(*texts):
    return TextInputs().fit(texts, InputSettings(min_count=1))


def encoded(inputs, text):
    return inputs.encode([text]).values


def test_marks_are_split_from_words():
    inputs = every_word("Great!")
    assert np.array_equal(encoded(inputs, "Great!"), encoded(inputs, "great !"))
    assert sorted(inputs.units.vocabulary) == ["!", "great"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's well-known.", ["it's", "well-known", "."]),
        ("the cat 's hat", ["the", "cat", "'s", "hat"]),
        ("don\u2019t", ["don\u2019t"]),
        ('"So," he said...', ['"', "so", ",", '"', "he", "said", ".", ".", "."]),
        ("5.0 of 10\n\tstars", ["5", ".", "0", "of", "10", "stars"]),
        ("Ça coûte 3€", ["ça", "coûte", "3", "€"]),
        ("привет, мир", ["привет", ",", "мир"]),
        ("", []),
        (" \n\t", []),
    ],
)
def test_words(text, words):
    inputs = every_word(" ".join(words), "another")
    ids = encoded(inputs, text)
    assert [inputs.units.vocabulary[i - 2] for i in ids] == words


@pytest.mark.parametrize("end", ["\r\n", "\r", "\r\r\n"])
def test_line_ends_change_nothing_but_bytes(end):
    text = "good\n\nbad\n"
    for units in ("words", "characters", "bpe", "bytes"):
        settings = InputSettings(units=units, min_count=None, vocabulary_size=300 if units == "bpe" else None)
        unix, other = (TextInputs().fit([same] * 2, settings) for same in (text, text.replace("\n", end)))
        assert unix.to_json() == other.to_json()
        same = np.array_equal(encoded(unix, text), encoded(unix, text.replace("\n", end)))
        assert same == (units != "bytes")


def test_rare_words_are_unknown():
    inputs = every_word("once twice twice")
    assert UNKNOWN not in encoded(inputs, "once twice")
    assert encoded(inputs, "thrice").tolist() == [UNKNOWN]
    rare = TextInputs().fit(["once twice twice"], InputSettings(min_count=2))
    assert encoded(rare, "once").tolist() == [UNKNOWN]


@pytest.mark.parametrize("units", ["words", "characters"])
def test_upper_case(units):
    for lowercase in (None, True, False):
        inputs = TextInputs().fit(["Abba abba"], InputSettings(units=units, lowercase=lowercase, min_count=1))
        same = np.array_equal(encoded(inputs, "ABBA"), encoded(inputs, "abba"))
        assert same == (lowercase is True or (lowercase is None and units == "words"))


def test_bytes_are_texts_of_bytes():
    inputs = TextInputs().fit(["é"], InputSettings(units="bytes"))
    assert encoded(inputs, "é").tolist() == encoded(inputs, "é".encode()).tolist() == [196, 170]
    words = every_word("a")
    with pytest.raises(TypeError, match=r"row 0: expected text \(str\), got bytes; read the file as text"):
        encoded(words, b"a")
