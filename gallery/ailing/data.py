"""Rows that the models read, drawn by a generator: symbols, letters, waves, and what is right."""

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

SYMBOLS = 4
NONE = SYMBOLS  # the answer where none is asked for yet


def _seen(symbols: np.ndarray) -> Tensor:
    return torch.eye(SYMBOLS)[torch.from_numpy(symbols)]


def first(generator: Generator, rows: int, steps: int) -> tuple[Tensor, Tensor]:
    """[rows, steps, 4] symbols, and the first of each row [rows]."""
    symbols = generator.integers(0, SYMBOLS, (rows, steps))
    return _seen(symbols), torch.from_numpy(symbols[:, 0])


def last(generator: Generator, rows: int, steps: int) -> tuple[Tensor, Tensor]:
    """The same, and the last symbol: nobody need remember anything."""
    symbols = generator.integers(0, SYMBOLS, (rows, steps))
    return _seen(symbols), torch.from_numpy(symbols[:, -1])


def echo(generator: Generator, rows: int, steps: int, lag: int) -> tuple[Tensor, Tensor]:
    """Symbols, and at each step the one `lag` steps before it [rows, steps]; with a lag of 0, itself."""
    symbols = generator.integers(0, SYMBOLS, (rows, steps))
    answers = np.full_like(symbols, NONE)
    answers[:, lag:] = symbols[:, : steps - lag]
    return _seen(symbols), torch.from_numpy(answers)


def waves(generator: Generator, rows: int, steps: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Sine waves [rows, steps, 1] with noise, and how fast each is, one of so many [rows]."""
    kinds = generator.integers(0, classes, rows)
    times = np.arange(steps) * (0.25 + 0.5 * kinds[:, None]) + generator.uniform(0, 6, (rows, 1))
    return (np.sin(times) + 0.05 * generator.normal(size=times.shape))[..., None], kinds


def texts(generator: Generator, rows: int, steps: int, place: int, letters: str = "abcd") -> tuple[list[str], list]:
    """Words of random letters, and the letter at a place of each."""
    drawn = generator.choice([*letters], (rows, steps))
    return ["".join(row) for row in drawn], drawn[:, place].tolist()


def sentences(generator: Generator, rows: int, steps: int, lag: int) -> tuple[list[list[str]], list[list[str]]]:
    """Rows of words, and as a tag the word `lag` steps before, in capitals; `NONE` before there is one."""
    drawn = generator.choice(["sun", "rain", "snow"], (rows, steps)).tolist()
    tags = [[word.upper() for word in row] for row in drawn]
    return drawn, [["NONE"] * lag + row[: steps - lag] for row in tags]


def brackets(generator: Generator, rows: int, between: int) -> str:
    """A text in which each letter comes again after so many dashes: `x----x y----y`."""
    return " ".join(letter + "-" * between + letter for letter in generator.choice([*"pqrstu"], rows))


def noise(generator: Generator, length: int, letters: str = "abcdef") -> str:
    """Letters that tell nothing of one another."""
    return "".join(generator.choice([*letters], length))


def counts(generator: Generator, rows: int, most: int) -> list[str]:
    """a^n b^n"""
    return ["a" * n + "b" * n for n in generator.integers(2, most + 1, rows).tolist()]
