"""Network of the tagger."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from elman import state as states
from elman.cells import LSTM, CellModule
from elman.classical.tag_schemes import Allowed
from elman.data.spelled_words import Spelled
from elman.layers import Bidirectional, Dropout, Embedding, Linear, Stack
from elman.losses import CRFLoss
from elman.sequences import Sequences

OUTPUT_LAYERS = "readout", "chain"  # of a `TaggerNet`


class TaggerNet(nn.Module):
    """Network from sentences to the score of each tag at each word (Lample et al. 2016, arXiv:1603.01360).

    The features of a word are its embedding, the final states of an LSTM that reads its characters in both directions,
    and an embedding of each given tag. A word that occurs several times in a batch is spelled once.

    Args:
        settings: those of a `Tagger`.
        sizes: numbers of words, of characters, and of each kind of given tags.
        num_tags: K.
        rules: which tags may follow each other; None for all.
    """

    streams = False  # reads whole sequences

    def __init__(self, settings: Any, sizes: tuple[int, int, list[int]], num_tags: int, rules: Allowed | None):
        super().__init__()
        words, characters, given = sizes
        self.word = Embedding(words, settings.embedding_size, lazy=True)
        nn.init.normal_(self.word.weight, std=0.1)
        self.given = nn.ModuleList(Embedding(size, settings.given_size) for size in given)
        width = settings.embedding_size + len(given) * settings.given_size
        self.spelling: Stack | None = None
        if size := settings.character_size:
            directions = LSTM(size, size), LSTM(size, size)
            self.spelling = Stack(Embedding(characters, size), Bidirectional(*directions))
            width += 2 * size
        drops: list[CellModule] = [Dropout(width, settings.input_dropout)] if settings.input_dropout else []
        layers = settings.recurrent_layers(width, bidirectional=settings.bidirectional)
        self.body = Stack(*drops, *layers)
        self.readout = Linear(layers.output_size, num_tags)
        self.chain = CRFLoss(num_tags, rules)
        if settings.output == "softmax":  # the chain only forbids tags then
            self.chain.requires_grad_(False)

    def forward(self, batch: Spelled) -> Sequences:
        """Return the scores of the tags, [N, K]."""
        word, spelling, given = batch.tokens.values
        parts: list[Tensor] = [self.word.apply_to(word)]
        parts += [cast(Embedding, table).apply_to(ids)
                  for table, ids in zip(self.given, given.unbind(1), strict=True)]  # fmt: skip
        if self.spelling is not None:
            _, (_, (forward, backward)) = self.spelling(batch.characters)
            parts.append(torch.cat([forward.h, backward.h], 1).index_select(0, spelling))
        features, _ = self.body(batch.tokens.with_values(torch.cat(parts, 1)))
        return features.map(self.readout.apply_to)


def as_tensors(batch: Spelled) -> Spelled:
    """Return a batch of NumPy arrays as tensors."""

    def tensors(part: Sequences) -> Sequences:
        return part.map(lambda values: states.map(torch.from_numpy, values))

    return Spelled(tensors(batch.tokens), tensors(batch.characters))
