"""elman.nn in training: dense batches, against elman's cells and torch.nn; packed rows of up to 10 to 4,000 steps; the
word language model of PyTorch's examples, with one import changed."""

from typing import Any

import numpy as np
from models import Elman, Padded, Prepacked, TorchModel
from problems import Batch, Problem, agree, dense
from report import Claim, Report, claim
from timing import Contestant
from torch import Tensor, nn
from word_model import Training

import elman.nn

CELLS = ["lstm", "gru", "rnn"]
DENSE = ["T100B32H128", "T100B32H256", "T128B64H512"]
LENGTHS = ["10", "20", "50", "100", "200", "500", "1000", "2000", "4000"]  # steps of the longest row
ROWS, HIDDEN = 16, 64
WITHIN, NEVER_SLOWER, PACKED, FROM = 1 / 1.05, 1, 5, 50  # targets, and the length from which PACKED applies
WHAT = "training step"
WORDS, UPDATES, SAME = "word language model", 200, 1e-4  # number of losses compared, and their tolerance


class Ours(TorchModel):
    """Model of torch.nn with a module of elman.nn."""

    module: Any

    def load(self, weights: list[Tensor]) -> None:
        super().load(weights)
        theirs: Any = self.module
        first = {"batch_first": True} if self.batch_first else {}
        self.module = getattr(elman.nn, type(theirs).__name__)(theirs.input_size, theirs.hidden_size, **first)
        self.module.load_state_dict(theirs.state_dict())
        self.weights = list(self.module.parameters())

    batch_first = False


class TimeFirst(Ours, Padded):
    name = "elman.nn, time first"


class BatchFirst(Ours, Padded):
    name = "elman.nn"
    batch_first = True

    def give(self, batch: Batch) -> tuple[Any, Tensor, list[Tensor], Tensor]:
        lengths, x, state, dy = super().give(batch)
        x, dy = (array.detach().transpose(0, 1).contiguous() for array in (x, dy))
        return lengths, x.requires_grad_(), state, dy

    def read(self, batch: Batch, name: str, array: Tensor) -> np.ndarray:
        return super().read(batch, name, array.transpose(0, 1) if name in ("y", "dx") else array)


class OursPacked(Ours, Prepacked):
    """elman.nn on batches that are given packed and stay packed."""


def mixed(longest: int, cell: str) -> Problem:
    """Return a problem with rows of `longest` / 10 to `longest` steps, one of them of `longest` steps."""
    lengths = np.random.default_rng(0).integers(max(longest // 10, 1), longest, ROWS - 1, endpoint=True)
    return Problem(f"up to {longest} B{ROWS}H{HIDDEN}", cell, (longest, *lengths.tolist()), HIDDEN, HIDDEN)


def race(report: Report, problem: Problem, models: list[Any], **more: Any) -> None:
    where = f"{problem.name} {problem.cell}"
    apart = agree(where, {model.name: model.results(True) for model in models}, truth=models[-1].name)
    contestants = [model.contestant(True) for model in models]
    report.race(problem.name, WHAT, contestants, 3 * problem.flops, apart=apart, cell=problem.cell, **more)


def claims(report: Report) -> list[Claim]:
    found = []
    for cell in CELLS:
        cells = [report.ratio("elman", shape=shape, cell=cell, what=WHAT) for shape in DENSE]
        found += claim(f"elman.nn {cell} against elman's cell, training, the lowest", WITHIN, cells)
    curves = {
        name: {int(length): report.ratio(name, shape=mixed(int(length), "lstm").name) for length in LENGTHS}
        for name in ("torch, padded", "torch, packed")
    }
    found += claim("PackedSequence, LSTM, against torch padded, every length", NEVER_SLOWER,
                   [*curves["torch, padded"].values()])  # fmt: skip
    found += claim(f"PackedSequence, LSTM, against torch packed, from {FROM} steps on", PACKED,
                   [ratio for length, ratio in curves["torch, packed"].items() if length >= FROM])  # fmt: skip
    return found + claim("word language model, one import changed", 1, [report.ratio("torch.nn", shape=WORDS)])


def race_word_models(report: Report) -> None:
    ours, theirs = Training(elman.nn.LSTM), Training(nn.LSTM)
    losses = np.array([(ours.update(), theirs.update()) for _ in range(UPDATES)])
    apart = {"torch.nn": 0.0, "elman.nn": float(np.abs(losses[:, 0] - losses[:, 1]).max())}
    assert apart["elman.nn"] < SAME, f"{WORDS}: losses {apart['elman.nn']:.1e} apart"
    contestants = [Contestant("elman.nn", ours.update), Contestant("torch.nn", theirs.update)]
    report.race(WORDS, "update", contestants, apart=apart)


def main() -> None:
    report = Report("nn", __doc__, shapes=DENSE, cells=CELLS, lengths=LENGTHS)
    race_word_models(report)
    for shape in report.options.shapes:
        for cell in report.options.cells:
            problem = dense(shape, cell)
            batches = problem.batches()
            kinds = (BatchFirst, TimeFirst, Elman, Padded)
            race(report, problem, [kind(problem, batches) for kind in kinds])
    for length in report.options.lengths:
        problem = mixed(int(length), "lstm")
        batches = problem.batches()
        race(report, problem, [
            OursPacked(problem, batches, "elman.nn, packed"),
            Padded(problem, batches, "torch, padded"),
            Prepacked(problem, batches, "torch, packed"),
        ])  # fmt: skip
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
