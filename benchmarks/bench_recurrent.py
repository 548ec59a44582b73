"""RNN, LSTM and GRU on dense batches: elman, its reference, torch.nn; training, a scan of JAX; forward, onnxruntime."""

from models import Elman, Model, Padded, Reference, optional
from problems import Problem, agree, dense
from report import Claim, Report, claim

CELLS = ["lstm", "gru", "rnn"]
DENSE = ["T100B32H64", "T100B32H128", "T100B32H256", "T35B20H650", "T128B64H512"]
PIXELS, LONG = "T784B100I1H100", "T1000B1H64"
TARGETS = {"lstm": (1.2, 3, 2), "gru": (3.5, 4, 30), "rnn": (3, 2.7, 30)}  # mean of the dense shapes, pixels, long
PASSES = {"training step": 3, "forward": 1}  # flops relative to a forward pass


def models(problem: Problem, train: bool, threads: int) -> list[Model]:
    def jax() -> Model:
        from jax_scan import Jax

        return Jax(problem, batches, threads)

    def onnx() -> Model:
        from onnx_graph import Onnx

        return Onnx(problem, batches, threads)

    batches = problem.batches()
    own = [Elman(problem, batches), Padded(problem, batches), Reference(problem, batches)]
    return own + optional(jax if train else onnx)


def claims(report: Report) -> list[Claim]:
    found = []
    for cell, (mean, pixels, long) in TARGETS.items():
        shapes = [*DENSE, PIXELS, LONG]
        ratios = {s: report.ratio("torch", shape=s, cell=cell, what="training step") for s in shapes}
        dense = [ratios[shape] for shape in DENSE]
        found += claim(f"{cell} training against torch, geometric mean of five dense shapes", mean, dense, mean=True)
        if cell == "lstm":
            found += claim("lstm training against torch, the lowest of the five", 0.97, dense)
        found += claim(f"{cell} training against torch, {PIXELS}", pixels, [ratios[PIXELS]])
        found += claim(f"{cell} training against torch, {LONG}", long, [ratios[LONG]])
    return found


def main() -> None:
    report = Report("recurrent", __doc__, shapes=[*DENSE, PIXELS, LONG], cells=CELLS, passes=list(PASSES))
    for shape in report.options.shapes:
        for cell in report.options.cells:
            for what in report.options.passes:
                problem, train = dense(shape, cell), what == "training step"
                implementations = models(problem, train, report.options.threads)
                apart = agree(
                    f"{shape} {cell} {what}",
                    {model.name: model.results(train) for model in implementations},
                    truth="torch",
                )
                flops = problem.flops * PASSES[what]
                contestants = [model.contestant(train) for model in implementations]
                report.race(shape, what, contestants, flops, apart=apart, cell=cell)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
