"""Network of the tagger."""

from typing import Any

import torch
from torch import nn

from elman import state as states
from elman.cells import LSTM, CellModule
from elman.cells.spec import Names, spec_of
from elman.classical.tag_schemes import Allowed
from elman.data.spelled_words import Spelled
from elman.layers import Bidirectional, Dropout, Embedding, Linear, Stack
from elman.losses import CRFLoss
from elman.network.spec import Spec
from elman.network.tagger import BaseTaggerNet
from elman.sequences import Sequences

OUTPUT_LAYERS = "readout", "chain"  # of a `TaggerNet`


class TaggerNet(BaseTaggerNet, nn.Module):
    """Network from sentences to the score of each tag at each word (Lample et al. 2016, arXiv:1603.01360).

    The features of a word are its embedding, the final states of an LSTM that reads its characters in both directions,
    and an embedding of each given tag. A word that occurs several times in a batch is spelled once.

    Args:
        settings: those of a `Tagger`.
        sizes: numbers of words, of characters, and of each kind of given tags.
        num_tags: K.
        rules: which tags may follow each other; None for all.
    """

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
        self.streams = self.body.streams
        self.readout = Linear(layers.output_size, num_tags)
        self.chain = CRFLoss(num_tags, rules)
        if settings.output == "softmax":  # the chain only forbids tags then
            self.chain.requires_grad_(False)

    def spec(self, names: Names | None = None) -> Spec:
        """Return the description that `elman.network` runs.

        Raises:
            NoSpec: a layer has no layer type in `elman.network`.
        """
        given = [f"given.{number}" for number in range(len(self.given))]
        spelling = [] if self.spelling is None else ["spelling"]
        spec = spec_of(self, "tagger", names, "word", *given, *spelling, "body", "readout",
                       input_size=self.word.input_size, output_size=self.readout.output_size,
                       given=len(given), spells=bool(spelling))  # fmt: skip
        chain = {name.removeprefix("chain."): place for name, place in spec["tensors"].items()}
        return spec | {"tensors": {name: chain[name] for name in ("transitions", "start", "end")}}

    def forward(self, batch: Spelled) -> Sequences:
        """Return the scores of the tags, [N, K]."""
        return self.scores(*batch)[0]


def as_tensors(batch: Spelled) -> Spelled:
    """Return a batch of NumPy arrays as tensors."""

    def tensors(part: Sequences) -> Sequences:
        return part.map(lambda values: states.map(torch.from_numpy, values))

    return Spelled(tensors(batch.tokens), tensors(batch.characters))
