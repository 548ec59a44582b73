"""Training steps of elman on one thread and on two: speed-up, and share of the processor's peak."""

from models import Elman
from problems import agree, dense
from report import Claim, Report, claim

CELLS = ["lstm", "gru", "rnn"]
SHAPES = ["T100B32H128", "T100B32H256", "T35B20H650", "T128B64H512"]
NAMES = {1: "one thread", 2: "two threads"}
SHARES = {"T128B64H512": (84, 80), "T100B32H256": (83, 76), "T35B20H650": (77, 73)}  # percent of the peak, lstm and gru
RNN_SHARES = {"T128B64H512": (75, 68)}
SPEEDUP = {"lstm": 1.75, "gru": 1.75, "rnn": 1.5}


def claims(report: Report) -> list[Claim]:
    found = []
    for cell in CELLS:
        for shape, target in (RNN_SHARES if cell == "rnn" else SHARES).items():
            for percent, name in zip(target, NAMES.values(), strict=True):
                share = report.share(name, shape=shape, cell=cell)
                found += claim(f"{cell} training, {shape}, share of the peak, {name}", percent, [share], "%")
    for cell in CELLS:
        ratios = [report.ratio(NAMES[1], shape=shape, cell=cell) for shape in SHAPES]
        found += claim(f"{cell} training, two threads against one, the lowest of four", SPEEDUP[cell], ratios)
    return found


def main() -> None:
    report = Report("threads", __doc__, shapes=SHAPES, cells=CELLS)
    for shape in report.options.shapes:
        for cell in report.options.cells:
            problem = dense(shape, cell)
            contestants, results = [], {}
            for threads in (2, 1):
                model = Elman(problem, problem.batches(), NAMES[threads])
                report.use_threads(threads)
                results[model.name] = model.results(train=True)
                contestant = model.contestant(train=True)
                contestants.append(contestant._replace(at_turn=lambda n=threads: report.use_threads(n)))
            agree(f"{shape} {cell}", results, truth=NAMES[1], tolerance=0)  # to the bit
            threads = {name: number for number, name in NAMES.items()}
            report.race(shape, "training step", contestants, 3 * problem.flops, threads, cell=cell)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
