"""Laws of the contract, one function each, for cells of PyTorch and NumPy."""

from typing import Any

import numpy as np

from elman import state as states
from elman.sequences import Sequences
from elman.state import State
from elman.testing.harness import Harness, Result, layout, named_leaves, require, shown, time_slice
from elman.testing.snapshot import changed, generators, snapshot

WRONG_ORDER = "likely cause: results that are not in the caller's order"
DEPENDENT = "likely cause: rows that depend on each other (a mean over the batch, padding of a short row)"
NO_LAST_STEP = "likely cause: a final state taken from the last step of a row that has none"
NOT_CARRIED = "likely cause: a state that is not carried, or a scan that differs from the step"
HIDDEN = "likely cause: a part of the state that is not in the returned state"
IMPURE = "likely cause: a state or a counter in the module, or random numbers from a global generator"


def shapes(harness: Harness) -> None:
    """Check that states have leaves [B, ...] and outputs [N, ...], the same for any batch, in scan and step."""
    cell = harness.cell
    initial = harness.initial_state(3)
    require_rows(initial, 3, "initial_state(3)")
    for rows in (0, 1):
        other = harness.initial_state(rows)
        require_rows(other, rows, f"initial_state({rows})")
        require(
            layout(other) == layout(initial),
            f"initial_state(3) is {shown(initial)}, initial_state({rows}) {shown(other)}",
        )
    y, final = cell.scan(harness.rows([2, 4, 1]), initial)
    require(isinstance(y, Sequences), f"scan returns {type(y).__name__} first, expected Sequences")
    require(y.lengths.tolist() == [2, 4, 1], f"scan of rows of [2, 4, 1] steps returns rows of {y.lengths.tolist()}")
    require_like(initial, final, "scan")
    size = getattr(cell, "output_size", None)
    if size is not None and not isinstance(y.values, tuple):
        require(tuple(y.values.shape[1:]) == (size,), f"scan returns {shown(y.values)}, but output_size is {size}")
    if cell.streams:
        values, state = cell.step(harness.rows([1, 1, 1]).values, initial)
        require_rows(values, 3, "the output of step")
        require(layout(values) == layout(y.values), f"step returns {shown(values)}, scan {shown(y.values)}")
        require_like(initial, state, "step")


def require_rows(state: State, rows: int, where: str) -> None:
    """Raise unless all leaves are arrays with `rows` rows."""
    for name, leaf in named_leaves(states.by_row(state), where):
        require(hasattr(leaf, "dtype"), f"{name} is a {type(leaf).__name__}, expected an array or a tuple of them")
        shape = list(leaf.shape)
        require(shape[:1] == [rows], f"{name} is of shape {shape}, expected [{rows}, ...]")


def require_like(initial: State, state: State, verb: str) -> None:
    """Raise unless `state` has the structure of the initial state of three rows."""
    require_rows(state, 3, f"the state after {verb}")
    require(
        layout(state) == layout(initial),
        f"the state after {verb} is {shown(state)}, the initial state {shown(initial)}",
    )


def purity(harness: Harness) -> None:
    """Check that results depend on the arguments only, and that a call changes neither arguments nor cell."""
    x, state = harness.draw()
    runs = {"scanning": harness.scan}
    runs |= {"stepping": harness.stepping} if harness.cell.streams else {}
    inputs = states.select(x.values, range(len(x)))
    given = snapshot((x.values, inputs, state))
    first = {verb: run(x, state) for verb, run in runs.items()}
    if harness.cell.streams:
        harness.cell.step(inputs, state)
    unchanged = snapshot((x.values, inputs, state)) == given
    require(unchanged, "a call changes its input or its state in place; make new arrays")
    for run in runs.values():
        run(*harness.draw())
    before, drawn = snapshot(harness.cell), generators()
    for verb, run in runs.items():
        harness.compare(run(x, state), first[verb], x, f"{verb} the same rows again", IMPURE, bitwise=True)
        run(*harness.draw())
    counted = ", ".join(changed(before, snapshot(harness.cell)))
    require(not counted, f"a call changes {counted} in the cell; keep it in the state")
    require(drawn == generators(), "a call draws from a global random generator; use a generator of the cell")


def order_of_rows(harness: Harness) -> None:
    """Check that rows in another order give the same results, in that order."""
    x, state = harness.draw([4, 1, 7, 2, 4, 3])
    run = harness.scan(x, state)
    order = [2, 5, 0, 4, 1, 3]
    expected = Result(x.with_values(run.values).select(order).values, states.select(run.final, order))
    x, state = x.select(order), states.select(state, order)
    harness.compare(harness.scan(x, state), expected, x, "giving the rows in another order", WRONG_ORDER)


def independent_rows(harness: Harness) -> None:
    """Check that a row gives the same result alone and in a batch with longer and shorter rows."""
    x, state = harness.draw([4, 1, 7, 2, 4, 3])
    alone = [harness.scan(x.select([row]), states.select(state, [row])) for row in range(len(x))]
    harness.compare(harness.scan(x, state), joined(alone), x, "scanning a row in a batch", DEPENDENT)
    if harness.cell.streams:
        x, state = harness.draw([1, 1, 1])
        alone = [Result(*harness.cell.step(*states.select((x.values, state), [row]))) for row in range(len(x))]
        harness.compare(
            Result(*harness.cell.step(x.values, state)), joined(alone), x, "stepping a row in a batch", DEPENDENT
        )


def joined(runs: list[Result]) -> Result:
    """Concatenate the rows of several results."""
    return Result(*(states.cat(parts) for parts in zip(*runs, strict=True)))


def empty_rows(harness: Harness) -> None:
    """Check that a row without steps returns its state; batches of such rows, or of no rows, are legal."""
    usual = harness.scan(*harness.draw([2]))
    for lengths in ([3, 0, 1, 0], [0, 0], []):
        x, state = harness.draw(lengths)
        run = harness.scan(x, state)
        require(
            layout(run.values) == layout(usual.values),
            f"scanning rows of {lengths} steps returns {shown(run.values)}, but {shown(usual.values)} for other rows",
        )
        kept = Result(run.values, states.where(x.lengths > 0, run.final, state))
        harness.compare(
            run, kept, x, f"scanning a row without steps, in a batch of rows of {lengths},", NO_LAST_STEP, bitwise=True
        )


def scan_equals_stepping(harness: Harness) -> None:
    """Check that a scan equals its steps, in values and final states, from the initial state and from another one."""
    x, state = harness.draw()
    initial = harness.initial_state(len(x))
    if harness.given_state is None:
        harness.compare(
            harness.scan(x, None), harness.scan(x, initial), x, "leaving out the initial state", NOT_CARRIED
        )
    for start in (initial, state):
        harness.compare(
            harness.scan(x, start), harness.stepping(x, start), x, "scanning instead of stepping", NOT_CARRIED
        )


def cutting_rows(harness: Harness) -> None:
    """Check that rows can be cut anywhere and continue from the state of the first part."""
    x, state = harness.draw()
    whole = harness.scan(x, state)
    longest = int(x.lengths.max())
    for time in range(longest + 1):
        y, carried = harness.cell.scan(time_slice(x, 0, time), state)
        rest, final = harness.cell.scan(time_slice(x, time, longest), carried)
        both = np.arange(2 * len(x)).reshape(2, -1).T.ravel()  # the first part of row 0, its second part, row 1, ...
        run = Result(Sequences.cat([y, rest]).select(both).values, final)
        harness.compare(run, whole, x, f"cutting the rows after {time} steps and carrying the state", HIDDEN)


def no_step(harness: Harness) -> None:
    """Check that `step` of a cell that does not stream raises."""
    x, state = harness.draw([1, 1])
    try:
        harness.cell.step(x.values, state)
    except (ValueError, TypeError, NotImplementedError) as error:
        message = str(error)
    else:
        message = ""
    require(
        "step" in message, f"streams is False, but step does not raise an error about that, got {message or 'none'}"
    )


def state_operations(harness: Harness) -> None:
    """Check that round trips through `select`, `cat`, `split` and bytes preserve the state."""
    x, state = harness.draw()
    expected = harness.scan(x, state)
    order, back = [3, 1, 5, 0, 2, 4], [3, 1, 4, 0, 5, 2]
    trips: dict[str, Any] = {
        "select": states.select(states.select(state, order), back),
        "cat and split": states.cat(states.split(state, [2, 0, 1, len(x) - 3])),
        "to_bytes and from_bytes": states.from_bytes(states.to_bytes(state), harness.initial_state(1)),
    }
    for operations, again in trips.items():
        act = f"a round trip of the state through {operations}"
        harness.compare(Result((), again), Result((), state), x, act, HIDDEN, bitwise=True)
        harness.compare(harness.scan(x, again), expected, x, act, HIDDEN)


def saving(harness: Harness) -> None:
    """Check that a fitted model can be restored from `to_arrays` and `settings`."""
    cell = harness.cell
    x, state = harness.draw()
    loaded = Harness(
        type(cell).from_arrays(cell.to_arrays(), **cell.settings),
        harness.steps,
        harness.rng,
        initial_state=harness.given_state,
    )
    cause = "likely cause: a fitted attribute that is not in to_arrays"
    harness.compare(loaded.scan(x, state), harness.scan(x, state), x, "saving and loading", cause, bitwise=True)
