"""Small training run: a network with every kind of dropout, buffers, tied weights and a carried state."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman import LSTM, Dropout, Embedding, Linear, Stack, VariationalDropout, files
from elman.data.windows import Window, Windows, resume
from elman.training import Result, TrainingSettings, train

VOCABULARY = 12


class Net(nn.Module):
    """Embedding, LSTM, batch normalisation, PyTorch's own dropout, and a read-out with the embedding's weights."""

    def __init__(self) -> None:
        super().__init__()
        embedding, read_out = Embedding(VOCABULARY, 8), Linear(8, VOCABULARY)
        read_out.weight = embedding.weight
        self.body = Stack(embedding, VariationalDropout(8, 0.2), LSTM(8, 8), Dropout(8, 0.2))
        self.norm = nn.BatchNorm1d(8)
        self.read_out = read_out

    def loss(self, window: Window, state: Any) -> tuple[Tensor, Any]:
        inputs = window.inputs.map(torch.from_numpy)
        y, state = self.body(inputs, resume(window.source, state, self.body))
        hidden = F.dropout(self.norm(y.values), 0.1, self.training)
        logits = self.read_out(y.with_values(hidden))[0].values
        return F.cross_entropy(logits, torch.from_numpy(window.targets)), state


class Text:
    """Windows of a random text, in a different order each epoch."""

    def __init__(self, documents: int = 12, seed: int = 0):
        random = np.random.default_rng(seed)
        self.windows = Windows(
            [random.integers(1, VOCABULARY, n) for n in random.integers(5, 60, documents)], 3, 9, seed=7
        )

    def epoch(self, number: int) -> Sequence[Window]:
        return self.windows.epoch(number)


def make_net(seed: int = 3) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Net()


def small_run(
    run: Path | None = None, resume: bool = False, net: Net | None = None, validate: bool = True, **options: Any
) -> tuple[Net, Result]:
    """Train the net; `options` are those of `train`, or settings."""
    net = make_net() if net is None else net
    of_train = {name: options.pop(name) for name in ("observers", "metadata", "save_every") if name in options}
    held_out = Text(4, seed=1).windows

    def evaluate() -> float:
        return float(np.mean([net.loss(window, None)[0].item() for window in held_out if (window.source < 0).all()]))

    settings = TrainingSettings(**{"epochs": 3, "learning_rate": 0.02, **options})
    result = train(
        net, net.loss, Text(), settings, evaluate=evaluate if validate else None, run=run, resume=resume, **of_train
    )
    return net, result


KILLABLE = {"epochs": 3, "schedule": "plateau", "warmup": 5, "evaluate_every": 7, "save_every": 0.0}


def killable(run: Path, die_in: str = "", die_at: int = 0) -> None:
    """Start or resume the run in `run`; optionally kill this process at the `die_at`-th call of `os.<die_in>`."""
    torch.set_num_threads(1)
    if die_in:
        call, calls = getattr(os, die_in), iter(range(die_at))

        def deadly(*args: Any) -> Any:
            if next(calls, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args)

        setattr(files.os, die_in, deadly)
    net, _ = small_run(run, resume=True, **KILLABLE)
    files.write_tensors(run / "model.safetensors", net.state_dict(), {})
