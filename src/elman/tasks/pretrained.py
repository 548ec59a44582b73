"""Pretrained model, whose weights the training of another model starts from: fine-tuning."""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from elman.network import ModelFile, read_model
from elman.settings import settings_of
from elman.tasks import load
from elman.tasks.run import Run
from elman.training import model_tensors

logger = logging.getLogger("elman")


@dataclass(frozen=True)
class Pretrained:
    """Trained model of the same task, with the file that it comes from.

    Args:
        model: the model.
        file: its file, from which a task restores vocabularies and scales.
        sha256: digest of the file.
    """

    model: Any
    file: ModelFile
    sha256: str

    @classmethod
    def of(cls, path: str | Path | None, task: Any, run: Run) -> Self | None:
        """Return the model at a path, or the one that a resumed run started from; None if there is no such model.

        Raises:
            FileNotFoundError, ValueError: as `load`.
            ValueError: the resumed run started from another model, or a new network would not be trained.
        """
        begun = run.pretrained() if run.resume else {}
        if path is None and not begun:
            if not task.epochs:
                raise ValueError(f"{type(task).__name__}: expected epochs of at least 1, got 0, which leaves a new "
                                 "network untrained; set it higher, or start from a pretrained model.")  # fmt: skip
            return None
        found = cls.load(begun["path"] if path is None else path, task)
        if run.resume and found.sha256 != begun.get("sha256"):
            name = begun.get("path", "no pretrained model")
            raise ValueError(f"{run.folder}: the run started from {name}, got {found.file.path}, which differs; resume "
                             "with the same model, or train in a new folder.")  # fmt: skip
        return found

    @classmethod
    def load(cls, path: str | Path, task: Any) -> Self:
        """Read a run folder or a model file, and check that a task can start from it.

        Raises:
            FileNotFoundError: there is no such model.
            ValueError: it is damaged or of another task, or its network has other settings.
        """
        model, file = load(path), read_model(path)
        if model.task != task.task:
            raise ValueError(f"{path}: expected a pretrained {task.task}, got a {model.task}; name a run of this task.")
        theirs, ours = settings_of(model), settings_of(task)
        for name in _network_settings(type(task)):
            if theirs[name] != ours[name]:
                raise ValueError(f"{path}: the pretrained model has {name}={theirs[name]!r}, got {ours[name]!r}; set "
                                 f"{name}={theirs[name]!r}, or train without it.")  # fmt: skip
        return cls(model, file, hashlib.sha256(file.path.read_bytes()).hexdigest())

    @property
    def origin(self) -> dict[str, str]:
        """Path and digest, for `config.toml`."""
        return {"path": str(self.file.path.resolve()), "sha256": self.sha256}

    def copy_to(self, net: nn.Module, new: Sequence[str]) -> None:
        """Copy the weights to a network of the same settings, and log the names of the tensors.

        Layers with and without dropout differ in the numbers of their names, so tensors are matched in their order.

        Args:
            new: names of layers that keep their initial weights.
        Raises:
            ValueError: the networks differ.
        """
        own, theirs = _without(model_tensors(net), new), _without(model_tensors(self.model.net_), new)
        if (expected := [*map(_kind, own.items())]) != (got := [*map(_kind, theirs.items())]):
            odd = next((pair for pair in zip(expected, got, strict=False) if pair[0] != pair[1]), None)
            found = f"{odd[0]}, got {odd[1]}" if odd else f"{len(own)} tensors, got {len(theirs)}"
            raise ValueError(f"{self.file.path}: expected {found}; train with the settings of the pretrained model.")
        with torch.no_grad():
            for tensor, pretrained in zip(own.values(), theirs.values(), strict=True):
                tensor.copy_(pretrained)
        fresh = [name for name in model_tensors(net) if name not in own]
        logger.info("weights from %s: %s; new: %s", self.file.path, ", ".join(own), ", ".join(fresh) or "none")


def _network_settings(kind: type) -> list[str]:
    """Return the settings that define the network and its vocabularies, those of base classes included."""
    return [name for base in reversed(kind.__mro__) for name in vars(base).get("network_settings", ())]


def _without(tensors: dict[str, Tensor], layers: Sequence[str]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(tuple(f"{x}." for x in layers))}


def _kind(item: tuple[str, Tensor]) -> str:
    """Return name and shape of a tensor without the number of its layer."""
    name, tensor = item
    return f"{re.sub(r'[0-9]+', '*', name)} {list(tensor.shape)}"
