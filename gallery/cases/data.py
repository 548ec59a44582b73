"""Random data for the cases: symbols, letters and waves, with targets."""

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

SYMBOLS = 4
NONE = SYMBOLS  # target of the first steps, which have none


def _one_hot(symbols: np.ndarray) -> Tensor:
    return torch.eye(SYMBOLS)[torch.from_numpy(symbols)]


def first(generator: Generator, rows: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return symbols [rows, steps, 4], and the first of each row [rows]."""
    symbols = generator.integers(0, SYMBOLS, (rows, steps))
    return _one_hot(symbols), torch.from_numpy(symbols[:, 0])


def last(generator: Generator, rows: int, steps: int) -> tuple[Tensor, Tensor]:
    """Return symbols, and the last of each row: no memory is needed."""
    symbols = generator.integers(0, SYMBOLS, (rows, steps))
    return _one_hot(symbols), torch.from_numpy(symbols[:, -1])


def echo(generator: Generator, rows: int, steps: int, lag: int) -> tuple[Tensor, Tensor]:
    """Return symbols, and at each step the one `lag` steps before [rows, steps]."""
    symbols = generator.integers(0, SYMBOLS, (rows, steps))
    targets = np.full_like(symbols, NONE)
    targets[:, lag:] = symbols[:, : steps - lag]
    return _one_hot(symbols), torch.from_numpy(targets)


def waves(generator: Generator, rows: int, steps: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return sine waves [rows, steps, 1] with noise, and the class of their frequency [rows]."""
    kinds = generator.integers(0, classes, rows)
    times = np.arange(steps) * (0.25 + 0.5 * kinds[:, None]) + generator.uniform(0, 6, (rows, 1))
    return (np.sin(times) + 0.05 * generator.normal(size=times.shape))[..., None], kinds


def texts(generator: Generator, rows: int, steps: int, place: int, letters: str = "abcd") -> tuple[list[str], list]:
    """Return words of random letters, and the letter at one place of each."""
    drawn = generator.choice([*letters], (rows, steps))
    return ["".join(row) for row in drawn], drawn[:, place].tolist()


def sentences(generator: Generator, rows: int, steps: int, lag: int) -> tuple[list[list[str]], list[list[str]]]:
    """Return rows of words, and as tags the words `lag` steps before, in capitals; `NONE` at the first steps."""
    drawn = generator.choice(["sun", "rain", "snow"], (rows, steps)).tolist()
    tags = [[word.upper() for word in row] for row in drawn]
    return drawn, [["NONE"] * lag + row[: steps - lag] for row in tags]


def brackets(generator: Generator, rows: int, between: int) -> str:
    """Return a text in which each letter repeats after some dashes: `x----x y----y`."""
    return " ".join(letter + "-" * between + letter for letter in generator.choice([*"pqrstu"], rows))


def noise(generator: Generator, length: int, letters: str = "abcdef") -> str:
    """Return independent random letters."""
    return "".join(generator.choice([*letters], length))


def counts(generator: Generator, rows: int, most: int) -> list[str]:
    """Return rows a^n b^n."""
    return ["a" * n + "b" * n for n in generator.integers(2, most + 1, rows).tolist()]
