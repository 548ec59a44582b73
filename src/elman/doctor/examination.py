"""Examination of a model on real data: measurements, verdicts, and reports."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from torch import Tensor, nn

from elman.data.rows_and_labels import with_targets
from elman.doctor import page
from elman.doctor.bounds import bound
from elman.doctor.capture import capture
from elman.doctor.context import loss_by_context
from elman.doctor.facts import Facts
from elman.doctor.findings import CONTEXT, GATES, JACOBIANS, LAGS, PASS, CellInfo, Findings, Layer, Verdict
from elman.doctor.gates import gates
from elman.doctor.gradient_by_lag import gradients_by_lag, growth, half_life, horizon
from elman.doctor.jacobians import jacobians
from elman.doctor.rules import verdicts
from elman.doctor.summary import summary
from elman.doctor.trace import Trace
from elman.doctor.units import units
from elman.errors import located
from elman.tasks import Task, load
from elman.tasks.run_source import Source


class Examination(Findings):
    """Measurements of a model with their verdicts: `print` shows a summary, a notebook the report with its pictures."""

    __slots__ = ()

    def verdicts(self) -> list[Verdict]:
        """Return the problems with their remedies, most severe first; a single `healthy` verdict if there are none."""
        return verdicts(self)

    def summary(self) -> str:
        """Return the verdicts and a line for each layer, in about twenty lines."""
        return summary(self)

    def save(self, path: str | Path, title: str = "") -> list[Path]:
        """Write the report and its pictures; a failed write leaves no file.

        Args:
            path: a folder, which is created if it is missing and gets `doctor.png` and `doctor.html`; or the name of a
                page for a browser (.html) or of a picture (.png, .svg, .pdf).
            title: heading; by default the task and its run folder.
        Returns:
            the files written.
        Raises:
            ValueError: the name has another ending.
            OSError: a file cannot be written.
            ModuleNotFoundError: matplotlib is not installed.
        """
        return page.save(self, Path(path), title)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        return page.notebook(self)


def examine(
    model: Task | nn.Module | str | Path,
    data: Any = None,
    y: Any = None,
    *,
    dependency: int | None = None,
    unrolled: int | None = None,
    clip_norm: float | None = None,
    run: str | Path | None = None,
    probes: int = 32,
    max_lag: int | None = 400,
    trajectories: int = 4,
    context: bool = True,
    progress: Callable[[float], object] = lambda part: None,
) -> Examination:
    """Measure the gradient, the gates and the state of a model on real data.

    The model is examined in evaluation mode, and does not change.

    Args:
        model: a trained task; a run folder or a model file; or any module with cells of elman or recurrent layers of
            `torch.nn`.
        data: rows or documents as the `fit` of the task takes them; for a module, a function that computes its loss on
            some data, a scalar tensor. A few rows are enough, and the function is called a few times. None for a run
            folder: its validation files, or its training files.
        y: the targets of the rows; None for a task that learns from documents alone, and for a module.
        dependency: longest distance, in steps, from an output back to the input that determines it. It makes the
            verdicts more precise; None if unknown.
        unrolled: for a module: length of the windows of truncated BPTT, in steps; None if gradients go back to the
            start of every row.
        clip_norm: for a module: largest gradient norm in its training; None without clipping.
        run: for a trained task: its run folder, whose log has the history of the training.
        probes: number of steps from which the gradient is propagated back.
        max_lag: largest lag, in steps; None: back to the start of every row.
        trajectories: number of rows for the products of Jacobians, which take 4 to 12 s for a layer of 512 units; 0
            skips them.
        context: whether to compute the loss with shorter contexts too, which takes as long as everything else.
        progress: called with the fraction that is done, 0 to 1.
    Raises:
        TypeError: the model is of another kind, the data of a module are not a function, or data are missing.
        ValueError: the model has no recurrence, or the loss does not depend on one; the run was not trained on files;
            `dependency` or `unrolled` is not a number of steps; or as `fit` of the task.
        FileNotFoundError: the run folder, the model file or a file of the run is missing.
    Example:
        >>> import torch
        >>> net, x = torch.nn.LSTM(3, 8), torch.randn(20, 4, 3)
        >>> found = examine(net, lambda: net(x)[0][-1].square().mean())
        >>> [str(layer.cell) for layer in found.layers]
        ['LSTM(3 -> 8)']
    """
    for name, steps in (("dependency", dependency), ("unrolled", unrolled)):
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1):
            raise ValueError(f"doctor: expected {name} to be a number of steps, at least 1, got {steps!r}.")
    known = Facts(unrolled=unrolled, clip_norm=clip_norm, dependency=dependency, run=None if run is None else Path(run))
    net, loss, facts = _examined(model, data, y, known)
    seconds: dict[str, float] = {}
    with _timed(seconds, PASS):
        captured = capture(net, loss)
    layers: list[Layer] = []
    for trace in captured.traces:
        progress((1 + len(layers)) / (2 + len(captured.traces)))
        layers.append(_layer(trace, probes, max_lag, trajectories, seconds))
    by_context = None
    if context and layers:
        progress((1 + len(layers)) / (2 + len(captured.traces)))
        with _timed(seconds, CONTEXT):
            by_context = loss_by_context(net, loss)
    progress(1.0)
    return Examination(captured.loss, layers, captured.skipped, by_context, seconds, facts)


def _examined(
    model: Task | nn.Module | str | Path, data: Any, y: Any, facts: Facts
) -> tuple[nn.Module, Callable[[], Tensor], Facts]:
    """Return the network, a function that computes its loss, and all facts."""
    if isinstance(model, str | Path):
        path = Path(model)
        task, facts = load(path), facts._replace(run=path if path.is_dir() else path.parent)
        if data is not None:
            return _examined(task, data, y, facts)
        source = Source.of_run(path)
        files = source.existing_files(path, f"give the data: examine({str(path)!r}, X, y).")
        rows = task.read_files(files, **source.reading)
        with located(rows.places):
            return _examined(task, rows.inputs, rows.labels, facts)
    if isinstance(model, Task):
        if data is None:
            raise TypeError(f"doctor: expected data to examine the {model.task} on, got none; give "
                            "examine(model, X, y), or examine(model, X) if its fit takes no targets.")  # fmt: skip
        for name in ("unrolled", "clip_norm"):
            if getattr(facts, name) is not None:
                raise ValueError(f"doctor: {name}: has no effect, because the settings of the {model.task} set it; "
                                 "leave it out.")  # fmt: skip
        probe = model.probe_loss(*with_targets(data, y))
        return model.net_, probe.loss, facts.with_task(model, probe.texts)
    if not isinstance(model, nn.Module):
        raise TypeError("doctor: expected a trained task, a run folder or a PyTorch module, got "
                        f"{type(model).__name__}.")  # fmt: skip
    if y is not None or not callable(data):
        got = "data and targets" if y is not None else "none" if data is None else type(data).__name__
        raise TypeError(f"doctor: expected a function that computes the loss of the module, got {got}; give "
                        "examine(model, lambda: loss(model(x), y)).")  # fmt: skip
    return model, data, facts


def _layer(trace: Trace, probes: int, max_lag: int | None, trajectories: int, seconds: dict[str, float]) -> Layer:
    with _timed(seconds, LAGS):
        lags = gradients_by_lag(trace, probes, max_lag)
    with _timed(seconds, JACOBIANS):
        products = jacobians(trace, trajectories)
    with _timed(seconds, GATES):
        measured_gates, measured_units = gates(trace), units(trace)
    return Layer(
        trace.name,
        CellInfo.describe(trace.cell),
        longest=int(trace.x.lengths.max(initial=0)),
        supervised=float((trace.gradient.abs().sum(1) > 0).double().mean()) if trace.x.num_steps else 0.0,
        lags=lags,
        horizon=horizon(lags),
        half_life=half_life(lags),
        growth=growth(lags),
        jacobians=products,
        bound=bound(trace),
        gates=measured_gates,
        units=measured_units,
        reversed=trace.reversed,
        path=trace.path,
        suffix=trace.suffix,
    )


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + perf_counter() - began
