"""The laws of the contract, one function each, for PyTorch and NumPy cells alike."""

from typing import Any

import numpy as np

from elman import state as states
from elman.sequences import Sequences
from elman.state import State
from elman.testing.snapshot import changed, generators, snapshot
from elman.testing.trial import Run, Trial, between, layout, named_leaves, require, shown

MIXED = "likely cause: results that are not put back into the caller's order"
SEEN = "likely cause: rows that see each other (a mean over the batch, padding behind a short row)"
LAST = "likely cause: a final state that is read from a last step where there is none"
FORGOTTEN = "likely cause: a state that is not carried, or two recurrences that differ"
HIDDEN = "likely cause: a row remembers something that is not in the state that goes in and comes out"
IMPURE = "likely cause: a state or a counter in the module, or random numbers from a global generator"


def shapes(trial: Trial) -> None:
    """A state has leaves [B, ...], outputs [N, ...]; both are made alike for any batch, and by scan and step."""
    cell = trial.cell
    fresh = trial.fresh(3)
    require_rows(fresh, 3, "initial_state(3)")
    for rows in (0, 1):
        other = trial.fresh(rows)
        require_rows(other, rows, f"initial_state({rows})")
        require(
            layout(other) == layout(fresh), f"initial_state(3) is {shown(fresh)}, initial_state({rows}) {shown(other)}"
        )
    y, final = cell.scan(trial.rows([2, 4, 1]), fresh)
    require(isinstance(y, Sequences), f"scan returns {type(y).__name__} first, expected Sequences")
    require(y.lengths.tolist() == [2, 4, 1], f"scan of rows of [2, 4, 1] steps returns rows of {y.lengths.tolist()}")
    require_like(fresh, final, "scan")
    size = getattr(cell, "output_size", None)
    if size is not None and not isinstance(y.values, tuple):
        require(tuple(y.values.shape[1:]) == (size,), f"scan puts out {shown(y.values)}, its output_size is {size}")
    if cell.streams:
        values, state = cell.step(trial.rows([1, 1, 1]).values, fresh)
        require_rows(values, 3, "the output of step")
        require(layout(values) == layout(y.values), f"step puts out {shown(values)}, scan {shown(y.values)}")
        require_like(fresh, state, "step")


def require_rows(state: State, rows: int, where: str) -> None:
    """Raise unless all leaves are arrays with as many rows."""
    for name, leaf in named_leaves(states.by_row(state), where):
        require(hasattr(leaf, "dtype"), f"{name} is a {type(leaf).__name__}, expected an array or a tuple of them")
        shape = list(leaf.shape)
        require(shape[:1] == [rows], f"{name} is of shape {shape}, expected [{rows}, ...]")


def require_like(fresh: State, state: State, verb: str) -> None:
    """Raise unless `state` is made like the initial state of three rows."""
    require_rows(state, 3, f"the state after {verb}")
    require(
        layout(state) == layout(fresh), f"the state after {verb} is {shown(state)}, the initial state {shown(fresh)}"
    )


def purity(trial: Trial) -> None:
    """What a call gives depends on its arguments alone, and a call changes nothing: not them, nor the cell."""
    x, state = trial.draw()
    verbs = {"scanning": trial.scan, "stepping": trial.stepping} if trial.cell.streams else {"scanning": trial.scan}
    inputs = states.select(x.values, range(len(x)))
    given = snapshot((x.values, inputs, state))
    first = {verb: run(x, state) for verb, run in verbs.items()}
    if trial.cell.streams:
        trial.cell.step(inputs, state)
    unchanged = snapshot((x.values, inputs, state)) == given
    require(unchanged, "a call changes its input or its state in place; make new arrays")
    for run in verbs.values():
        run(*trial.draw())
    before, drawn = snapshot(trial.cell), generators()
    for verb, run in verbs.items():
        trial.same(run(x, state), first[verb], x, f"{verb} the same rows again", IMPURE, to_the_bit=True)
        run(*trial.draw())
    counted = ", ".join(changed(before, snapshot(trial.cell)))
    require(not counted, f"a call changes {counted} in the cell; what a row remembers belongs into its state")
    require(drawn == generators(), "a call draws from a global random generator; use one of your own, with a seed")


def order_of_rows(trial: Trial) -> None:
    """Rows in another order give the same results in that order."""
    x, state = trial.draw([4, 1, 7, 2, 4, 3])
    run = trial.scan(x, state)
    order = [2, 5, 0, 4, 1, 3]
    expected = Run(x.with_values(run.values).select(order).values, states.select(run.final, order))
    x, state = x.select(order), states.select(state, order)
    trial.same(trial.scan(x, state), expected, x, "giving the rows in another order", MIXED)


def company_of_rows(trial: Trial) -> None:
    """A row gives the same alone and among others, longer and shorter ones."""
    x, state = trial.draw([4, 1, 7, 2, 4, 3])
    alone = [trial.scan(x.select([row]), states.select(state, [row])) for row in range(len(x))]
    trial.same(trial.scan(x, state), joined(alone), x, "scanning a row among others", SEEN)
    if trial.cell.streams:
        x, state = trial.draw([1, 1, 1])
        alone = [Run(*trial.cell.step(*states.select((x.values, state), [row]))) for row in range(len(x))]
        trial.same(Run(*trial.cell.step(x.values, state)), joined(alone), x, "stepping a row among others", SEEN)


def joined(runs: list[Run]) -> Run:
    """The rows of several runs, one after another."""
    return Run(*(states.cat(parts) for parts in zip(*runs, strict=True)))


def empty_rows(trial: Trial) -> None:
    """A row without steps returns its state; a batch of such rows, and one without rows, are legal."""
    usual = trial.scan(*trial.draw([2]))
    for lengths in ([3, 0, 1, 0], [0, 0], []):
        x, state = trial.draw(lengths)
        run = trial.scan(x, state)
        require(
            layout(run.values) == layout(usual.values),
            f"scanning rows of {lengths} steps puts out {shown(run.values)}, and {shown(usual.values)} for others",
        )
        kept = Run(run.values, states.where(x.lengths > 0, run.final, state))
        trial.same(run, kept, x, f"scanning a row without steps, among rows of {lengths},", LAST, to_the_bit=True)


def scan_equals_stepping(trial: Trial) -> None:
    """Values and final states of a scan are those of its steps, from the initial state and from any other."""
    x, state = trial.draw()
    fresh = trial.fresh(len(x))
    if trial.start is None:
        trial.same(trial.scan(x, None), trial.scan(x, fresh), x, "leaving out the initial state", FORGOTTEN)
    for start in (fresh, state):
        trial.same(trial.scan(x, start), trial.stepping(x, start), x, "scanning instead of stepping", FORGOTTEN)


def cutting_rows(trial: Trial) -> None:
    """Rows may be cut anywhere and go on from the state of the first part."""
    x, state = trial.draw()
    whole = trial.scan(x, state)
    longest = int(x.lengths.max())
    for time in range(longest + 1):
        y, carried = trial.cell.scan(between(x, 0, time), state)
        rest, final = trial.cell.scan(between(x, time, longest), carried)
        both = np.arange(2 * len(x)).reshape(2, -1).T.ravel()  # the first part of row 0, its second part, row 1, ...
        run = Run(Sequences.cat([y, rest]).select(both).values, final)
        trial.same(run, whole, x, f"cutting the rows after {time} steps and carrying the state", HIDDEN)


def no_step(trial: Trial) -> None:
    """A cell that does not stream says so when it is asked for a step."""
    x, state = trial.draw([1, 1])
    try:
        trial.cell.step(x.values, state)
    except (ValueError, TypeError, NotImplementedError) as error:
        told = str(error)
    else:
        told = "nothing"
    require(
        "step" in told, f"streams is False, and a call of step says {told}; it must raise and tell that there is none"
    )


def state_verbs(trial: Trial) -> None:
    """`select`, `cat`, `split` and bytes give back the state, and rows go on from what they give."""
    x, state = trial.draw()
    expected = trial.scan(x, state)
    order, back = [3, 1, 5, 0, 2, 4], [3, 1, 4, 0, 5, 2]
    trips: dict[str, Any] = {
        "select": states.select(states.select(state, order), back),
        "cat and split": states.cat(states.split(state, [2, 0, 1, len(x) - 3])),
        "to_bytes and from_bytes": states.from_bytes(states.to_bytes(state), trial.fresh(1)),
    }
    for verbs, again in trips.items():
        act = f"a round trip of the state through {verbs}"
        trial.same(Run((), again), Run((), state), x, act, HIDDEN, to_the_bit=True)
        trial.same(trial.scan(x, again), expected, x, act, HIDDEN)


def saving(trial: Trial) -> None:
    """`to_arrays` and `settings` are all that a fitted model is."""
    cell = trial.cell
    x, state = trial.draw()
    loaded = Trial(type(cell).from_arrays(cell.to_arrays(), **cell.settings), trial.steps, trial.rng, start=trial.start)
    cause = "likely cause: something fitted that is not in to_arrays"
    trial.same(loaded.scan(x, state), trial.scan(x, state), x, "saving and loading", cause, to_the_bit=True)
