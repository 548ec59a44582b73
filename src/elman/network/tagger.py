"""Network of the tagger without PyTorch (Lample et al. 2016, arXiv:1603.01360)."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from elman import state as states
from elman.arrays import namespace, take
from elman.network.layer import Layer
from elman.network.no_spec import NoSpec
from elman.network.spec import LayerSpec
from elman.network.stepper import Stepper
from elman.sequences import Sequences
from elman.state import State

OTHER_INPUT = "reads words with their spellings and given tags"


class BaseTaggerNet:
    """Base of the networks of taggers in NumPy and in PyTorch, from words to the score of each tag at each word.

    The features of a word are its embedding, an embedding of each given tag, and the final states of a bidirectional
    layer that reads its characters. The recurrent layers read them, and the read-out gives the scores.

    Attributes:
        word: table of words.
        given: a table for each kind of given tags.
        spelling: layers that read the characters of a word; None if the spelling is ignored.
        body: the recurrent layers.
        readout: features to scores.
    """

    word: Any
    given: Any
    spelling: Any
    body: Any
    readout: Any

    def scores(self, tokens: Sequences, characters: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        """Return the scores of the tags at each word, [N, K], and the state of the body.

        Args:
            tokens: values (word, spelling, given): ids of words [N], rows of `characters` [N], and given tags [N, E].
            characters: the spellings of the different words, ids [M].
            state: state of the body after earlier words; None at the beginning.
        """
        word, spelling, given = tokens.values
        parts = [self.word.apply_to(word)]
        parts += [table.apply_to(given[:, number]) for number, table in enumerate(self.given)]
        if self.spelling is not None:
            _, (_, (forward, backward)) = self.spelling.scan(characters)
            parts.append(take(namespace(forward.h).concatenate([forward.h, backward.h], 1), spelling))
        features = tokens.with_values(namespace(parts[0]).concatenate(parts, 1))
        features, state = self.body.scan(features, state)
        return features.map(self.readout.apply_to), state


class TaggerNet(BaseTaggerNet, Layer):
    """Network of a tagger. As a layer it has the state of its body.

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
        self.word, self.given = self.cells[0], self.cells[1 : 1 + given]
        self.spelling = self.cells[1 + given] if spells else None
        self.body, self.readout = self.cells[-2:]
        spec.check(all(cell.kind == "embedding" for cell in self.cells[: 1 + given]), "tables of ids", "other layers")
        spec.check(not spells or _reads_both_ways(self.spelling), "an LSTM in both directions as its spelling",
                   "other layers")  # fmt: skip
        width = sum(cell.output_size for cell in self.cells[: 1 + given + spells])
        spec.check_shapes(self.body, (width,), (self.body.output_size,))
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

    def scan(self, sequences: Sequences, state: State | None = None) -> NoReturn:
        raise ValueError(f"TaggerNet.scan: {OTHER_INPUT}; use predict of the trained model.")

    def check_streams(self, verb: str) -> NoReturn:
        raise ValueError(f"TaggerNet.{verb}: {OTHER_INPUT}; use stream of the trained model.")

    def reads_whole(self) -> NoSpec:
        return self.body.reads_whole().inside("body")


class WordFeatures:
    """Function that returns the features of one word, which the body reads, with a step per character.

    Args:
        net: the network.
    """

    def __init__(self, net: TaggerNet):
        self._tables, self._directions = [table.weight for table in (net.word, *net.given)], list[Stepper]()
        if net.spelling is not None:
            characters, both = net.spelling.cells
            self._characters, self._directions = characters.weight, [cell.stepper(1) for cell in both.cells]
        self._starts = [(leaf, leaf.copy()) for one in self._directions for leaf in states.leaves(one.state)]

    def __call__(self, ids: Sequence[int], characters: np.ndarray) -> np.ndarray:
        """Return the features of a word, [D].

        Args:
            ids: the id of the word, and those of its given tags.
            characters: ids of its characters.
        """
        parts = [table[number] for table, number in zip(self._tables, ids, strict=True)]
        for leaf, start in self._starts:
            leaf[...] = start
        for stepper, order in zip(self._directions, (1, -1), strict=False):
            given = stepper.input[0]
            for features in self._characters[characters[::order]]:
                given[...] = features
                stepper()
            parts.append(stepper.state.h[0].copy())
        return np.concatenate(parts)


def _reads_both_ways(layer: Any) -> bool:
    """Return whether a layer is an embedding of characters and an LSTM in both directions."""
    kinds = [cell.kind for cell in (*layer.cells, *(inner for cell in layer.cells for inner in cell.cells))]
    return bool(layer.kind == "stack" and kinds == ["embedding", "bidirectional", "lstm", "lstm"])
