"""Checkpoints: a run that is resumed from one ends with the same bits as a run that was never stopped.

`last.safetensors` holds the model, the optimiser, the average of the weights, the carried state and the position in
the data. `best.safetensors` holds the model at the best evaluation.
"""

import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, get_type_hints

import torch
from torch import Tensor, nn

from elman import files
from elman import state as states
from elman.declared_types import Record, field, shown
from elman.state import State
from elman.training.average import Average
from elman.training.optimizer import moments_of
from elman.training.settings import RESUMABLE
from elman.training.tensors import load_model, model_tensors

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.jsonl"


@dataclass
class Place:
    """Position of a training run: the numbers that the next update depends on, apart from tensors and settings."""

    update: int = 0  # updates done
    epoch: int = 1
    epochs: int = 0  # as set, when the checkpoint was written
    batch: int = 0  # batches of the epoch done
    batches: int = 0  # batches in the epoch
    evaluated: int = 0  # update of the last evaluation
    best: float | None = None
    higher_is_better: bool = False
    best_loss: float = 0.0  # mean training loss between the best evaluation and the one before; decides between ties
    best_update: int = 0
    loss_sum: float = 0.0  # training losses since the last evaluation
    losses: int = 0
    worse_in_a_row: int = 0  # evaluations since the best one: patience
    worse: int = 0  # evaluations that were not the best so far: the plateau schedule
    seconds: float = 0.0
    log_bytes: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the position that a checkpoint stores.

        Raises:
            ValueError: a number is missing, of another type, or does not fit the others.
        """
        place = cls(**{name: field(data, name, declared) for name, declared in get_type_hints(cls).items()})
        numbers = [value for value in vars(place).values() if type(value) is int]
        if min(numbers) < 0 or max(numbers) >= 2**63 or place.epoch < 1 or place.batch > place.batches:
            raise ValueError(f"place: expected numbers of updates, epochs and batches, got {shown(data)}.")
        if (place.losses > 0) != (place.update > place.evaluated):
            raise ValueError(f"place: expected training losses since the evaluation at update {place.evaluated}, got "
                             f"{place.losses} at update {place.update}.")  # fmt: skip
        return place

    def check_epochs(self, epochs: int) -> None:
        """Raise unless a run may continue from here with this number of epochs.

        Raises:
            ValueError: the run has begun a later epoch.
        """
        if self.epoch > epochs:
            raise ValueError(f"train: expected epochs of at least {self.epoch}, which the resumed run has begun, got "
                             f"{epochs}; set it higher, or train in a new folder.")  # fmt: skip


class Checkpoints:
    """Reader and writer of the two checkpoint files in the folder `run`.

    Args:
        facts: JSON-able values, stored in the files. A run can only be resumed if they are equal, apart from
            `RESUMABLE` settings.
    """

    def __init__(
        self,
        run: Path,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        average: Average | None,
        facts: Mapping[str, Any],
    ):
        self.run, self._model, self._optimizers, self._average = run, model, optimizers, average
        self._facts: dict[str, Any] = json.loads(json.dumps(facts))  # as a file returns them

    def save(self, place: Place, carried: State | None) -> None:
        """Write `last.safetensors`, whole or not at all."""
        tensors = {f"model/{name}": tensor for name, tensor in model_tensors(self._model).items()}
        for optimizer, paths in self._parameter_paths():
            for number, moments in optimizer.state_dict()["state"].items():
                parts = {key: value for key, value in moments.items() if isinstance(value, Tensor)}
                tensors |= {f"optimizer/{paths[number]}/{key}": value for key, value in parts.items()}
        if self._average is not None:
            tensors |= {f"average/{name}": tensor for name, tensor in self._average.state_tensors().items()}
        if carried is not None:
            tensors["state"] = torch.frombuffer(bytearray(states.to_bytes(carried)), dtype=torch.uint8)
        self._write(LAST, tensors, place)

    def save_best(self, place: Place, weights: Mapping[str, Tensor]) -> None:
        """Write `best.safetensors`, before the `last` that refers to it: a kill in between only repeats work."""
        self._write(BEST, {f"model/{name}": tensor for name, tensor in weights.items()}, place)

    def read(self) -> tuple[Place, dict[str, Tensor]] | None:
        """Return the place and the tensors of `last.safetensors`, or None if there is no such file yet.

        Temporary files of a killed process are deleted.

        Raises:
            ValueError: the file is damaged, or belongs to another model or to other settings.
        """
        for name in (LAST, BEST):
            (self.run / (name + files.TEMPORARY)).unlink(missing_ok=True)
        return self._read(LAST) if (self.run / LAST).exists() else None

    def read_best(self) -> dict[str, Tensor]:
        """Return the weights in `best.safetensors`."""
        return named(self._read(BEST)[1], "model/")

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors that `read` returned into the model, the optimisers and the average."""
        load_model(self._model, named(tensors, "model/"))
        for optimizer, paths in self._parameter_paths():
            moments = {number: named(tensors, f"optimizer/{path}/") for number, path in enumerate(paths)}
            optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        if self._average is not None:
            self._average.restore(named(tensors, "average/"))

    def _parameter_paths(self) -> Iterator[tuple[torch.optim.Optimizer, list[str]]]:
        """Yield each optimiser with the paths of its parameters, in their order."""
        paths = {parameter: path for path, parameter in self._model.named_parameters()}
        for optimizer in self._optimizers:
            (group,) = optimizer.param_groups
            yield optimizer, [paths[parameter] for parameter in group["params"]]

    def _write(self, name: str, tensors: Mapping[str, Tensor], place: Place) -> None:
        facts = {"schema": files.SCHEMA, **self._facts, "file": name, "place": asdict(place)}
        files.write_tensors(self.run / name, tensors, facts)

    def _read(self, name: str) -> tuple[Place, dict[str, Tensor]]:
        path = self.run / name
        place, tensors, facts = _read_file(path)
        facts = {name: value for name, value in facts.items() if name not in ("file", "place", "schema")}
        here = {name: _kind(tensor) for name, tensor in model_tensors(self._model).items()}
        there = {name: _kind(tensor) for name, tensor in named(tensors, "model/").items()}
        difference = first_difference(_fixed(facts), _fixed(self._facts)) or first_difference(there, here)
        if difference:
            raise ValueError(
                f"{path}: the checkpoint of another run: {difference}; resume with the values of the checkpoint, or "
                "train in a new folder."
            )
        with files.about_file(path):
            files.check_finite(named(tensors, "model/"))
            if name == LAST:
                self._check_moments(tensors)
        return place, tensors

    def _check_moments(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise a ValueError unless the tensors of the optimisers and of the average are those of this model."""
        for optimizer, paths in self._parameter_paths():
            expected = moments_of(optimizer)
            weights = dict(zip(paths, optimizer.param_groups[0]["params"], strict=True))
            for path, weight in weights.items():
                found = named(tensors, f"optimizer/{path}/")
                kinds = {name: _kind(moment) for name, moment in found.items()}
                fits = {"float32 []", "float64 []", _kind(weight)}  # the number of steps, and moments
                if found and (found.keys() != expected or not fits.issuperset(kinds.values())):
                    raise ValueError(f"optimizer/{path}: expected {', '.join(sorted(expected)) or 'nothing'}, like "
                                     f"{_kind(weight)}, got {shown(kinds)}.")  # fmt: skip
        if self._average is not None:
            here = {name: _kind(tensor) for name, tensor in self._average.state_tensors().items()}
            there = {name: _kind(tensor) for name, tensor in named(tensors, "average/").items()}
            if difference := first_difference(there, here):
                raise ValueError(f"average: {difference}; restore the file, or train in a new folder.")


def read_place(run: Path) -> Place | None:
    """Return the place of a run to resume, before its model is built; None if there is no checkpoint yet.

    Raises:
        ValueError: the file is damaged.
    """
    return _read_file(run / LAST)[0] if (run / LAST).exists() else None


def _read_file(path: Path) -> tuple[Place, dict[str, Tensor], dict[str, Any]]:
    """Return the place, the tensors and the facts of a checkpoint file."""
    tensors, facts = files.read_tensors(path, torch=True)
    if "place" not in facts:
        raise ValueError(f"{path}: expected a checkpoint, got a model file; name the folder of a training run.")
    with files.about_file(path):
        written_as, place = field(facts, "file", str), Place.from_json(field(facts, "place", Record))
        if written_as != path.name:
            got = f"got a copy of {written_as:.99}; put the file back, or train in a new folder."
            raise ValueError(f"expected {path.name}, {got}")
        _fixed(facts)
    return place, tensors, facts


def named(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    """Return aligned copies of the tensors whose name begins with `start`, under the rest of the name."""
    return {name.removeprefix(start): tensor.clone() for name, tensor in tensors.items() if name.startswith(start)}


def first_difference(there: Any, here: Any, where: str = "") -> str:
    """Describe the first difference between the JSON values of a checkpoint and of this run; empty if there is none."""
    if isinstance(there, dict) and isinstance(here, dict):
        for name in [*here, *there]:
            path = f"{where}.{name}" if where else name
            if name not in there or name not in here:
                return f"only {'the checkpoint' if name in there else 'this run'} has {path}"
            difference = first_difference(there[name], here[name], path)
            if difference:
                return difference
        return ""
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        return first_difference(dict(enumerate(there)), dict(enumerate(here)), where)
    return "" if there == here else f"{where} is {reprlib.repr(there)}, in this run {reprlib.repr(here)}"


def _fixed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts without the settings that may change when a run is resumed."""
    settings = field({"settings": {}, **facts}, "settings", Record)
    settings = {name: value for name, value in settings.items() if name not in RESUMABLE}
    return {**facts, "settings": settings}


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
