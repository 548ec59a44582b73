"""The net of a tagger: words and their spelling, recurrent layers, a score for each tag at each word."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from elman.cells import LSTM, CellModule
from elman.classical.tag_schemes import Allowed
from elman.layers import Bidirectional, Dropout, Embedding, Linear, Stack
from elman.losses import CRFLoss
from elman.sequences import Sequences
from elman.tasks.recurrent import RecurrentSettings
from elman.tasks.words import Spelled


class TaggerNet(nn.Module):
    """Sentences to the score of each tag at each word (Lample et al. 2016, arXiv:1603.01360).

    A word is its embedding, the final states of an LSTM that reads its characters from both ends, and an embedding of
    each tag that is given. Different words are spelled once in a batch.
    """

    def __init__(
        self,
        sizes: tuple[int, int, list[int]],
        num_tags: int,
        allowed: Allowed | None,
        recurrent: RecurrentSettings,
        *,
        bidirectional: bool,
        output: str,
        embedding_size: int,
        character_size: int,
        given_size: int,
        input_dropout: float,
    ):
        super().__init__()
        words, characters, given = sizes
        self.word = Embedding(words, embedding_size, lazy=True)
        nn.init.normal_(self.word.weight, std=0.1)
        self.given = nn.ModuleList(Embedding(size, given_size) for size in given)
        width = embedding_size + len(given) * given_size
        self.spelling: Stack | None = None
        if character_size:
            half = LSTM(character_size, character_size), LSTM(character_size, character_size)
            self.spelling = Stack(Embedding(characters, character_size), Bidirectional(*half))
            width += 2 * character_size
        drops: list[CellModule] = [Dropout(width, input_dropout)] if input_dropout else []
        layers = recurrent.recurrent_layers(width, bidirectional=bidirectional)
        self.body = Stack(*drops, *layers)
        self.readout = Linear(layers.output_size, num_tags)
        self.chain = CRFLoss(num_tags, allowed)
        if output == "softmax":  # what the scheme forbids is all that a chain knows then
            self.chain.requires_grad_(False)

    def forward(self, batch: Spelled) -> Sequences:
        """The scores of the tags, [N, K]."""
        word, spelling, given = batch.tokens.values
        parts: list[Tensor] = [self.word.apply_to(word)]
        parts += [table.apply_to(ids) for table, ids in zip(self.tables(), given.unbind(1), strict=True)]
        if self.spelling is not None:
            _, (_, (first_to_last, last_to_first)) = self.spelling(batch.characters)
            parts.append(torch.cat([first_to_last.h, last_to_first.h], 1).index_select(0, spelling))
        features, _ = self.body(batch.tokens.with_values(torch.cat(parts, 1)))
        return features.map(self.readout.apply_to)

    def tables(self) -> list[Embedding]:
        """The embeddings of the given tags."""
        return [cast(Embedding, table) for table in self.given]

    def spec(self) -> Any:
        """None: a spelling is read from both ends, for which the runtime has no word."""
        return None
