"""A case: how a model is made, and which rules should report it, decided before it was examined."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cases import data
from cases.nets import Reader
from elman import Classifier, LanguageModel, Tagger
from elman.doctor import Facts
from elman.doctor.facts import read_history
from elman.training import NonFinite

SAME = {"dropout": 0.0, "schedule": "constant", "validation": 0.0, "hidden_size": 10}


class Made(NamedTuple):
    """Arguments of the doctor; `good` is the fraction of right outputs of a model that should be healthy."""

    net: nn.Module
    loss: Callable[[], Tensor]
    facts: Facts
    good: float | None = None


class Case(NamedTuple):
    """
    Attributes:
        failing: the rule that should report it; None for a healthy model.
        name: what is changed.
        make: builds it, from a generator and an empty folder.
        also: rules that would be right too: they count neither as hits nor as false alarms.
    """

    failing: str | None
    name: str
    make: Callable[[Generator, Path], Made]
    also: frozenset[str] = frozenset()


def prepared(net: nn.Module, x: Tensor) -> nn.Module:
    """Initialise lazy sizes from a first input, and return the net."""
    with torch.no_grad():
        net(x)
    return net


def plain(net: nn.Module, x: Tensor, y: Tensor, *changes: Callable[[nn.Module], object], **facts: Any) -> Made:
    """Return an untrained module with changed weights."""
    prepared(net, x)
    for change in changes:
        change(net)
    return Made(net, lambda: cross_entropy(net(x).flatten(0, -2), y.flatten()), Facts(**facts))


def trained(
    net: nn.Module,
    draw: Callable[[], tuple[Tensor, Tensor]],
    folder: Path,
    *,
    updates: int = 120,
    rate: float = 0.01,
    clip_norm: float | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = lambda logits, y: cross_entropy(logits.flatten(0, -2), y.flatten()),
    learning: Callable[[nn.Module], Iterator[nn.Parameter]] = nn.Module.parameters,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    corrupt: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]] = lambda update, x, y: (x, y),
    **facts: Any,
) -> Made:
    """Return a module trained by a plain PyTorch loop, with a log."""
    prepared(net, draw()[0])
    steps, lines = optimizer([*learning(net)], lr=rate), []
    for update in range(1, updates + 1):
        x, y = corrupt(update, *draw())
        net.zero_grad()
        found = loss(net(x), y)
        found.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), clip_norm or float("inf"))
        lines.append({"update": update, "loss": found.item(), "gradient_norm": float(norm)})
        steps.step()
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    x, y = draw()
    with torch.no_grad():
        good = float((net(x).argmax(-1) == y).double().mean()) if y.dtype == torch.long else None
    history = read_history(log, clip_norm)
    return Made(net, lambda: loss(net(x), y), Facts(clip_norm=clip_norm, history=history, **facts), good)


def of_task(
    model: Any, training: tuple[Any, ...], sample: tuple[Any, ...], folder: Path,
    *changes: Callable[[nn.Module], object], dependency: int | None = None, good: Callable[[Any], float] | None = None,
) -> Made:  # fmt: skip
    """Return a model trained through its task, with changed weights."""
    run = folder / "run"
    try:
        model.fit(*training, run=run)
    except NonFinite:
        changes, good = (), None
    right = good(model) if good else None
    for change in changes:
        change(model.net_)
    probe = model.probe_loss(*sample)
    return Made(model.net_, probe.loss, Facts(run=run, dependency=dependency).with_task(model, probe.texts), right)


def classifier(generator: Generator, folder: Path, *changes: Any, steps: int = 14, place: int = -3, rows: int = 48,
               judge: bool = False, dependency: int | None = None, **settings: Any) -> Made:  # fmt: skip
    """Return a classifier of the letter at one place of a word."""
    own = {"units": "characters", "embedding_size": 6, "input_dropout": 0.0, "word_dropout": 0.0, "epochs": 2,
           "pooling": "last", "bidirectional": False}  # fmt: skip
    X, y = data.texts(generator, rows, steps, place)
    held = data.texts(generator, 24, steps, place)
    good = (lambda model: model.score(*held)) if judge else None
    return of_task(Classifier(**{**SAME, **own, **settings}), (X, y), (X[:10], y[:10]), folder, *changes,
                   dependency=dependency, good=good)  # fmt: skip


def tagger(generator: Generator, folder: Path, *changes: Any, steps: int = 14, lag: int = 2, rows: int = 48,
           judge: bool = False, dependency: int | None = None, **settings: Any) -> Made:  # fmt: skip
    """Return a tagger of the word `lag` steps before."""
    own = {"scheme": "none", "output": "softmax", "bidirectional": False, "character_size": 0, "input_dropout": 0.0,
           "word_dropout": 0.0, "embedding_size": 6, "epochs": 2}  # fmt: skip
    X, y = data.sentences(generator, rows, steps, lag)
    held, truth = data.sentences(generator, 24, steps, lag)

    def good(model: Tagger) -> float:
        return float((np.array(model.predict(held)) == np.array(truth)).mean())

    return of_task(Tagger(**{**SAME, **own, **settings}), (X, y), (X[:10], y[:10]), folder, *changes,
                   dependency=dependency, good=good if judge else None)  # fmt: skip


def language(generator: Generator, folder: Path, text: Any, *changes: Any, sample: int = 320, nats: float | None = None,
             dependency: int | None = None, **settings: Any) -> Made:  # fmt: skip
    """Return a language model; `good` is 1 if it needs at most `nats` nats per letter."""
    own = {"embedding_size": 6, "ngram_order": 0, "epochs": 2, "streams": 8, "steps": 20}
    good = None if nats is None else lambda model: float(model.evaluate(text).nats_per_unit <= nats)
    short = text[:sample] if isinstance(text, str) else text[:16]
    return of_task(LanguageModel(**{**SAME, **own, **settings}), (text,), (short,), folder, *changes,
                   dependency=dependency, good=good)  # fmt: skip


def reader(*layers: nn.Module, **settings: Any) -> Reader:
    return Reader(*layers, **settings)
