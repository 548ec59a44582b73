"""The net of a language model: embedding, recurrent layers, read-out."""

import torch

from elman.cells import CellModule
from elman.layers import Dropout, Embedding, Linear, Stack, VariationalDropout
from elman.tasks.recurrent import RecurrentSettings

EMBEDDING = 128  # features of a unit where nothing else is asked for


def language_net(
    vocabulary_size: int,
    recurrent: RecurrentSettings,
    *,
    embedding_size: int | None,
    tie_weights: bool,
    embedding_dropout: float,
) -> Stack:
    """ids [N] -> logits [N, V]; the settings are those of `LanguageModel`.

    Raises:
        ValueError: a setting that is unknown or cannot act.
    """
    hidden_size = recurrent.hidden_size
    if tie_weights and embedding_size not in (None, hidden_size):
        raise ValueError(
            f"tie_weights: needs embedding_size={hidden_size} (the hidden_size), got {embedding_size}; leave it out."
        )
    if recurrent.variational and not recurrent.dropout and not embedding_dropout:
        raise ValueError("variational: cannot act without dropout; set dropout=0.3, say.")
    size = embedding_size or (hidden_size if tie_weights else EMBEDDING)
    embedding, readout = Embedding(vocabulary_size, size), Linear(hidden_size, vocabulary_size)
    if tie_weights:
        torch.nn.init.normal_(embedding.weight, std=size**-0.5)
        readout.weight = embedding.weight
    drop = VariationalDropout if recurrent.variational else Dropout
    drops: list[CellModule] = [drop(size, embedding_dropout)] if embedding_dropout else []
    net = Stack(embedding, *drops, *recurrent.recurrent_layers(size), readout)
    recurrent.initialize(net)
    return net
