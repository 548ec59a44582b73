"""Ragged batches: elman against torch.nn padded, in buckets of similar lengths, and packed; forward, onnxruntime."""

import numpy as np
from models import Elman, Model, Packed, Padded, Prepacked, Reference, optional
from problems import Problem, agree, dense
from report import Claim, Report, claim

CELLS = ["lstm", "gru", "rnn"]
HIDDEN, ROWS, BATCHES = 128, 32, 4
SHAPE, DENSE = "lognormal 3-200 B32H128", "T100B32H128"
PASSES = {"training step": 3, "forward": 1}  # flops relative to a forward pass
PACKED = ["packed before", "packed, sorted", "packed, unsorted"]


def ragged(cell: str) -> Problem:
    """Several batches, since the amount of padding of one batch is random."""
    lengths = np.random.default_rng(0).lognormal(3.5, 0.6, ROWS * BATCHES)
    return Problem(SHAPE, cell, tuple(np.clip(lengths, 3, 200).astype(int).tolist()), HIDDEN, HIDDEN)


def models(problem: Problem, train: bool, threads: int) -> list[Model]:
    def onnx() -> Model:
        from onnx_graph import Onnx

        return Onnx(problem, given, threads)

    given = problem.batches(np.split(np.arange(ROWS * BATCHES), BATCHES))
    alike = problem.batches(np.split(np.argsort(problem.lengths, kind="stable"), BATCHES))
    found: list[Model] = [
        Elman(problem, given),
        Padded(problem, given, "padded"),
        Padded(problem, alike, "padded, buckets"),
        Prepacked(problem, given, PACKED[0]),
        Packed(problem, given, True, PACKED[1]),
        Packed(problem, given, False, PACKED[2]),
        Reference(problem, given),
    ]
    return found if train else found + optional(onnx)


def claims(report: Report) -> list[Claim]:
    found = []
    for cell in CELLS:
        row = {"cell": cell, "what": "training step"}
        packed = min((ratio for name in PACKED if (ratio := report.ratio(name, **row))), default=None)
        padded = report.ratio("padded", **row)
        if cell == "lstm":
            found += claim("lstm training, ragged, against torch padded", 3.2, [padded])
            found += claim("lstm training, ragged, against torch packed (the best way)", 7, [packed])
        else:
            found += claim(f"{cell} training, ragged, against the better of the two", 8, [padded, packed])
        dense_time, work = report.ratio(f"elman, {DENSE}", **row), ragged(cell).flops / dense(DENSE, cell).flops
        useful = dense_time and 100 * work * dense_time
        found += claim(f"{cell} training, useful work, ragged against dense", 90, [useful], "%")
    return found


def main() -> None:
    report = Report("ragged", __doc__, cells=CELLS, passes=list(PASSES))
    for cell in report.options.cells:
        problem, full = ragged(cell), dense(DENSE, cell)
        for what in report.options.passes:
            train, passes = what == "training step", PASSES[what]
            implementations = models(problem, train, report.options.threads)
            results = {model.name: model.results(train) for model in implementations}
            apart = agree(f"{SHAPE} {cell} {what}", results, truth=PACKED[0])
            reference = Elman(full, full.batches(), f"elman, {DENSE}")
            flops = {model.name: passes * model.problem.flops for model in [*implementations, reference]}
            contestants = [model.contestant(train) for model in [*implementations, reference]]
            report.race(SHAPE, what, contestants, flops, apart=apart, cell=cell)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
