"""Model of a task in PyTorch: its network, and its file."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import nn

import elman
from elman.cells.spec import network_of
from elman.declared_types import Record
from elman.files import SCHEMA, about_file, write_tensors
from elman.layers.torch_threads import one_torch_thread
from elman.network import Layer, ModelFile
from elman.network.no_spec import spec_metadata
from elman.runtime.model import TrainedModel
from elman.settings import parse, settings_of
from elman.tasks.building import check_memory, with_tensors
from elman.training import model_tensors


class Model(TrainedModel):
    """Trained model whose network is a module of PyTorch, built from settings and fitted attributes."""

    seed: int

    @abstractmethod
    def build(self) -> nn.Module:
        """Return a new network. PyTorch's generator is seeded. Called twice: once with tensors that have no memory."""

    def fitted_tensors(self) -> dict[str, np.ndarray]:
        """Return the arrays that `prepare` fits, by their names in the model file; the network has other names."""
        return {}

    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.net_.parameters())

    def as_layer(self) -> Layer:
        return network_of(self.net_)

    def _build(self) -> None:
        with self.seeded():
            check_memory(self.build)
        with self.seeded(), one_torch_thread():
            self.net_ = self.build()

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Seed PyTorch's generator with the setting `seed`, and restore the generator at the end."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            yield

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Set the network to evaluation mode without gradients, and restore its mode at the end."""
        training = self.net_.training
        if training:
            self.net_.eval()
        try:
            with torch.no_grad(), one_torch_thread(self.net_):
                yield
        finally:
            if training:
                self.net_.train()

    # Files.

    def save(self, path: str | Path) -> None:
        """Write weights, settings and metadata to a model file. A file at `path` is replaced whole or not at all."""
        self.check_fitted()
        metadata = {"schema": SCHEMA, "version": elman.__version__, "task": self.task, "settings": settings_of(self)}
        metadata |= spec_metadata(self.net_)
        write_tensors(Path(path), model_tensors(self.net_) | self.fitted_tensors(), metadata | self.metadata())

    @classmethod
    def from_file(cls, file: ModelFile) -> Self:
        """Return the trained model that `save` wrote.

        Raises:
            ValueError: a setting is out of range, a part is missing, or the tensors do not fit the settings.
        """
        with about_file(file.path):
            model = cls(**parse(cls, file.value("settings", Record), "settings"))
            model.check_settings()
            model.restore(file)
            fitted = model.fitted_tensors()
            weights = {name: tensor for name, tensor in file.tensors.items() if name not in fitted}
            with model.seeded(), one_torch_thread():
                model.net_ = with_tensors(model.build, weights)
        model.net_.eval()
        return model
