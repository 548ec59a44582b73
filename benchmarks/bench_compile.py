"""torch.compile: a tagger's network with and without the compiler, and the time of compiling.

The timed calls are training steps on ragged batches of changing sizes. A tagger of elman.nn (embedding, bidirectional
LSTM, linear layer) is timed on padded and on packed batches, in training and in inference. Compiling is timed once, in
a new process with empty caches of PyTorch, and compared with compiling a linear layer; most of its time is spent in a
C++ compiler.
"""

import multiprocessing
import os
import tempfile
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from report import Claim, Report, claim
from timing import Contestant
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import elman.nn
from elman import LSTM, Linear, Sequences, Stack
from elman.data.spelled_words import Spelled, Tokens
from elman.layers import set_key
from elman.state import map as map_state
from elman.tasks.tagger import Tagger
from elman.tasks.tagger_net import TaggerNet
from elman.threads import set_num_threads

EAGER, COMPILED = "eager", "compiled"
WORDS, CHARACTERS, TAGS, DIFFERENT = 5000, 80, 17, 0.6  # DIFFERENT: different words / words of a batch
SHAPES = {"R32H256": (32, 256), "R8H100": (8, 100)}  # sentences of a batch, units
TOLERANCE, WITHIN = 1e-5, 1 / 1.1


def tagger_net(units: int) -> TaggerNet:
    """Return the network of a Tagger."""
    torch.manual_seed(0)
    settings = Tagger(hidden_size=units, embedding_size=100, character_size=25, given_size=8, input_dropout=0.3)
    return TaggerNet(settings, (WORDS, CHARACTERS, []), TAGS, None)


def sentences(rows: int, number: int) -> Spelled:
    """Draw a batch of sentences of 5 to 30 words."""
    draw = np.random.default_rng(number)
    lengths = draw.integers(5, 31, rows)
    steps = int(lengths.sum())
    different = max(1, int(DIFFERENT * steps))
    letters = draw.integers(2, 12, different)
    given = np.empty((steps, 0), np.int64)
    tokens = Tokens(draw.integers(WORDS, size=steps), draw.integers(different, size=steps), given)
    characters = Sequences(draw.integers(CHARACTERS, size=int(letters.sum())), letters)
    both = Sequences(tokens, lengths), characters
    return Spelled(*(part.map(lambda values: map_state(torch.from_numpy, values)) for part in both))


class Steps:
    """Forward and backward pass, with a batch of another size at each call."""

    def __init__(self, net: nn.Module, run: Any, batches: list[Spelled]):
        self.net, self.run, self.batches, self.calls = net, run, batches, 0

    def __call__(self) -> Tensor:
        batch = self.batches[self.calls % len(self.batches)]
        self.calls += 1
        return self.step(batch)

    def step(self, batch: Spelled) -> Tensor:
        self.net.zero_grad()
        loss = self.run(batch).values.square().mean()
        loss.backward()
        return loss.detach()


def race(report: Report, shape: str) -> None:
    rows, units = SHAPES[shape]
    net, batches = tagger_net(units), [sentences(rows, number) for number in range(5)]
    set_key(net, 0, 0)
    run = torch.compile(net, fullgraph=True)
    both = {EAGER: Steps(net, net, batches), COMPILED: Steps(net, run, batches)}
    net.eval()  # without dropout: Inductor draws other random numbers
    apart = {EAGER: 0.0, COMPILED: max(distance(both, batch) for batch in batches)}
    assert apart[COMPILED] < TOLERANCE, f"{shape}: {apart[COMPILED]:.1e} apart"
    net.train()
    for steps in both.values():
        for _ in batches:
            steps()  # compiles before the clock starts
    contestants = [Contestant(name, steps) for name, steps in both.items()]
    report.race(shape, "tagger, forward and back", contestants, apart=apart)


class Words(nn.Module):
    """Tagger of elman.nn."""

    def __init__(self, units: int, packed: bool):
        super().__init__()
        self.packed = packed
        self.embedding, self.readout = nn.Embedding(WORDS, 100), nn.Linear(2 * units, TAGS)
        self.layer = elman.nn.LSTM(100, units, bidirectional=True, batch_first=True)

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        ids, lengths = batch
        x = self.embedding(ids)
        if not self.packed:
            return self.readout(self.layer(x)[0])
        y, _ = self.layer(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        return self.readout(pad_packed_sequence(y, batch_first=True)[0])


def race_words(report: Report, shape: str, packed: bool) -> None:
    rows, units = SHAPES[shape]
    torch.manual_seed(0)
    net, draw = Words(units, packed), np.random.default_rng(0)
    batches = []
    for _ in range(5):
        lengths = draw.integers(5, 31, rows)
        batches.append((torch.from_numpy(draw.integers(WORDS, size=(rows, lengths.max()))), torch.from_numpy(lengths)))
    runs = {EAGER: net, COMPILED: torch.compile(net, fullgraph=not packed, dynamic=True)}

    def train(run: Any) -> None:
        for batch in batches:
            net.zero_grad()
            run(batch).square().mean().backward()

    def infer(run: Any) -> None:
        with torch.no_grad():
            for batch in batches:
                run(batch)

    layout = "packed" if packed else "padded"
    for what, calls in (("training", train), ("inference", infer)):
        for run in runs.values():
            calls(run)  # compiles before the clock starts
        contestants = [Contestant(name, partial(calls, run)) for name, run in runs.items()]
        report.race(shape, f"elman.nn tagger, {layout}, {what}", contestants)


def distance(both: dict[str, Steps], batch: Spelled) -> float:
    """Return the largest difference of the gradients, relative to the largest gradient."""
    found = []
    for steps in both.values():
        steps.step(batch)
        found.append([weight.grad.to_dense() for weight in steps.net.parameters() if weight.grad is not None])
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) for a, b in zip(*found, strict=True))


# Time of compiling.


def small(name: str) -> tuple[nn.Module, Any]:
    """Return a network and its input."""
    values, lengths = torch.randn(40, 32), np.array([25, 0, 15])
    return {
        "torch.nn.Linear": lambda: (nn.Linear(32, 32), values),
        "LSTM": lambda: (LSTM(32, 32), Sequences(values, lengths)),
        "LSTM, LSTM, Linear": lambda: (Stack(LSTM(32, 32), LSTM(32, 32), Linear(32, 8)), Sequences(values, lengths)),
        "tagger": lambda: (tagger_net(64), sentences(4, 0)),
    }[name]()


NETS = ["torch.nn.Linear", "LSTM", "LSTM, LSTM, Linear", "tagger"]


def compiling(name: str, threads: int, backend: str) -> float:
    """Return the seconds to compile the forward and backward pass of a network, after a first compilation."""
    torch.set_num_threads(threads)
    set_num_threads(threads)
    torch.compile(torch.sin, backend=backend)(torch.ones(3, requires_grad=True)).sum().backward()
    torch.manual_seed(0)
    net, given = small(name)
    start = perf_counter()
    y = torch.compile(net, fullgraph=True, backend=backend)(given)
    y = y[0] if isinstance(y, tuple) else y
    (y.values if isinstance(y, Sequences) else y).sum().backward()
    return perf_counter() - start


def compile_times(report: Report) -> dict[str, dict[str, float]]:
    """Return seconds by backend and network: tracing alone, and with Inductor."""
    found: dict[str, dict[str, float]] = {}
    context = multiprocessing.get_context("spawn")
    print(f"\n{'compiling once, seconds':<30}" + "".join(f"{name:>20}" for name in NETS))
    for backend in ("aot_eager", "inductor"):
        found[backend] = {}
        for name in NETS:
            with tempfile.TemporaryDirectory() as folder:
                os.environ |= {"TORCHINDUCTOR_CACHE_DIR": folder, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
                with context.Pool(1) as pool:
                    found[backend][name] = pool.apply(compiling, (name, report.options.threads, backend))
        print(f"  {backend:<28}" + "".join(f"{seconds:20.2f}" for seconds in found[backend].values()), flush=True)
    return found


def claims(report: Report) -> list[Claim]:
    tagger = report.ratio(COMPILED, shape="R32H256")  # small steps show the overhead of PyTorch per call
    ratios = [report.ratio(COMPILED, shape="R32H256", what=f"elman.nn tagger, {layout}, {what}")
              for layout in ("padded", "packed") for what in ("training", "inference")]  # fmt: skip
    return [
        *claim("torch.compile around a tagger's net, against eager", 1, [tagger and 1 / tagger]),
        *claim("torch.compile around a tagger of elman.nn, against eager", WITHIN, [r and 1 / r for r in ratios]),
    ]


def main() -> None:
    report = Report("compile", __doc__, shapes=list(SHAPES))
    for shape in report.options.shapes:
        race(report, shape)
        for packed in (False, True):
            race_words(report, shape, packed)
    times = compile_times(report)
    report.rows[-1]["seconds_to_compile"] = times
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
