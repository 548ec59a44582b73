"""One step of an LSTM, batch 1, from Python: elman's Stepper and Cell.step, torch.nn.LSTMCell, nn.LSTM, onnxruntime."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from problems import Problem, agree
from report import Claim, Report, claim
from timing import Contestant
from torch import nn

import elman
from elman.kernels import native

SIZES = {"64": 12, "128": 7, "256": 2.3, "512": 1.7}  # units (and inputs): target speed relative to LSTMCell
HALVES = {"256": 6, "512": 2.8}  # targets with bfloat16 weights
HALF, ROUNDED = "Stepper, bfloat16 weights", 1e-2  # allowed difference, relative to the largest value
COMPARED = 20  # steps before outputs are compared


class Stream(NamedTuple):
    """Model in the middle of a stream."""

    name: str
    step: Callable[[], object]  # updates the state
    output: Callable[[], np.ndarray]
    threads: int = 1


def stepper(cell: elman.LSTM, x: np.ndarray, name: str = "Stepper", weights: str = "float32") -> Stream:
    """Stream with arrays of its own, without PyTorch."""
    step = cell.stepper(batch_size=1, weights=weights)
    step.input[...] = x
    return Stream(name, step, lambda: step.output)


def own_cell(cell: elman.LSTM, x: np.ndarray) -> Stream:
    given, state = torch.from_numpy(x), cell.initial_state(1)

    def step() -> None:
        nonlocal state
        with torch.inference_mode():
            _, state = cell.step(given, state)

    return Stream("Cell.step", step, lambda: state.h.numpy())


def torch_cell(module: nn.LSTMCell, x: np.ndarray, name: str, threads: int) -> Stream:
    given, state = torch.from_numpy(x), (torch.zeros(1, module.hidden_size),) * 2

    def step() -> None:
        nonlocal state
        with torch.inference_mode():
            state = module(given, state)

    return Stream(name, step, lambda: state[0].numpy(), threads)


def torch_layer(module: nn.LSTM, x: np.ndarray, threads: int) -> Stream:
    given, state = torch.from_numpy(x)[None], (torch.zeros(1, 1, module.hidden_size),) * 2

    def step() -> None:
        nonlocal state
        with torch.inference_mode():
            _, state = module(given, state)

    return Stream("nn.LSTM, T=1", step, lambda: state[0][0].numpy(), threads)


def onnx(problem: Problem, x: np.ndarray, name: str, threads: int) -> Stream:
    """Stream with two bindings: each reads the state that the other writes."""
    import onnxruntime
    from onnx_graph import graph, session

    run = session(graph(problem, 1, 1), threads)
    value = onnxruntime.OrtValue.ortvalue_from_numpy
    states = [[value(np.zeros((1, 1, problem.hidden), np.float32)) for _ in "hc"] for _ in "ab"]
    y = value(np.zeros((1, 1, 1, problem.hidden), np.float32))
    bindings = [run.io_binding() for _ in "ab"]
    for binding, before, after in zip(bindings, states, reversed(states), strict=True):
        binding.bind_ortvalue_input("x", value(x[None]))
        binding.bind_ortvalue_output("y", y)
        for name_of, read, written in zip("hc", before, after, strict=True):
            binding.bind_ortvalue_input(name_of, read)
            binding.bind_ortvalue_output(f"{name_of}_last", written)

    def step() -> None:
        run.run_with_iobinding(bindings[0])
        bindings.reverse()

    return Stream(name, step, lambda: y.numpy()[0, 0], threads)


def streams(hidden: int, threads: int) -> list[Stream]:
    problem = Problem(f"B1H{hidden}", "lstm", (1,), hidden, hidden)
    weight_ih, weight_hh, bias = (torch.from_numpy(weight) for weight in problem.weights())
    x = np.concatenate(problem.batches()[0].x)
    own, cell, layer = elman.LSTM(hidden, hidden), nn.LSTMCell(hidden, hidden), nn.LSTM(hidden, hidden)
    with torch.no_grad():
        for module, values in ((own, (weight_ih, weight_hh, bias)), (cell, (weight_ih, weight_hh, bias, 0 * bias)),
                               (layer, (weight_ih, weight_hh, bias, 0 * bias))):  # fmt: skip
            for parameter, value in zip(module.parameters(), values, strict=True):
                parameter.copy_(value)
    found = [own_cell(own, x), torch_cell(cell, x, "LSTMCell", threads), torch_cell(cell, x, "LSTMCell, one thread", 1),
             torch_layer(layer, x, threads)]  # fmt: skip
    if native.available():
        found = [stepper(own, x), stepper(own, x, HALF, "bfloat16"), *found]
    try:
        found += [onnx(problem, x, "onnxruntime", threads), onnx(problem, x, "onnxruntime, one thread", 1)]
    except ModuleNotFoundError as missing:
        print(f"left out: {missing.name} is not installed")
    return found


def claims(report: Report) -> list[Claim]:
    found = []
    for size, target in SIZES.items():
        if report.find("Stepper", shape=f"B1H{size}"):
            for name, least in (("LSTMCell", target), ("onnxruntime", 1)):
                ratios = [report.ratio(which, shape=f"B1H{size}") for which in (name, f"{name}, one thread")]
                if None not in ratios:
                    found += claim(f"one step, H{size}, Stepper against {name}, one thread or two", least, ratios)
    for size, target in HALVES.items():
        cell, half = report.ratio("LSTMCell, one thread", shape=f"B1H{size}"), report.ratio(HALF, shape=f"B1H{size}")
        if cell and half:
            found += claim(f"one step, H{size}, {HALF} against LSTMCell, one thread", target, [cell / half])
    return found


def main() -> None:
    report = Report("step", __doc__, sizes=list(SIZES))
    for size in report.options.sizes:
        rivals = streams(int(size), report.options.threads)
        for _ in range(COMPARED):
            for stream in rivals:
                stream.step()
        results = {stream.name: {"y": stream.output().reshape(1, -1)} for stream in rivals}
        halves = {name: results.pop(name) for name in (HALF,) if name in results}
        apart = agree(f"one step, H{size}", results, truth="LSTMCell")
        apart |= agree(f"one step, H{size}", halves | {"LSTMCell": results["LSTMCell"]}, "LSTMCell", ROUNDED)
        contestants = [Contestant(stream.name, stream.step, at_turn=lambda n=stream.threads: report.use_threads(n))
                       for stream in rivals]  # fmt: skip
        report.race(f"B1H{size}", "step", contestants, apart=apart)
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
