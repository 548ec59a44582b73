"""Six problems that need memory, to test recurrent models: random rows and their targets.

The *lag* of a row is the number of steps from the first input that determines the target to the target, or, if the
position of that input is random, the length of the row. `seed` is a number, or a NumPy Generator to draw several parts
from; the same seed gives the same rows.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.random import Generator, default_rng

Seed = int | Generator
T = TypeVar("T")
LETTERS = "abcdefgh"  # to copy
WAIT, GO = "-", "?"
PAIRS = {(0, 0): "oo", (0, 1): "oi", (1, 0): "io", (1, 1): "ii"}  # digits: a tagger reads all numbers as one
DIGITS = "oi"  # 0 and 1
NOUNS = {"was": ("cat", "dog", "bird", "child"), "were": ("cats", "dogs", "birds", "children")}
ALONE = "slept", "danced", "sang"
ACTIONS = "ate", "saw", "chased", "heard"
PLACES = "near", "behind", "under"
MANNERS = "already", "again", "often", "there"
ENDS = "full", "happy", "tired"

__all__ = ["adding", "addition", "agreement", "carries", "copying", "counting", "gaps", "temporal_order"]


def __dir__() -> list[str]:
    return __all__


def adding(rows: int, lag: int, seed: Seed = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers from 0 to 1, two of them marked, one in each half, and the sums of the marked ones.

    Hochreiter and Schmidhuber (1997), in the version of Le, Jaitly and Hinton (2015, arXiv:1504.00941). A model that
    predicts the mean, 1, has a mean squared error of 1/6.

    Returns:
        numbers and marks (0 or 1) [rows, lag, 2], and sums [rows], from 0 to 2.
    Raises:
        ValueError: lag is below 2.
    Example:
        >>> rows, sums = adding(100, lag=50)
        >>> rows.shape, bool(np.allclose((rows[:, :, 0] * rows[:, :, 1]).sum(1), sums))
        ((100, 50, 2), True)
    """
    if lag < 2:
        raise ValueError(f"memory_problems.adding: expected a lag of at least 2 steps, got {lag}.")
    generator = default_rng(seed)
    numbers, marks, each = generator.random((rows, lag)), np.zeros((rows, lag)), np.arange(rows)
    first, second = (generator.integers(*half, rows) for half in ((0, lag // 2), (lag // 2, lag)))
    marks[each, first] = marks[each, second] = 1
    return np.stack([numbers, marks], 2), numbers[each, first] + numbers[each, second]


def temporal_order(rows: int, lag: int, seed: Seed = 0) -> tuple[list[str], list[str]]:
    """Return texts of `a` to `d` with two letters `x` or `y` among them, and those two in order.

    The first is in the second tenth of the text, the other just after its middle: experiment 6a of Hochreiter and
    Schmidhuber (1997). Guessing is right in a quarter of the rows.

    Raises:
        ValueError: lag is below 4.
    Example:
        >>> temporal_order(2, lag=20)
        (['dcxbbaaaadcxccdccccd', 'bdcxbdcadcdxadacabbb'], ['xx', 'xx'])
    """
    if lag < 4:
        raise ValueError(f"memory_problems.temporal_order: expected a lag of at least 4 steps, got {lag}.")
    generator = default_rng(seed)
    letters = generator.choice([*"abcd"], (rows, lag))
    signs, each = generator.choice([*"xy"], (rows, 2)), np.arange(rows)
    tenth = max(1, lag // 10)
    letters[each, tenth + generator.integers(0, tenth, rows)] = signs[:, 0]
    letters[each, lag // 2 + generator.integers(0, tenth, rows)] = signs[:, 1]
    return ["".join(row) for row in letters], ["".join(row) for row in signs]


def copying(rows: int, lag: int, letters: int = 10, seed: Seed = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Return letters, blanks and a recall sign; the targets are the letters, each `lag` steps after it was read.

    Hochreiter and Schmidhuber (1997), in the version of Arjovsky, Shah and Bengio (2016, arXiv:1511.06464). A model
    without memory has a cross-entropy of `letters` ln(8) / (lag + letters) nats per step.

    Args:
        letters: number of letters to copy, from 1 to lag - 1; they are drawn from eight.
    Raises:
        ValueError: letters is out of range.
    Example:
        >>> sources, targets = copying(1, lag=5, letters=2)
        >>> print(*sources[0], "|", *targets[0])
        g f - - ? - - | - - - - - g f
    """
    if not 1 <= letters < lag:
        raise ValueError(f"memory_problems.copying: expected 1 to lag - 1 letters, got {letters} with lag={lag}.")
    drawn = default_rng(seed).choice([*LETTERS], (rows, letters)).tolist()
    wait = lag - letters
    sources = [[*row, *[WAIT] * (wait - 1), GO, *[WAIT] * letters] for row in drawn]
    return sources, [[*[WAIT] * lag, *row] for row in drawn]


def addition(rows: int, digits: int, seed: Seed = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Return pairs of digits of two binary numbers, least significant first, and the digits of their sum.

    The digits are `o` and `i`, and a pair is a word: `oi`. The numbers have up to `digits` digits. In half of the rows
    nine pairs of ten propagate a carry, so that carries are long.
    """
    generator = default_rng(seed)
    sources, targets = [], []
    for length in generator.integers(1, digits + 1, rows).tolist():
        often = 0.5 if generator.random() < 0.5 else 0.9
        first = generator.integers(0, 2, length)
        second = np.where(generator.random(length) < often, 1 - first, first)
        sources.append(_pairs(first, second))
        targets.append(_sum(first, second))
    return sources, targets


def carries(rows: int, lag: int, seed: Seed = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Return rows of `addition` in which only the first pair decides the last digit, `lag` steps later."""
    generator = default_rng(seed)
    first = generator.integers(0, 2, (rows, lag + 1))
    second = 1 - first
    second[:, 0], second[:, -1] = first[:, 0], generator.integers(0, 2, rows)
    return [*map(_pairs, first, second)], [*map(_sum, first, second)]


def _pairs(first: np.ndarray, second: np.ndarray) -> list[str]:
    return [PAIRS[pair] for pair in zip(first.tolist(), second.tolist(), strict=True)]


def _sum(first: np.ndarray, second: np.ndarray) -> list[str]:
    carry, digits = 0, []
    for total in (first + second).tolist():
        carry, digit = divmod(total + carry, 2)
        digits.append(DIGITS[digit])
    return digits


def gaps(rows: int, shortest: int, longest: int, seed: Seed = 0) -> np.ndarray:
    """Return gaps for `agreement`, in words [rows], log-uniform: as many from 5 to 10 as from 20 to 40."""
    return np.exp(default_rng(seed).uniform(np.log(shortest), np.log(longest + 1), rows)).astype(int)


def agreement(gaps: Sequence[int], seed: Seed = 0) -> tuple[list[str], list[int]]:
    """Return a sentence for each gap: the number of words, 4 at least, between the subject and its verb.

    `the cats , which already chased the dog near the birds , were full`: the words between carry no information. For
    language models (Linzen, Dupoux and Goldberg 2016, arXiv:1611.01368).

    Returns:
        the sentences, and the number of the verb's word in each.
    """
    generator = default_rng(seed)
    sentences, verbs = [], []
    for gap in gaps:
        verb = _one_of(generator, [*NOUNS])
        between = [",", "which", *_clause(generator, gap - 3), ","]
        words = ["the", _one_of(generator, NOUNS[verb]), *between, verb, _one_of(generator, ENDS)]
        sentences.append(" ".join(words))
        verbs.append(2 + gap)
    return sentences, verbs


def _clause(generator: Generator, length: int) -> list[str]:
    """Return a clause of `length` words, at least one."""
    words = _deed(generator, length)
    while (room := length - len(words)) > 0:
        kind = int(generator.integers(min(room, 3)))
        if kind == 0:
            words.append(_one_of(generator, MANNERS))
        elif kind == 1:
            words += ["and", *_deed(generator, room - 1)]
        else:
            words += [_one_of(generator, PLACES), "the", _noun(generator)]
    return words


def _deed(generator: Generator, room: int) -> list[str]:
    if room < 3 or generator.random() < 0.3:
        return [_one_of(generator, ALONE)]
    return [_one_of(generator, ACTIONS), "the", _noun(generator)]


def _noun(generator: Generator) -> str:
    return _one_of(generator, NOUNS[_one_of(generator, [*NOUNS])])


def _one_of(generator: Generator, things: Sequence[T]) -> T:
    return things[int(generator.integers(len(things)))]


def counting(rows: int, most: int, seed: Seed = 0) -> list[str]:
    """Return rows a^n b^n, n from 1 to `most`: after the first `b`, the count determines every letter.

    For language models (Gers and Schmidhuber 2001).
    """
    return ["a" * n + "b" * n for n in default_rng(seed).integers(1, most + 1, rows).tolist()]
