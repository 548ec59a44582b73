"""A patient: a model, what it is ill of, which was settled before it was examined, and how it is made."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ailing import data
from ailing.nets import Reader
from elman import Classifier, LanguageModel, Tagger
from elman.doctor import Facts
from elman.doctor.history import history
from elman.training import NonFinite

SAME = {"dropout": 0.0, "schedule": "constant", "validation": 0.0, "hidden_size": 10}


class Made(NamedTuple):
    """What the doctor is given; `good` is the part of the answers that are right, of a model that shall be well."""

    net: nn.Module
    loss: Callable[[], Tensor]
    facts: Facts
    good: float | None = None


class Patient(NamedTuple):
    """
    Attributes:
        ill: the rule that should speak; None of one that is well.
        name: what is done to it.
        make: draws it, with a folder of its own.
        also: rules that would be right too: they are neither hits nor false alarms.
    """

    ill: str | None
    name: str
    make: Callable[[Generator, Path], Made]
    also: frozenset[str] = frozenset()


def prepared(net: nn.Module, x: Tensor) -> nn.Module:
    """With the sizes that it finds in its first input."""
    with torch.no_grad():
        net(x)
    return net


def plain(net: nn.Module, x: Tensor, y: Tensor, *changes: Callable[[nn.Module], object], **facts: Any) -> Made:
    """Somebody else's module as it is, with its weights changed by hand."""
    prepared(net, x)
    for change in changes:
        change(net)
    return Made(net, lambda: cross_entropy(net(x).flatten(0, -2), y.flatten()), Facts(**facts))


def taught(
    net: nn.Module,
    draw: Callable[[], tuple[Tensor, Tensor]],
    folder: Path,
    *,
    updates: int = 120,
    rate: float = 0.01,
    clip_norm: float | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = lambda said, y: cross_entropy(said.flatten(0, -2), y.flatten()),
    learning: Callable[[nn.Module], Iterator[nn.Parameter]] = nn.Module.parameters,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    spoil: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]] = lambda update, x, y: (x, y),
    **facts: Any,
) -> Made:
    """Trained by a few lines of PyTorch that somebody wrote, with a log."""
    prepared(net, draw()[0])
    steps, lines = optimizer([*learning(net)], lr=rate), []
    for update in range(1, updates + 1):
        x, y = spoil(update, *draw())
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
    past = history(log, clip_norm)
    return Made(net, lambda: loss(net(x), y), Facts(clip_norm=clip_norm, history=past, **facts), good)


def of_task(
    model: Any, training: tuple[Any, ...], sample: tuple[Any, ...], folder: Path,
    *changes: Callable[[nn.Module], object], needs: int | None = None, good: Callable[[Any], float] | None = None,
) -> Made:  # fmt: skip
    """Trained through its task, and changed by hand."""
    run = folder / "run"
    try:
        model.fit(*training, run=run)
    except NonFinite:
        changes, good = (), None
    right = good(model) if good else None
    for change in changes:
        change(model.net_)
    lesson = model.probe_loss(*sample)
    return Made(model.net_, lesson.loss, Facts.of_task(model, run, lesson.steps, needs), right)


def classifier(generator: Generator, folder: Path, *changes: Any, steps: int = 14, place: int = -3, rows: int = 48,
               judge: bool = False, needs: int | None = None, **settings: Any) -> Made:  # fmt: skip
    """Which letter stands at a place of a word?"""
    own = {"units": "characters", "embedding_size": 6, "input_dropout": 0.0, "word_dropout": 0.0, "epochs": 2,
           "pooling": "last", "bidirectional": False}  # fmt: skip
    X, y = data.texts(generator, rows, steps, place)
    held = data.texts(generator, 24, steps, place)
    good = (lambda model: model.score(*held)) if judge else None
    return of_task(Classifier(**{**SAME, **own, **settings}), (X, y), (X[:10], y[:10]), folder, *changes, needs=needs,
                   good=good)  # fmt: skip


def tagger(generator: Generator, folder: Path, *changes: Any, steps: int = 14, lag: int = 2, rows: int = 48,
           judge: bool = False, needs: int | None = None, **settings: Any) -> Made:  # fmt: skip
    """Which word was it so many steps ago?"""
    own = {"scheme": "none", "output": "softmax", "bidirectional": False, "character_size": 0, "input_dropout": 0.0,
           "word_dropout": 0.0, "embedding_size": 6, "epochs": 2}  # fmt: skip
    X, y = data.sentences(generator, rows, steps, lag)
    held, truth = data.sentences(generator, 24, steps, lag)

    def good(model: Tagger) -> float:
        return float((np.array(model.predict(held)) == np.array(truth)).mean())

    return of_task(Tagger(**{**SAME, **own, **settings}), (X, y), (X[:10], y[:10]), folder, *changes, needs=needs,
                   good=good if judge else None)  # fmt: skip


def language(generator: Generator, folder: Path, text: Any, *changes: Any, sample: int = 320, bits: float | None = None,
             needs: int | None = None, **settings: Any) -> Made:  # fmt: skip
    """What comes next? It is well where it needs no more than `bits` nats a letter: `good` is 1 then."""
    own = {"embedding_size": 6, "ngram_order": 0, "epochs": 2, "streams": 8, "steps": 20}
    good = None if bits is None else lambda model: float(model.evaluate(text).nats_per_unit <= bits)
    short = text[:sample] if isinstance(text, str) else text[:16]
    return of_task(LanguageModel(**{**SAME, **own, **settings}), (text,), (short,), folder, *changes, needs=needs,
                   good=good)  # fmt: skip


def reader(*layers: nn.Module, **settings: Any) -> Reader:
    return Reader(*layers, **settings)
