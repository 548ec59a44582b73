"""The net of a language model: embedding, recurrent layers, read-out."""

import torch

from elman.cells import CELLS
from elman.cells.module import CellModule
from elman.layers import Dropout, Embedding, Linear, Stack, VariationalDropout
from elman.layers.deep import deep

EMBEDDING = 128  # features of a unit where nothing else is asked for


def language_net(
    vocabulary_size: int,
    *,
    cell: str,
    hidden_size: int,
    num_layers: int,
    embedding_size: int | None,
    tie_weights: bool,
    dropout: float,
    embedding_dropout: float,
    variational: bool,
    layer_norm: bool,
    residual: bool,
) -> Stack:
    """ids [N] -> logits [N, V]; the settings are those of `LanguageModel`.

    Raises:
        ValueError: a setting that is unknown or cannot act.
    """
    if cell not in CELLS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {cell!r}.")
    if tie_weights and embedding_size not in (None, hidden_size):
        raise ValueError(f"tie_weights: needs embedding_size={hidden_size} (the hidden_size), got {embedding_size}; "
                         "leave embedding_size out.")  # fmt: skip
    if variational and not dropout and not embedding_dropout:
        raise ValueError("variational: cannot act without dropout; set dropout=0.3, say.")
    size = embedding_size or (hidden_size if tie_weights else EMBEDDING)
    embedding, readout = Embedding(vocabulary_size, size), Linear(hidden_size, vocabulary_size)
    if tie_weights:
        torch.nn.init.normal_(embedding.weight, std=size**-0.5)
        readout.weight = embedding.weight
    drop = VariationalDropout if variational else Dropout
    layers: list[CellModule] = [drop(size, embedding_dropout)] if embedding_dropout else []
    recurrent = deep(
        CELLS[cell], size, hidden_size, num_layers,
        dropout=dropout, variational=variational and dropout > 0, layer_norm=layer_norm, residual=residual,
    )  # fmt: skip
    return Stack(embedding, *layers, *recurrent, readout)
