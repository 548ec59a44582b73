"""Many streams of one LSTM in a process: 10,000 are open, and each call steps 64 that are drawn at random.

`Streams` is a pool of elman. `Stepper` steps 64 rows that stay in its arrays, without a pool. `cat, split` keeps a
state per stream and joins those of a batch. `LSTMCell` keeps all states in two tensors and selects rows. Then threads:
the same number of steps by one thread and by two, which share a pool, or have a stepper of one row each.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from problems import agree
from report import Claim, Report
from timing import Contestant
from torch import nn

import elman
from elman import state as states
from elman.network import Streams

INPUTS, HIDDEN, OUTPUTS, OPEN, BATCH = 16, 128, 32, 10_000, 64
ROWS_PER_MS = 400  # target of a thread: 2.5 microseconds a row
DRAWN = 200  # batches, which repeat
COMPARED = 20  # calls before outputs are compared
CALLS = {"round of 64 rows": 20, "step of one row": 400}  # in all, by one thread or by two
SPEEDUP = {"round of 64 rows": 1.5, "step of one row": 0.9}  # target of two threads; short steps keep the lock

Step = Callable[[np.ndarray, np.ndarray], np.ndarray]  # slots [B] and inputs [B, D] -> outputs [B, O]


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Return streams [DRAWN, B], each at most once in a batch, and inputs [DRAWN, B, D]."""
    draw = np.random.default_rng(0)
    slots = np.stack([draw.choice(OPEN, BATCH, replace=False) for _ in range(DRAWN)])
    return slots, draw.standard_normal((DRAWN, BATCH, INPUTS), np.float32)


def pool(net: elman.Stack) -> Step:
    streams = Streams(net.network(), OPEN, BATCH)
    for _ in range(OPEN):
        streams.open()
    return streams.step


def alone(net: elman.Stack) -> Step:
    stepper = net.stepper(BATCH)

    def step(slots: np.ndarray, x: np.ndarray) -> np.ndarray:
        stepper.input[...] = x
        stepper()
        return stepper.output

    return step


def joined(net: elman.Stack) -> Step:
    stepper, kept = net.stepper(BATCH), [net.network().initial_state(1)] * OPEN

    def step(slots: np.ndarray, x: np.ndarray) -> np.ndarray:
        stepper.state = states.cat([kept[slot] for slot in slots])
        stepper.input[...] = x
        stepper()
        after = states.split(states.map(np.copy, stepper.state), [1] * BATCH)
        for slot, state in zip(slots, after, strict=True):
            kept[slot] = state
        return stepper.output

    return step


def torch_cell(net: elman.Stack) -> Step:
    lstm, readout = net.cells
    cell = nn.LSTMCell(INPUTS, HIDDEN)
    with torch.no_grad():
        for ours, theirs in (("weight_ih", "weight_ih"), ("weight_hh", "weight_hh"), ("bias", "bias_ih")):
            getattr(cell, theirs).copy_(getattr(lstm, ours))
        cell.bias_hh.zero_()
    h, c = torch.zeros(OPEN, HIDDEN), torch.zeros(OPEN, HIDDEN)

    def step(slots: np.ndarray, x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            rows = torch.from_numpy(slots)
            h_, c_ = cell(torch.from_numpy(x), (h[rows], c[rows]))
            h[rows], c[rows] = h_, c_
            return nn.functional.linear(h_, readout.weight, readout.bias).numpy()

    return step


def calls(step: Step, slots: np.ndarray, x: np.ndarray) -> Callable[[], object]:
    """Return a function that steps the next batch at each call."""
    number = 0

    def call() -> None:
        nonlocal number
        number = (number + 1) % DRAWN
        step(slots[number], x[number])

    return call


def repeated(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def threads(report: Report, net: elman.Stack) -> None:
    """Time the same number of calls by one thread and by two."""
    step, x = pool(net), drawn()[1][0]
    slots = np.random.default_rng(1).choice(OPEN, (2, BATCH), replace=False)  # two threads step different streams
    rounds = [partial(step, one, x) for one in slots]
    work = zip(CALLS.items(), (rounds, [net.stepper(), net.stepper()]), strict=True)
    with ThreadPoolExecutor(2) as two:
        for (name, count), each in work:
            both = partial(two.map, repeated, each, [count // 2] * 2)
            contestants = [Contestant("one thread", partial(repeated, each[0], count)),
                           Contestant("two threads", lambda both=both: list(both()))]  # fmt: skip
            report.race(f"H{HIDDEN}", f"{count} calls, {name}", contestants)


def claims(report: Report) -> list[Claim]:
    found = []
    if ours := report.find("Streams", what="step"):
        rate = BATCH / ours["milliseconds"]["median"]
        found.append(Claim(f"rows a millisecond, {OPEN:,} streams, one thread", ROWS_PER_MS, rate, "/ms"))
    for name, count in CALLS.items():
        if two := report.find("two threads", what=f"{count} calls, {name}"):
            found.append(Claim(f"two threads against one, {name}", SPEEDUP[name], 1 / two["times_as_long"]["median"]))
    return found


def main() -> None:
    report = Report("streams", __doc__)
    report.use_threads(1)
    torch.manual_seed(0)
    net = elman.Stack(elman.LSTM(INPUTS, HIDDEN), elman.Linear(HIDDEN, OUTPUTS)).eval()
    slots, x = drawn()
    steps = {"Streams": pool(net), "cat, split": joined(net), "LSTMCell": torch_cell(net)}
    results = {name: {"y": [step(slots[n], x[n]) for n in range(COMPARED)][-1]} for name, step in steps.items()}
    apart = agree("steps", results, truth="LSTMCell")
    steps["Stepper"] = alone(net)
    contestants = [Contestant(name, calls(step, slots, x)) for name, step in steps.items()]
    report.race(f"H{HIDDEN} B{BATCH}", "step", contestants, threads=dict.fromkeys(steps, 1), apart=apart)
    threads(report, net)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
