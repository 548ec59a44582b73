"""Training loop of every task: forward pass, backward pass, clipping, update; evaluation, best weights, checkpoints.

The loop passes batches and states on without reading them. All randomness of an update is a function of the seed and
of the number of the update, so a checkpoint holds no generator.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from hashlib import blake2b
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from elman import state as states
from elman.files import about_file
from elman.layers import set_key
from elman.state import State
from elman.training.average import Average
from elman.training.checkpoint import LAST, Checkpoints, Place
from elman.training.events import Evaluation, Event, Examined, ModelObserver, Score, Update
from elman.training.first_non_finite import FirstNonFinite
from elman.training.interrupts import Interrupts
from elman.training.log_file import LogFile
from elman.training.non_finite import NonFinite, explain_gradient, explain_loss, large_steps, non_finite_weight
from elman.training.optimizer import clip, gradient_norm, gradients_of, learning_rate, make_optimizers
from elman.training.settings import TrainingSettings
from elman.training.tensors import copied_tensors, load_model

Batch = Any
Loss = Callable[[Batch, State | None], tuple[Tensor, State | None]]
logger = logging.getLogger("elman")


class Data(Protocol):
    """Source of batches."""

    def epoch(self, number: int) -> Sequence[Batch]:
        """Return the batches of an epoch, counted from 1: the same batches for the same number."""


class Result(NamedTuple):
    """Result of a training run."""

    updates: int
    epoch: int
    best: float | None  # value of the best evaluation, that of the model's weights; None without an evaluation
    best_update: int
    seconds: float


class Loop:
    """Training run with its model, optimisers, observers and position."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        data: Data,
        settings: TrainingSettings,
        evaluate: Callable[[], float | Score] | None,
        observers: list[Callable[[Event], object]],
        devices: list[int],
    ):
        self.model, self.loss, self.data, self.settings = model, loss, data, settings
        self.evaluate, self.observers, self.devices = evaluate, observers, devices
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizers = make_optimizers(model, settings)
        self.average = None if settings.average is None else Average(model, settings.average)
        self.interrupts = Interrupts()
        self.checkpoints: Checkpoints | None = None
        self.log: LogFile | None = None
        self.place = Place(epochs=settings.epochs)
        self.saved: Place | None = None  # place of the checkpoint on the disk
        self.consistent = True  # weights, optimiser, state and place belong to the same update
        self.state: State | None = None
        self.best: dict[str, Tensor] = {}
        self.trained: dict[str, Tensor] = {}  # the trained weights, while the model holds their average
        self.model.train()
        self._open_epoch(1)
        total = settings.epochs * self.place.batches
        self.warmup = min(settings.warmup, total)
        if settings.warmup > total:
            logger.warning("warmup=%d is longer than the training: shortened to its %d updates", settings.warmup, total)
        for observer in observers:
            if isinstance(observer, ModelObserver):
                first = self.batches[0]
                observer.begin(model, lambda first=first: loss(first, None)[0])

    def resume(self) -> None:
        """Restore the checkpoint, if there is one yet."""
        assert self.checkpoints is not None
        found = self.checkpoints.read()
        if found is None:
            return
        place, tensors = found
        place.check_epochs(self.settings.epochs)
        self._open_epoch(place.epoch)
        if place.batches != self.place.batches:
            raise ValueError(
                f"train: expected the data of the resumed run, {place.batches} batches in epoch {place.epoch}, got "
                f"{self.place.batches}; resume with the same data, or train in a new folder."
            )
        self.place = place
        if "state" in tensors:
            # A file holds the bytes of a state but not its structure: one call of the loss returns an example.
            self._seed("update", place.update)
            with torch.no_grad():
                _, example = self.loss(self.batches[0], None)
            with about_file(self.checkpoints.run / LAST):
                self.state = _detached_copy(states.from_bytes(tensors["state"].numpy().tobytes(), example))
        self.checkpoints.restore(tensors)
        if place.best is not None:
            self.best = self.checkpoints.read_best()
        self.saved = copy(place)
        logger.info("resumed at update %d, epoch %d", place.update, place.epoch)
        before, place.epochs = place.epochs, self.settings.epochs
        if before != place.epochs:
            self._report_extension(before)

    def _report_extension(self, before: int) -> None:
        """Log how the resumed run differs from a run that had the new number of epochs from the start."""
        place, settings = self.place, self.settings
        if settings.schedule != "cosine":
            logger.info("epochs changed from %d to %d", before, place.epochs)
            return
        rate = learning_rate(settings, self.warmup, place.update, place.epoch, self._progress(), place.worse)
        logger.warning("epochs changed from %d to %d: the learning rate continues at %.3g, on the cosine schedule of "
                       "%d epochs; the weights will differ from those of a single run of %d epochs", before,
                       place.epochs, rate, place.epochs, place.epochs)  # fmt: skip

    def run(self, save_every: float) -> Result:
        """Train to the end, then load the best weights."""
        place = self.place
        self.saved_at = time.perf_counter()
        self.began = self.saved_at - place.seconds
        self._evaluate_if_due()
        if self.saved is not None and (reason := self._end()):
            logger.warning("the run had ended at update %d (%s): nothing was trained", place.update, reason)
        while not self._end():
            self._update()
            self._evaluate_if_due()
            if time.perf_counter() - self.saved_at >= save_every:
                self._save()
        self._save()
        self._load_best()
        epoch = min(place.epoch, self.settings.epochs)
        return Result(place.update, epoch, place.best, place.best_update, place.seconds)

    def stop(self) -> int:
        """Write a checkpoint, or restore the last one if an update is incomplete; then load the best weights.

        Returns:
            The update from which the run can be resumed.
        """
        with suppress(KeyboardInterrupt):
            self._restore_trained()
            if self.consistent:
                self._save()
            elif self.checkpoints is not None and (found := self.checkpoints.read()) is not None:
                self.checkpoints.restore(found[1])
            self._load_best()
        if self.checkpoints is None:
            return self.place.update
        return self.saved.update if self.saved is not None else 0

    # One update.

    def _update(self) -> None:
        with self.interrupts.held():
            self.consistent = False
            event = self._learn()
            if self.log is not None:
                self.log(event)
            self.consistent = True
        self._notify(event)

    def _learn(self) -> Update:
        place, settings, began = self.place, self.settings, time.perf_counter()
        if place.batch == place.batches:
            self._open_epoch(place.epoch + 1)
        batch = self.batches[place.batch]
        rate = learning_rate(settings, self.warmup, place.update, place.epoch, self._progress(), place.worse)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss, state = self._forward(batch)
        value = loss.item()
        if not math.isfinite(value):
            why = explain_loss(self.model, lambda: self._forward(batch), rate, settings)
            self._fail(place.update + 1, f"the loss is {value}", *why)
        loss.backward()
        gradients = gradients_of(self.parameters)
        norm = gradient_norm(gradients)
        norm_value = norm.item()
        if not math.isfinite(norm_value):
            why = explain_gradient(self.model, lambda: self._forward(batch)[0], rate, settings)
            self._fail(place.update + 1, f"the norm of the gradient is {norm_value}", *why)
        clip(gradients, norm, settings)
        if self.average is not None:
            self.average.before_update()
        for optimizer in self.optimizers:
            (group,) = optimizer.param_groups
            group["lr"] = rate
            optimizer.step()
        self.state = _detached_copy(state)
        place.update += 1
        place.batch += 1
        place.loss_sum += value
        place.losses += 1
        if self.average is not None:
            self.average.after_update(place.update)
        place.seconds = time.perf_counter() - self.began
        steps = getattr(batch, "num_steps", 1)
        speed = steps / (time.perf_counter() - began)
        return Update(place.update, place.epoch, self._progress(), value, norm_value, rate, steps, place.seconds, speed)

    def _forward(self, batch: Batch) -> tuple[Tensor, State | None]:
        self._seed("update", self.place.update)
        set_key(self.model, self.settings.seed, self.place.update)
        result = self.loss(batch, self.state)
        if isinstance(result, Tensor):
            raise TypeError("train: expected loss(batch, state) to return (loss, state), got a tensor; return "
                            "(loss, None) if no state is carried to the next batch.")  # fmt: skip
        return result

    # Between updates.

    def _evaluate_if_due(self) -> None:
        place, every = self.place, self.settings.evaluate_every
        if self.evaluate is None or place.evaluated == place.update:
            return
        if not (place.batch == place.batches if every is None else place.update % every == 0 or self._at_end()):
            return
        self._check_weights()
        self._seed("evaluation", place.update)
        with self._averaged():
            self.model.eval()
            with torch.no_grad():
                found = self.evaluate()
            self.model.train()
            score = found if isinstance(found, Score) else Score("evaluation", found)
            score = score._replace(value=float(score.value))
            if not math.isfinite(score.value):
                self._fail(place.update, f"the {score.name} is {score.value}", "", "check the evaluation and its data")
            with self.interrupts.held():
                self.consistent = False
                event = self._record(score)
                if self.log is not None:
                    self.log(event)
                self.consistent = True
            self._notify(event)
        self._save()

    def _record(self, score: Score) -> Evaluation:
        place = self.place
        place.evaluated = place.update
        place.seconds = time.perf_counter() - self.began
        loss = place.loss_sum / place.losses
        place.loss_sum, place.losses = 0.0, 0
        equal = score.value == place.best
        better = not equal and (place.best is None or score.reaches(place.best))
        if better:
            place.worse_in_a_row = 0
        else:
            place.worse, place.worse_in_a_row = place.worse + 1, place.worse_in_a_row + 1
        if better or (equal and loss < place.best_loss):  # of equal evaluations, the lower training loss
            place.best, place.best_loss, place.best_update = score.value, loss, place.update
            self.best = copied_tensors(self.model)
            if self.checkpoints is not None:
                self.checkpoints.save_best(place, self.best)
        place.higher_is_better = score.higher_is_better
        assert place.best is not None
        return Evaluation(place.update, place.epoch, score, place.best, place.best_update, place.seconds)

    def _save(self) -> None:
        self._check_weights()
        if self.checkpoints is None or self.log is None or self.place == self.saved:
            return
        with self.interrupts.held():
            self.place.log_bytes = self.log.sync()
            self.checkpoints.save(self.place, self.state)
            self.saved = copy(self.place)
        self.saved_at = time.perf_counter()

    def _load_best(self) -> None:
        if self.best:
            load_model(self.model, self.best)
        elif self.average is not None:
            load_model(self.model, self._averages())

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Load the average of the weights inside the block, if there is one."""
        if self.average is None:
            yield
            return
        self.trained = copied_tensors(self.model)
        try:
            load_model(self.model, self._averages())
            yield
        finally:
            self._restore_trained()

    def _averages(self) -> dict[str, Tensor]:
        assert self.average is not None
        return {**copied_tensors(self.model), **self.average.weights()}

    def _restore_trained(self) -> None:
        if self.trained:
            load_model(self.model, self.trained)
            self.trained = {}

    def _open_epoch(self, number: int) -> None:
        self._seed("epoch", number)
        self.batches = self.data.epoch(number)
        if not len(self.batches):
            raise ValueError(f"train: expected batches in epoch {number}, got none; give more data.")
        self.place.epoch, self.place.batch, self.place.batches, self.state = number, 0, len(self.batches), None

    def _progress(self) -> float:
        return (self.place.epoch - 1 + self.place.batch / self.place.batches) / self.settings.epochs

    def _end(self) -> str:
        """Return the reason why the training ends here; empty if it goes on."""
        if self._at_end():
            return f"after {self.settings.epochs} epochs, as set"
        if self._out_of_patience():
            return f"no better evaluation in {self.place.worse_in_a_row}, as `patience` sets"
        return "the evaluation that `until` sets was reached" if self._has_reached_goal() else ""

    def _at_end(self) -> bool:
        place, epochs = self.place, self.settings.epochs
        return place.epoch > epochs or (place.epoch == epochs and place.batch == place.batches)

    def _out_of_patience(self) -> bool:
        return self.settings.patience is not None and self.place.worse_in_a_row >= self.settings.patience

    def _has_reached_goal(self) -> bool:
        best, until = self.place.best, self.settings.until
        return until is not None and best is not None and Score("", best, self.place.higher_is_better).reaches(until)

    def _seed(self, what: str, number: int) -> None:
        """Seed the generators of PyTorch, for modules that use them."""
        digest = blake2b(f"{self.settings.seed} {what} {number}".encode(), digest_size=8).digest()
        for generator in (torch.default_generator, *(torch.cuda.default_generators[index] for index in self.devices)):
            generator.manual_seed(int.from_bytes(digest, "little"))

    def _notify(self, event: Event) -> None:
        """Call the observers. An `Examined` that one of them returns is logged and passed to the others."""
        for observer in self.observers:
            examined = observer(event)
            if not isinstance(examined, Examined):
                continue
            if self.log is not None:
                with self.interrupts.held():
                    self.log(examined)
            for other in self.observers:
                if other is not observer:
                    other(examined)

    def _check_weights(self) -> None:
        layer = non_finite_weight(self.model)
        if layer is not None:
            rate = self.optimizers[0].param_groups[0]["lr"]
            self._fail(self.place.update, "a weight is not finite", layer, large_steps(self.model, rate, self.settings))

    def _fail(self, update: int, what: str, layer: str, cause: str, first: FirstNonFinite | None = None) -> NoReturn:
        if self.checkpoints is not None and self.saved is not None:
            cause += f"; {self.checkpoints.run / LAST} holds update {self.saved.update}"
        raise NonFinite(update, self.place.epoch, what, layer, cause, first)


def _detached_copy(state: State | None) -> State | None:
    """Return a detached, contiguous copy, as a checkpoint restores it: a resumed run computes the same bits."""

    def detached(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf.detach().clone(memory_format=torch.contiguous_format)
        return np.array(leaf)

    return None if state is None else states.map(detached, state)
