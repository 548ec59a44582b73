"""Begin a training run, or go on with one."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from elman.layers import set_key
from elman.training.checkpoint import LAST, LOG, Checkpoints
from elman.training.events import Event
from elman.training.interrupts import Interrupted
from elman.training.log_file import LogFile
from elman.training.loop import Data, Loop, Loss, Result
from elman.training.settings import TrainingSettings, check


def train(
    model: nn.Module,
    loss: Loss,
    data: Data,
    settings: TrainingSettings,
    *,
    evaluate: Callable[[], float] | None = None,
    run: str | Path | None = None,
    resume: bool = False,
    observers: Iterable[Callable[[Event], object]] = (),
    metadata: Mapping[str, Any] | None = None,
    save_every: float = 30.0,
) -> Result:
    """Train `model` in place. It ends in evaluation mode, with its best weights where there is an evaluation.

    Where the settings ask for an average of the weights, evaluations and their observers find it in the model.

    Args:
        loss: `loss(batch, state) -> (a scalar tensor, state)`. The state is None at the start of an epoch, then what
            the batch before returned, detached: truncated backpropagation through time. Return None to carry nothing.
        evaluate: a number, lower is better; called in evaluation mode and without gradients.
        run: a folder for `last.safetensors`, `best.safetensors` and `log.jsonl`; without one nothing is written.
        resume: go on from the checkpoint in `run`, or from the start where there is none yet.
        observers: told of every `Update` and `Evaluation`; what one that looks at the net returns, an `Examined`, is
            logged, and the others are told of it.
        metadata: JSON-able facts about the model, kept in the checkpoints; a run goes on only where they are the same.
        save_every: seconds between checkpoints; there is one after each evaluation and at the end as well.
    Raises:
        NonFinite: a loss, gradient, weight or evaluation is not finite; the last good checkpoint stays.
        Interrupted: Ctrl-C, with a checkpoint written.
        FileExistsError: `run` holds a training run, and `resume` is false.
        ValueError: a setting that cannot act, an epoch without batches, a checkpoint that is damaged or of another run.
        OSError: a file cannot be written; the one that was there is unchanged.
    """
    check(settings, has_validation=evaluate is not None)
    if resume and run is None:
        raise ValueError("train: expected a run folder to resume, got none.")
    run = None if run is None else Path(run)
    if run is not None and not resume and (run / LAST).exists():
        raise FileExistsError(f"{run}: holds a training run; resume it, or name another folder.")
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices), ExitStack() as stack:
        loop = Loop(model, loss, data, settings, evaluate, list(observers), devices)
        if run is not None:
            run.mkdir(parents=True, exist_ok=True)
            facts = {**(metadata or {}), "settings": asdict(settings)}
            loop.checkpoints = Checkpoints(run, model, loop.optimizers, loop.average, facts)
            if resume:
                loop.resume()
            loop.log = stack.enter_context(closing(LogFile(run / LOG, loop.place.log_bytes)))
        stack.enter_context(loop.interrupts)
        try:
            return loop.go(save_every)
        except KeyboardInterrupt:
            update = loop.stop()
            raise Interrupted(run if loop.saved else None, update) from None
        finally:
            model.zero_grad()
            model.eval()
            set_key(model)
