"""Time of Classifier.fit relative to OMP_WAIT_POLICY=PASSIVE, on a quiet machine and with one core kept busy.

PyTorch is imported before elman. Its threads spin while they wait, unless that variable is set before PyTorch is
loaded. Each contestant is a process that fits on request; all take part in every round.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import sleep

import numpy as np
import torch
from report import Claim, Report, claim
from timing import Contestant

from elman import Classifier, set_num_threads

TARGET = 1 / 1.2
PASSIVE, DEFAULT = "OMP_WAIT_POLICY=PASSIVE", "default"
KINDS = ["series", "text"]
LOADS = {"quiet": 0, "one core busy": 1}  # processes that keep a core busy


def worker(kind: str, threads: int, orders: Connection) -> None:
    """Fit a classifier on each request. PyTorch is loaded already."""
    torch.set_num_threads(threads)
    set_num_threads(threads)
    draw = np.random.default_rng(0)
    if kind == "series":
        rows: list = [draw.normal(size=(int(steps), 6)) for steps in draw.integers(20, 60, 300)]
        labels = [int(row[:, 0].mean() > 0) for row in rows]
    else:
        words = np.array([f"word{number}" for number in range(200)])
        rows = [" ".join(draw.choice(words, 20)) for _ in range(300)]
        labels = [int("word1 " in row) for row in rows]
    while orders.recv():
        model = Classifier(epochs=2, hidden_size=64).fit(rows, labels)
        orders.send(model.result_.updates)


class Fit:
    """Process that fits a classifier at each call."""

    def __init__(self, kind: str, policy: str, threads: int):
        context = multiprocessing.get_context("spawn")
        self.orders, theirs = context.Pipe()
        self.process = context.Process(target=worker, args=(kind, threads, theirs), daemon=True)
        os.environ.pop("OMP_WAIT_POLICY", None)  # the process inherits the environment, and PyTorch reads it there
        if policy == PASSIVE:
            os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        self.process.start()

    def __call__(self) -> None:
        self.orders.send(True)
        self.orders.recv()

    def end(self) -> None:
        self.orders.send(False)
        self.process.join()


def spin() -> None:
    while True:
        pass


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep cores busy inside the block."""
    spinning = [multiprocessing.get_context("spawn").Process(target=spin, daemon=True) for _ in range(processes)]
    for process in spinning:
        process.start()
    sleep(0.5 * bool(processes))
    try:
        yield
    finally:
        for process in spinning:
            process.terminate()


def claims(report: Report) -> list[Claim]:
    found = []
    for name in LOADS:
        ratios = [report.ratio(DEFAULT, shape=kind, what=f"fit, {name}") for kind in KINDS]
        found += claim(f"Classifier.fit against {PASSIVE}, {name}", TARGET, [ratio and 1 / ratio for ratio in ratios])
    return found


def main() -> None:
    report = Report("busy", __doc__, shapes=KINDS)
    for kind in report.options.shapes:
        fits = {policy: Fit(kind, policy, report.options.threads) for policy in (PASSIVE, DEFAULT)}
        for name, processes in LOADS.items():
            with load(processes):
                report.race(kind, f"fit, {name}", [Contestant(policy, fit) for policy, fit in fits.items()])
        for fit in fits.values():
            fit.end()
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
