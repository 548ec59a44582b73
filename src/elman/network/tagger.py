"""Network of the tagger without PyTorch (Lample et al. 2016, arXiv:1603.01360)."""

from typing import Any

import numpy as np

from elman.network.layer import Layer
from elman.network.spec import LayerSpec
from elman.sequences import Sequences
from elman.state import State


class TaggerNet(Layer):
    """Network from words to the score of each tag at each word.

    The features of a word are its embedding, the final states of a bidirectional layer that reads its characters, and
    an embedding of each given tag. The recurrent layers read them, and the read-out gives the scores.

    Attributes:
        sizes: numbers of words, of characters (0: the spelling is ignored), and of each kind of given tags.
        chain: weights of the transitions [K, K], of the first tag [K] and of the last tag [K].
    """

    kind = "tagger"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        given, spells = spec.setting("given", int), spec.setting("spells", bool)
        spec.check(given >= 0, "a number of given tags of at least 0", given)
        spec.check(len(self.cells) == 3 + given + spells, f"{3 + given + spells} cells", len(self.cells))
        self.word: Any = self.cells[0]
        self.given: list[Any] = self.cells[1 : 1 + given]
        self.spelling: Layer | None = self.cells[1 + given] if spells else None
        self.body, self.readout = self.cells[-2:]
        spec.check(all(cell.reads_ids for cell in self.cells[: 1 + given + spells]), "tables of ids", "features")
        width = sum(cell.output_size for cell in self.cells[: 1 + given + spells])
        spec.check(self.body.input_size == width, f"a body with an input_size of {width}", self.body.input_size)
        spec.check(self.readout.kind == "linear", "a linear read-out", self.readout.kind)
        sizes = [self.body.output_size, self.output_size]
        got = [self.readout.input_size, self.readout.output_size]
        spec.check(got == sizes, f"a read-out from {sizes[0]} to {sizes[1]}", f"{got[0]} to {got[1]}")
        tags = self.output_size
        self.chain = spec.tensor("transitions", tags, tags), spec.tensor("start", tags), spec.tensor("end", tags)
        self.streams = self.body.streams
        spelled = self.spelling.input_size if self.spelling else 0
        self.sizes = self.word.input_size, spelled, [table.input_size for table in self.given]

    def initial_state(self, batch_size: int) -> State:
        return self.body.initial_state(batch_size)

    def scores(self, tokens: Sequences, characters: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        """Return the scores of the tags at each word, [N, K], and the state of the body.

        Args:
            tokens: values (word, spelling, given): ids of words [N], rows of `characters` [N], and given tags [N, E].
            characters: the spellings of the different words, ids [M].
            state: state of the body after earlier words; None at the beginning.
        """
        word, spelling, given = tokens.values
        parts: list[np.ndarray] = [self.word.apply_to(word)]
        parts += [table.apply_to(given[:, number]) for number, table in enumerate(self.given)]
        if self.spelling is not None:
            _, (_, (forward, backward)) = self.spelling.scan(characters)
            parts.append(np.concatenate([forward.h, backward.h], 1)[spelling])
        features, state = self.body.scan(tokens.with_values(np.concatenate(parts, 1)), state)
        return features.map(self.readout.apply_to), state
