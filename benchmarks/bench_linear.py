"""Linear: forward pass and gradients, elman against torch.nn; the weights are updated before each call."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from problems import agree
from report import Claim, Report, claim
from timing import Contestant
from torch import Tensor, nn

from elman import Linear, Sequences

SHAPES = ["1000x512x10000", "2048x2048x2048"]  # steps, inputs, outputs
PARTS = {"forward": 1, "both gradients": 2, "gradient of x": 1, "gradients of the weights": 1, "training step": 3}


class Affine:
    """Linear layer, and the parts of a training step."""

    def __init__(self, name: str, layer: nn.Module, call: Callable[[Tensor], Tensor], x: Tensor, dy: Tensor):
        self.name, self.call, self.x, self.dy = name, call, x, dy
        self.weights = tuple(layer.parameters())

    def update(self) -> None:
        with torch.no_grad():
            for weight in self.weights:
                weight.mul_(1)

    def forward(self) -> None:
        self.y = self.call(self.x)

    def update_and_forward(self) -> None:
        self.update()
        self.forward()

    def gradients(self, of: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(self.y, of, self.dy)

    def train(self) -> dict[str, Any]:
        self.forward()
        y, gradients = self.y.detach(), self.gradients((self.x, *self.weights))
        return dict(zip(("y", "dx", "dweight", "dbias"), (y, *gradients), strict=True))

    def contestant(self, part: str) -> Contestant:
        if part == "forward":
            return Contestant(self.name, self.forward, at_call=self.update)
        if part == "training step":
            return Contestant(self.name, self.train, at_call=self.update)
        of = {"gradient of x": (self.x,), "gradients of the weights": self.weights}.get(part, (self.x, *self.weights))
        return Contestant(self.name, partial(self.gradients, of), at_call=self.update_and_forward)


def claims(report: Report) -> list[Claim]:
    found = []
    for shape in SHAPES:
        for part in ("forward", "both gradients"):
            share = report.share("elman", shape=shape, what=part)
            found += claim(f"linear, {shape}, {part}, share of the peak", 80, [share], "%")
    return found


def main() -> None:
    report = Report("linear", __doc__, shapes=SHAPES)
    for shape in report.options.shapes:
        steps, inputs, outputs = map(int, shape.split("x"))
        x, dy = torch.randn(steps, inputs).requires_grad_(), torch.randn(steps, outputs)
        own, other = Linear(inputs, outputs), nn.Linear(inputs, outputs)
        other.load_state_dict(own.state_dict())
        layers = [
            Affine("elman", own, lambda x, layer=own: layer.scan(Sequences(x, [len(x)]))[0].values, x, dy),
            Affine("torch", other, other, x, dy),
        ]
        results = {layer.name: {name: array.numpy() for name, array in layer.train().items()} for layer in layers}
        apart = agree(shape, results, truth="torch")
        for part, products in PARTS.items():
            flops = 2.0 * products * steps * inputs * outputs
            report.race(shape, part, [layer.contestant(part) for layer in layers], flops, apart=apart)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
