"""The memory problems are right."""

import re

import numpy as np
import pytest

from elman.data import memory_problems


def number(digits):
    """Return the value of binary digits, least significant first."""
    return sum(digit << place for place, digit in enumerate(digits))


def test_the_same_seed_gives_the_same_rows():
    def drawn(seed):
        return memory_problems.agreement([5, 20], seed)

    assert drawn(1) == drawn(1) == drawn(np.random.default_rng(1)) != drawn(2)


@pytest.mark.parametrize("lag", [2, 25, 100])
def test_sums_are_of_the_marked_numbers_one_in_each_half(lag):
    rows, sums = memory_problems.adding(200, lag)
    assert rows.shape == (200, lag, 2)
    numbers, marks = rows[..., 0], rows[..., 1]
    np.testing.assert_allclose((numbers * marks).sum(1), sums)
    assert (marks[:, : lag // 2].sum(1) == 1).all()
    assert (marks[:, lag // 2 :].sum(1) == 1).all()
    assert len(np.unique(marks.argmax(1))) == min(lag // 2, 200)  # everywhere in that half


@pytest.mark.parametrize("lag", [30, 200])
def test_two_letters_determine_the_class_of_a_text(lag):
    texts, targets = memory_problems.temporal_order(300, lag)
    tenth = lag // 10
    for text, target in zip(texts, targets, strict=True):
        assert len(text) == lag
        assert re.sub("[abcd]", "", text) == target
        first, second = (place for place, letter in enumerate(text) if letter in "xy")
        assert tenth <= first < 2 * tenth
        assert lag // 2 <= second < lag // 2 + tenth
    assert set(targets) == {"xx", "xy", "yx", "yy"}


def test_letters_come_again_after_the_lag():
    sources, targets = memory_problems.copying(50, lag=10, letters=3)
    for source, target in zip(sources, targets, strict=True):
        assert target[10:] == source[:3]
        assert set(target[:10]) == set(source[3:9]) == set(source[10:]) == {"-"}
        assert source[9] == "?"
        assert len(source) == len(target) == 13
    assert {letter for source in sources for letter in source[:3]} == set(memory_problems.LETTERS)


def test_sums_of_binary_numbers():
    pairs = {word: pair for pair, word in memory_problems.PAIRS.items()}
    rows = [*zip(*memory_problems.addition(200, 20), strict=True)]
    rows += zip(*memory_problems.carries(50, 40), strict=True)
    for source, target in rows:
        first, second = zip(*(pairs[word] for word in source), strict=True)
        digits = number([memory_problems.DIGITS.index(digit) for digit in target])
        assert digits == (number(first) + number(second)) % 2 ** len(source)
    lengths = {len(source) for source, _ in rows[:200]}
    assert (min(lengths), max(lengths)) == (1, 20)


def test_a_carry_propagates_to_the_last_digit():
    sources, targets = memory_problems.carries(100, 30)
    for source, target in zip(sources, targets, strict=True):
        assert set(source[1:-1]) <= {"oi", "io"}
        carry, last = source[0] == "ii", source[-1] in ("oi", "io")
        assert (target[-1] == "i") == (carry != last)
    assert {source[0] for source in sources} == {"oo", "ii"}


def test_gaps_are_spread_over_their_magnitudes():
    gaps = memory_problems.gaps(4000, 5, 60)
    assert (gaps.min(), gaps.max()) == (5, 60)
    near, far = (((gaps >= low) & (gaps < 2 * low)).mean() for low in (6, 24))
    assert near == pytest.approx(far, abs=0.03)


def test_the_verb_agrees_with_a_subject_at_the_requested_distance():
    gaps = [4, 5, 10, 60] * 100
    sentences, verbs = memory_problems.agreement(gaps)
    others = 0
    for sentence, verb, gap in zip(sentences, verbs, gaps, strict=True):
        words = sentence.split()
        assert verb == 1 + gap + 1
        assert words[1] in memory_problems.NOUNS[words[verb]]
        between = words[2:verb]
        assert len(between) == gap
        assert not {"was", "were"} & set(between)
        other = memory_problems.NOUNS["was" if words[verb] == "were" else "were"]
        others += gap == 60 and bool(set(other) & set(between))
    assert others > 95  # of 100: nouns of the other number are between, so that the last noun carries no information


def test_rows_have_as_many_b_as_a():
    rows = memory_problems.counting(300, 20)
    assert all(re.fullmatch("a+b+", row) and row.count("a") == row.count("b") for row in rows)
    assert {len(row) // 2 for row in rows} == set(range(1, 21))


@pytest.mark.parametrize(
    ("problem", "sizes", "message"),
    [
        (memory_problems.adding, (3, 1), "a lag of at least 2 steps, got 1"),
        (memory_problems.temporal_order, (3, 3), "a lag of at least 4 steps, got 3"),
        (memory_problems.copying, (3, 4, 4), "1 to lag - 1 letters, got 4 with lag=4"),
        (memory_problems.copying, (3, 4, 0), "1 to lag - 1 letters, got 0"),
    ],
)
def test_sizes_without_room_for_the_problem_are_refused(problem, sizes, message):
    with pytest.raises(ValueError, match=message):
        problem(*sizes)
