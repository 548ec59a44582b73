"""Training of an LSTM with each of its options: the kernels, the plain LSTM, and a loop over steps in PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from problems import TOLERANCE, Problem, Result, agree, dense
from report import Claim, Report, claim
from timing import Contestant
from torch import Tensor, nn
from torch.func import functional_call

from elman import LSTM, Sequences, WeightDrop
from elman.layers import set_key

SHAPES = ["T100B32H128", "T100B32H256", "T128B64H512"]
PLAIN = "plain"
OPTIONS: dict[str, dict[str, Any]] = {
    "layer norm": {"layer_norm": True},
    "peephole": {"peephole": True},
    "projection": {"projection_size": 2},  # divisor of the hidden size
    "zoneout": {"zoneout_h": 0.05, "zoneout_c": 0.5},
    "recurrent dropout": {"recurrent_dropout": 0.25},
    "hidden dropout": {"hidden_dropout": 0.25},
    "weight drop": {"weight_drop": 0.5},
}
NORMED = 2e-3  # tolerance with norms: a norm of a small h amplifies rounding errors
SLOWER, LOOP = 1.4, 8  # targets: at most this relative time to the plain LSTM, at least this speed relative to the loop


class Net:
    """Cell on given rows, with a training step by the kernels and by a loop."""

    def __init__(self, problem: Problem, options: dict[str, Any]):
        torch.manual_seed(0)
        options = dict(options)
        drop = options.pop("weight_drop", None)
        if "projection_size" in options:
            options["projection_size"] = problem.hidden // options["projection_size"]
        self.cell = LSTM(problem.inputs, problem.hidden, **options)
        self.net = self.cell if drop is None else WeightDrop(self.cell, drop)
        self.net.train()
        set_key(self.net, 0, 0)
        steps, rows = problem.lengths[0], len(problem.lengths)
        x, dy = torch.randn(rows, steps, problem.inputs), torch.randn(rows, steps, self.cell.output_size)
        self.lengths, self.shape = np.full(rows, steps), (rows, steps)
        self.x, self.dy = x.requires_grad_(), dy
        self.weights = list(self.cell.parameters())

    def update(self) -> None:
        with torch.no_grad():
            for weight in self.weights:
                weight.mul_(1)

    def kernels(self) -> tuple[Tensor, ...]:
        state = self.state()
        y, _ = self.net.scan(Sequences(self.x.flatten(0, 1), self.lengths), state)
        return self._gradients(y.values.view(*self.shape, -1))

    def loop(self) -> tuple[Tensor, ...]:
        """Train with a loop over steps, after one product of all inputs."""
        if isinstance(self.net, WeightDrop):
            return self._gradients(functional_call(Loop(self.cell), {"cell.weight_hh": self.net._dropped()}, (self,)))
        return self._gradients(Loop(self.cell)(self))

    def state(self) -> Any:
        state = self.cell.initial_state(self.shape[0])
        return state._replace(row=torch.arange(self.shape[0])) if hasattr(state, "row") else state

    def _gradients(self, y: Tensor) -> tuple[Tensor, ...]:
        return (y.detach(), *torch.autograd.grad(y, (self.x, *self.weights), self.dy))

    def result(self, run: Callable[[], tuple[Tensor, ...]]) -> Result:
        return {str(place): array.numpy() for place, array in enumerate(run())}


class Loop(nn.Module):
    def __init__(self, cell: LSTM):
        super().__init__()
        self.cell = cell

    def forward(self, net: Net) -> Tensor:
        state, outputs = net.state(), []
        for x in self.cell.project(net.x.flatten(0, 1)).view(*net.shape, -1).unbind(1):
            y, state = self.cell.advance(x, state)
            outputs.append(y)
        return torch.stack(outputs, 1)


def claims(report: Report) -> list[Claim]:
    found: list[Claim] = []
    for option in report.options.options:
        plain = [report.ratio(PLAIN, shape=shape, what=option) for shape in SHAPES]
        loops = [report.ratio("loop", shape=shape, what=option) for shape in SHAPES]
        found += claim(f"{option}: the plain one's time, as a part of its own", 1 / SLOWER, plain)
        found += claim(f"{option} against a loop over steps", LOOP, loops)
    return found


def main() -> None:
    report = Report("lstm_options", __doc__, shapes=SHAPES, options=list(OPTIONS))
    for shape in report.options.shapes:
        problem = dense(shape, "lstm")
        plain = Net(problem, {})
        for option in report.options.options:
            net = Net(problem, OPTIONS[option])
            results = {"loop": net.result(net.loop), option: net.result(net.kernels)}
            apart = agree(f"{shape} {option}", results, "loop", NORMED if option == "layer norm" else TOLERANCE)
            contestants = [
                Contestant(option, net.kernels, at_call=net.update),
                Contestant(PLAIN, plain.kernels, at_call=plain.update),
                Contestant("loop", net.loop, at_call=net.update),
            ]
            report.race(shape, option, contestants, apart=apart)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
