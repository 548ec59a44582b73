"""Hand-made examinations of a healthy and of a failing model; tests change single values."""

import numpy as np
import pytest

import elman
from elman.doctor import CellInfo, Examination, Facts, Layer
from elman.doctor.bounds import Bound
from elman.doctor.context import Context
from elman.doctor.facts import History
from elman.doctor.gates import Gate
from elman.doctor.gradient_by_lag import Lags, growth, half_life, horizon
from elman.doctor.jacobians import Jacobians
from elman.doctor.units import Units

UNITS, STEPS, UPDATES = 8, 100, 400


def lags_of(rate: float, steps: int = STEPS) -> Lags:
    """Return a gradient that is multiplied by `rate` at each step back."""
    norms = rate ** np.arange(steps)[None]
    return Lags(np.array([steps - 1]), norms, norms)


LSTM, RNN = CellInfo.describe(elman.LSTM(4, 8)), CellInfo.describe(elman.RNN(4, 8))


def layer_of(rate: float, cell: CellInfo = LSTM, gates=("input", "forget", "output")) -> Layer:
    lags, powers = lags_of(rate), 2 ** np.arange(7)
    jacobians = Jacobians(powers, rate**powers, 0.5 * rate**powers, None, None, None, np.log([rate]), True)
    row = np.random.default_rng(0).uniform(0.2, 0.98, (STEPS, UNITS)).astype(np.float32)
    histogram = np.full(20, 0.05)
    of = {gate: Gate(histogram, 0.6, 0.05, 0.0, np.full(UNITS, 40.0) if gate == cell.memory_gate else None, row)
          for gate in gates}  # fmt: skip
    units = Units(np.zeros(UNITS, bool), np.zeros(UNITS), np.full(STEPS, 2.0), 0.0)
    bound = Bound(rate, rate, 1.0, rate, {}) if cell is RNN else None
    return Layer("cells.1", cell, STEPS, 1.0, lags, horizon(lags), half_life(lags), growth(lags), jacobians, bound, of,
                 units)  # fmt: skip


def context_of(*losses: float) -> Context:
    lengths = np.append(2 ** np.arange(len(losses) - 1), STEPS)
    return Context(lengths, np.array(losses), losses[-1])


@pytest.fixture
def healthy() -> Examination:
    norms = np.random.default_rng(1).uniform(0.3, 0.9, UPDATES)
    history = History(np.arange(1, UPDATES + 1), np.linspace(3, 1, UPDATES), norms, 0.0, 1.0, 0, [])
    settings = {"cell": "lstm", "learning_rate": 0.002, "clip_norm": 1.0, "steps": 50}
    facts = Facts("language-model", settings, 50, 1.0, None, history)
    context = context_of(3.0, 2.0, 1.5, 1.25, 1.05, 1.0)
    return Examination(1.0, [layer_of(0.9)], {}, context, {"gradient by lag": 0.5}, facts)


@pytest.fixture
def failing(healthy):
    """Return a function that examines an RNN whose gradient halves at each step, with a loss at the end of the rows."""

    def make(rate: float = 0.5, **changes) -> Examination:
        layer = layer_of(rate, RNN, gates=())._replace(supervised=0.01)
        facts = healthy.facts._replace(
            settings={"cell": "rnn", "learning_rate": 0.002}, task="classifier", unrolled=None
        )
        return healthy._replace(layers=[layer], context=None, facts=facts)._replace(**changes)

    return make
