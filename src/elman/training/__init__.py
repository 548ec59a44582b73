"""Training: one loop for every task, with settings, checkpoints, events and progress."""

from elman.optional_packages import needed_by

with needed_by("elman.training"):
    import torch  # noqa: F401  # the first import of it, for an error that names this module

from elman.training.events import Evaluation, Event, Examined, Score, Update
from elman.training.interrupts import Interrupted
from elman.training.loop import Data, Result
from elman.training.non_finite import NonFinite
from elman.training.progress import Progress
from elman.training.run import train
from elman.training.settings import TrainingSettings
from elman.training.tensors import model_tensors

__all__ = [
    "Data",
    "Evaluation",
    "Event",
    "Examined",
    "Interrupted",
    "NonFinite",
    "Progress",
    "Result",
    "Score",
    "TrainingSettings",
    "Update",
    "model_tensors",
    "train",
]
