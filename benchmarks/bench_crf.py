"""CRF: loss with all gradients, and decoding, against pytorch-crf in both of its layouts, and the reference."""

import re
import warnings
from collections.abc import Callable

import numpy as np
import torch
from problems import Result, agree
from report import Claim, Report, claim
from timing import Contestant
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchcrf import CRF as Peer

from elman.losses import CRFLoss
from elman.losses.crf import reference
from elman.sequences import Sequences

MAIN = "T40B32K17"
SHAPES = [MAIN, "T5-75B32K17", "T40B32K5", "T40B32K45", "T200B16K17"]  # 5-75: rows with lengths from 5 to 75
LAYOUTS = {"pytorch-crf": False, "pytorch-crf, batch first": True}
PASSES = ["loss and gradients", "decode"]
NAMES = ["loss", "dscores", "dtransitions", "dstart", "dend"]


class Problem:
    """Scores, tags and weights, ragged and padded."""

    def __init__(self, shape: str):
        found = re.fullmatch(r"T(\d+)(?:-(\d+))?B(\d+)K(\d+)", shape)
        if found is None:
            raise SystemExit(f"shape {shape}: expected one like {', '.join(SHAPES[:2])}.")
        shortest, longest, rows, tags = (int(number or found[1]) for number in found.groups())
        self.lengths = np.linspace(shortest, longest, rows).astype(int)[np.random.default_rng(0).permutation(rows)]
        generator = torch.Generator().manual_seed(0)

        def draw(*size: int) -> Tensor:
            return torch.randn(size, generator=generator)

        self.scores = draw(int(self.lengths.sum()), tags)
        self.tags = torch.randint(tags, (len(self.scores),), generator=generator)
        self.module = CRFLoss(tags)
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.copy_(draw(*parameter.shape))
        self.weights = list(self.module.parameters())

    def elman(self) -> tuple[Callable[[], list[Tensor]], Callable[[], Tensor]]:
        leaf = self.scores.clone().requires_grad_()
        rows, leaves = Sequences(leaf, self.lengths), (leaf, *self.weights)

        def train() -> list[Tensor]:
            loss = self.module(rows, self.tags)
            return [loss, *torch.autograd.grad(loss, leaves)]

        return train, lambda: self.module.decode(rows).values

    def reference(self) -> Callable[[], list[Tensor]]:
        leaf = self.scores.clone().requires_grad_()
        leaves = leaf, *self.weights

        def train() -> list[Tensor]:
            loss = reference(leaf, self.tags, self.lengths, *self.weights) / len(leaf)
            return [loss, *torch.autograd.grad(loss, leaves)]

        return train

    def peer(self, batch_first: bool) -> tuple[Callable[[], list[Tensor]], Callable[[], list[list[int]]]]:
        """Return the calls of pytorch-crf, with padding and mask made before; a mask only if lengths differ."""
        model, sizes = Peer(len(self.weights[1]), batch_first=batch_first), self.lengths.tolist()
        weights = model.transitions, model.start_transitions, model.end_transitions
        with torch.no_grad():
            for own, given in zip(weights, self.weights, strict=True):
                own.copy_(given)
        scores = pad_sequence(self.scores.split(sizes), batch_first).requires_grad_()
        tags = pad_sequence(self.tags.split(sizes), batch_first)
        mask = pad_sequence([torch.ones(size, dtype=torch.bool) for size in sizes], batch_first)
        needed = None if bool(mask.all()) else mask
        leaves = scores, *weights

        def train() -> list[Tensor]:
            loss = -model(scores, tags, needed, reduction="token_mean")
            return [loss, *torch.autograd.grad(loss, leaves)]

        return train, lambda: model.decode(scores, needed)

    def ragged(self, gradient: Tensor, batch_first: bool) -> Tensor:
        """Return the gradient of padded scores without the padding."""
        rows = gradient if batch_first else gradient.transpose(0, 1)
        return torch.cat([row[:length] for row, length in zip(rows, self.lengths.tolist(), strict=True)])


def as_result(arrays: list[Tensor]) -> Result:
    return {name: array.detach().numpy() for name, array in zip(NAMES, arrays, strict=True)}


def race_training(report: Report, shape: str) -> None:
    problem = Problem(shape)
    runs: dict[str, Callable[[], list[Tensor]]] = {"elman": problem.elman()[0]}
    results = {"elman": as_result(runs["elman"]())}
    for name, batch_first in LAYOUTS.items():
        runs[name] = problem.peer(batch_first)[0]
        loss, gradient, *weights = runs[name]()
        results[name] = as_result([loss, problem.ragged(gradient, batch_first), *weights])
    runs["reference"] = problem.reference()
    results["reference"] = as_result(runs["reference"]())
    apart = agree(f"{shape} {PASSES[0]}", results, truth="pytorch-crf")
    report.race(shape, PASSES[0], [Contestant(name, run) for name, run in runs.items()], apart=apart)


def race_decoding(report: Report, shape: str) -> None:
    problem = Problem(shape)
    runs = {"elman": problem.elman()[1], **{name: problem.peer(first)[1] for name, first in LAYOUTS.items()}}
    results = {name: {"tags": np.concatenate([np.ravel(row) for row in run()])} for name, run in runs.items()}
    apart = agree(f"{shape} {PASSES[1]}", results, truth="pytorch-crf")
    report.race(shape, PASSES[1], [Contestant(name, run) for name, run in runs.items()], apart=apart)


def claims(report: Report) -> list[Claim]:
    ratios = [report.ratio(name, shape=MAIN, what=PASSES[0]) for name in LAYOUTS]
    return claim("CRF loss and gradients, B32 T40 K17, against pytorch-crf", 20, ratios)


def main() -> None:
    warnings.filterwarnings("ignore", "where received a uint8 condition tensor")  # pytorch-crf's own mask
    report = Report("crf", __doc__, shapes=SHAPES, passes=PASSES)
    for shape in report.options.shapes:
        for what in report.options.passes:
            (race_training if what == PASSES[0] else race_decoding)(report, shape)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
