"""Layers that read the encoded rows of each kind of inputs, and random changes of rows in training."""

from functools import singledispatch

import numpy as np
import torch

from elman.arrays import tensor
from elman.cells import CellModule
from elman.data.units import UNKNOWN
from elman.inputs import Frames, Inputs, InputSettings, Series, Skeletons, TextInputs
from elman.layers import Deviations, Differences, Dropout, Embedding, FrameEncoder
from elman.sequences import Sequences


@singledispatch
def input_layers(inputs: Inputs, settings: InputSettings) -> list[CellModule]:
    """Return new layers that read encoded rows; an empty list if the recurrent layers can."""
    raise NotImplementedError(f"{type(inputs).__name__} has no layers")


@input_layers.register
def _(inputs: TextInputs, settings: InputSettings) -> list[CellModule]:
    size = settings.embedding_size or 256
    embedding = Embedding(inputs.units.size, size, lazy=True)
    torch.nn.init.normal_(embedding.weight, std=0.1)
    return [embedding, *_dropout(inputs, settings, size)]


@input_layers.register
def _(inputs: Series, settings: InputSettings) -> list[CellModule]:
    size, layers = inputs.input_size, list[CellModule]()
    if settings.deviations:
        layers.append(Deviations(size))
    if isinstance(inputs, Skeletons) if settings.differences is None else settings.differences:
        scale = torch.from_numpy(np.concatenate([inputs.change, np.ones(len(inputs.missing))])).float()
        layers.append(Differences(size, scale))
        size *= 2
    return [*layers, *_dropout(inputs, settings, size)]


@input_layers.register
def _(inputs: Frames, settings: InputSettings) -> list[CellModule]:
    layers, (channels, height, width) = list[CellModule](), inputs.shape
    if settings.deviations:
        layers.append(Deviations(inputs.shape))
    if settings.differences is not False:
        layers.append(Differences(inputs.shape))
        channels *= 2
    size = settings.embedding_size or 128
    return [*layers, FrameEncoder(channels, height, width, size), *_dropout(inputs, settings, size)]


def _dropout(inputs: Inputs, settings: InputSettings, size: int) -> list[CellModule]:
    """Return the dropout of the features that the recurrent layers read, in a list that is empty for a rate of 0."""
    words = isinstance(inputs, TextInputs) and inputs.kind == "words"
    rate = (0.7 if words else 0.3) if settings.input_dropout is None else settings.input_dropout
    return [Dropout(size, rate)] if rate else []


def augmented(inputs: Inputs, settings: InputSettings, sequences: Sequences) -> Sequences:
    """Return randomly changed rows for training, drawn from PyTorch's generator."""
    if isinstance(inputs, TextInputs):
        rate = settings.word_dropout if inputs.units.has_unknown else 0.0
        return sequences.map(lambda ids: torch.where(torch.rand(len(ids)) < rate, UNKNOWN, ids)) if rate else sequences
    if isinstance(inputs, Frames) and settings.shift:
        sequences = shifted(sequences, settings.shift)
    if isinstance(inputs, Skeletons) and settings.turn:
        sequences = turned(inputs, sequences, settings.turn)
    if settings.step_dropout:
        sequences = without_steps(sequences, settings.step_dropout)
    if settings.noise:
        sequences = sequences.map(lambda x: x + settings.noise * torch.randn_like(x))
    return sequences


def shifted(sequences: Sequences, most: int) -> Sequences:
    """Return the frames of each row translated by up to `most` pixels, all alike; the edge is repeated."""
    x = sequences.values
    moves = torch.randint(-most, most + 1, (2, len(sequences)))[:, tensor(sequences.rows), None]
    y, x_ = ((torch.arange(size) + move).clamp(0, size - 1) for size, move in zip(x.shape[2:], moves, strict=True))
    moved = x[torch.arange(len(x))[:, None, None], :, y[:, :, None], x_[:, None, :]]  # [N, H, W, C]
    return sequences.with_values(moved.movedim(3, 1))


def turned(inputs: Skeletons, sequences: Sequences, degrees: float) -> Sequences:
    """Return each row rotated at random about each axis, with this standard deviation."""
    mean, scale = (torch.from_numpy(array).float() for array in (inputs.mean, inputs.scale))
    angles = np.radians(degrees) / 2**0.5 * torch.randn(len(sequences), *2 * [inputs.dimensions])
    turns = torch.linalg.matrix_exp(angles - angles.mT)[tensor(sequences.rows)]  # [N, 2, 2] or [N, 3, 3]
    joints = (sequences.values * scale + mean).view(len(turns), -1, inputs.dimensions)
    return sequences.with_values(((joints @ turns).flatten(1) - mean) / scale)


def without_steps(sequences: Sequences, part: float) -> Sequences:
    """Return the rows without a random share of their steps; at least one step of each row stays."""
    keep = torch.rand(sequences.num_steps).numpy() >= part
    lengths = sequences.lengths
    starts = sequences.offsets[:-1][lengths > 0]
    empty = np.add.reduceat(keep, starts) == 0 if len(starts) else np.zeros(0, bool)
    keep[starts[empty]] = True
    steps = torch.from_numpy(np.flatnonzero(keep))
    return Sequences(sequences.values[steps], np.bincount(sequences.rows[keep], minlength=len(lengths)))
