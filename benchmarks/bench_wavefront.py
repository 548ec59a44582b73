"""One long row through two layers: a stack, whose layers run as a wave, against one layer after the other."""

from typing import Any

import torch
from problems import Problem, Result, agree, dense
from report import Report, claim
from timing import Contestant
from torch import Tensor

import elman

CELLS = ["lstm", "gru", "rnn"]
SHAPE = "T1000B1H128"


class Deep:
    """Two layers of a problem's cell, trained in one scan, or in one scan per layer."""

    def __init__(self, problem: Problem, one_scan: bool):
        cell = getattr(elman, problem.cell.upper())
        self.layers = [cell(problem.inputs, problem.hidden), cell(problem.hidden, problem.hidden)]
        self.cells = [elman.Stack(*self.layers)] if one_scan else self.layers
        self.weights = [weight for layer in self.layers for weight in layer.parameters()]
        with torch.no_grad():
            for weight, value in zip(self.weights, [*problem.weights(2), *problem.weights(3)], strict=True):
                weight.copy_(torch.from_numpy(value))
        (batch,) = problem.batches()
        self.lengths = batch.lengths
        self.x, self.dy = torch.from_numpy(batch.x[0]).requires_grad_(), torch.from_numpy(batch.dy[0])

    def train(self) -> list[Tensor]:
        sequences = elman.Sequences(self.x, self.lengths)
        for cell in self.cells:
            sequences, _ = cell.scan(sequences)
        return [sequences.values, *torch.autograd.grad(sequences.values, (self.x, *self.weights), self.dy)]

    def update(self) -> None:
        with torch.no_grad():
            for weight in self.weights:
                weight.mul_(1)

    def results(self) -> Result:
        return {str(number): array.detach().numpy() for number, array in enumerate(self.train())}


def main() -> None:
    report = Report("wavefront", __doc__, cells=CELLS)
    for cell in report.options.cells:
        problem = dense(SHAPE, cell)
        nets: dict[str, Any] = {"stack": Deep(problem, True), "one after the other": Deep(problem, False)}
        apart = agree(f"{SHAPE} {cell}", {name: net.results() for name, net in nets.items()}, "one after the other")
        contestants = [Contestant(name, net.train, at_call=net.update) for name, net in nets.items()]
        report.race(f"{SHAPE} two layers", "training step", contestants, 6 * problem.flops, apart=apart, cell=cell)
        ratio = report.ratio("one after the other", cell=cell)
        report.claims += claim(f"{cell} training, {SHAPE}, two layers, the wave", 1.5, [ratio])
    report.finish()


if __name__ == "__main__":
    main()
