import numpy as np
import pytest

from elman.data.units import UNITS, make_units
from elman.data.units.pairs import PairUnits

SOURCES, TARGETS = ["Two dogs  play.", "two cats play. Ünö"], ["Zwei Hunde spielen.", "zwei Katzen spielen. Ünö"]
NAMES = list(UNITS)


def make(name, shared=False, lowercase=False):
    settings = {"min_count": 1} if name in ("words", "characters") else {}
    source = make_units(name, **settings)
    return PairUnits(source, source if shared else make_units(name, **settings), lowercase).fit(SOURCES, TARGETS)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_text_comes_back_with_single_blanks(name, shared):
    units = make(name, shared)
    for text, row in zip(TARGETS, units.encode_targets(TARGETS).to_list(), strict=True):
        assert units.decode(row) == text
        assert "".join(units.each_target(row)).replace(" ", "") == text.replace(" ", "") or name in ("bytes", "bpe")
    assert (
        units.encode_sources(["  Two \t dogs\nplay. "]).values.tolist()
        == units.encode_sources(SOURCES[:1]).values.tolist()
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_empty_text_has_no_units(name):
    assert make(name).encode_sources(["", "  "]).lengths.tolist() == [0, 0]


def test_the_first_word_looks_like_any_other():
    units = make("bpe")
    (first, *_), (*_, last) = units.encode_sources(["play", "play. play"]).to_list()
    assert first == last


def test_lower_case():
    units = make("words", lowercase=True)
    assert units.encode_sources(["TWO"]).values.tolist() == units.encode_sources(["two"]).values.tolist()
    assert units.words("A  Big Dog") == ["a", "big", "dog"]


def test_unknown_words_are_copied_from_the_source_word_with_the_most_attention():
    units = make("words")
    ids = np.array([1, *units.encode_targets(["Hunde"]).values, 1])
    attention = np.array([[0.1, 0.9, 0], [1, 0, 0], [0.2, 0.2, 0.6], [1, 0, 0]])
    assert units.decode_copying(ids, "die Xaver Yps", attention) == "Xaver Hunde Yps"


@pytest.mark.parametrize("shared", [False, True])
def test_json_round_trip(shared):
    units = make("words", shared, lowercase=True)
    again = PairUnits.from_json(units.to_json(), lowercase=True)
    assert again.shared == shared
    assert again.encode_targets(TARGETS).values.tolist() == units.encode_targets(TARGETS).values.tolist()
