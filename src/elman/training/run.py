"""Entry point of training: start a run, or resume one."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from elman.layers import set_key
from elman.layers.torch_threads import one_torch_thread
from elman.training.checkpoint import LAST, LOG, Checkpoints
from elman.training.events import Event, Score
from elman.training.interrupts import Interrupted
from elman.training.log_file import LogFile
from elman.training.loop import Data, Loop, Loss, Result
from elman.training.run_lock import RunLock
from elman.training.settings import TrainingSettings, check


def train(
    model: nn.Module,
    loss: Loss,
    data: Data,
    settings: TrainingSettings,
    *,
    evaluate: Callable[[], float | Score] | None = None,
    run: str | Path | RunLock | None = None,
    resume: bool = False,
    observers: Iterable[Callable[[Event], object]] = (),
    metadata: Mapping[str, Any] | None = None,
    save_every: float = 30.0,
) -> Result:
    """Train `model` in place, and leave it in evaluation mode with its best weights.

    The best weights are those of the best evaluation; of equal evaluations, of the one with the lowest training loss.
    Without `evaluate` they are the last ones. If `settings.average` is set, the model holds the average of its weights
    during each evaluation and at the end.

    Args:
        model: the module to train; parameters with `requires_grad=False` stay unchanged.
        loss: `loss(batch, state) -> (scalar tensor, state)`. The state is None at the start of an epoch, then the
            detached state of the previous batch (truncated backpropagation through time). Return None as the state to
            carry nothing.
        data: source of the batches of each epoch.
        settings: epochs, optimiser, learning rate and so on. A warm-up longer than the training is shortened to it,
            with a warning.
        evaluate: returns a `Score`, or a number that is better if it is lower; called in evaluation mode and without
            gradients.
        run: folder for `last.safetensors`, `best.safetensors` and `log.jsonl`, which is locked during the training, or
            a `RunLock` that the caller holds; by default nothing is written.
        resume: continue from the checkpoint in `run`; start from the beginning if there is none yet. A run that has
            ended trains nothing, and a warning reports it. More `epochs` extend a run; `patience`, `until` and
            `evaluate_every` may change as well. The cosine schedule depends on the number of epochs: a warning reports
            the learning rate.
        observers: called with every `Update` and `Evaluation`. An `Examined` that one of them returns is logged, and
            passed to the others.
        metadata: JSON-able facts about the model, stored in the checkpoints; a run is resumed only if they are equal.
        save_every: seconds between checkpoints; one is written after each evaluation and at the end as well.
    Returns:
        number of updates and epochs, best evaluation, and seconds.
    Raises:
        NonFinite: a loss, gradient, weight or evaluation is not finite; the last good checkpoint stays.
        Interrupted: Ctrl-C was pressed; a checkpoint has been written.
        FileExistsError: `run` holds a training run, and `resume` is false.
        BlockingIOError: another training writes to `run`.
        ValueError: a setting has no effect, an epoch has no batches, or the checkpoint is damaged or of another run.
        OSError: a file cannot be written; the previous one is unchanged.
    """
    check(settings, has_validation=evaluate is not None)
    if resume and run is None:
        raise ValueError("train: expected a run folder to resume, got none.")
    folder = run.folder if isinstance(run, RunLock) else None if run is None else Path(run)
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    with one_torch_thread(model), torch.random.fork_rng(devices), ExitStack() as stack:
        if folder is not None:
            if not isinstance(run, RunLock):
                stack.enter_context(RunLock(folder))
            if not resume and (folder / LAST).exists():
                raise FileExistsError(f"{folder}: holds a training run; resume it, or name another folder.")
        loop = Loop(model, loss, data, settings, evaluate, list(observers), devices)
        if folder is not None:
            facts = {"settings": asdict(settings), **(metadata or {})}
            loop.checkpoints = Checkpoints(folder, model, loop.optimizers, loop.average, facts)
            if resume:
                loop.resume()
            loop.log = stack.enter_context(closing(LogFile(folder / LOG, loop.place.log_bytes)))
        stack.enter_context(loop.interrupts)
        try:
            return loop.run(save_every)
        except KeyboardInterrupt:
            update = loop.stop()
            raise Interrupted(folder if loop.saved else None, update) from None
        finally:
            model.zero_grad()
            model.eval()
            set_key(model)
