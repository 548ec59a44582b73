"""Trained language model: the probability of the next unit of a text, given all units before it."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from elman.data.documents import CUTS, read_documents
from elman.data.examples import Examples
from elman.data.raw_files import with_line_feeds
from elman.data.rows_and_labels import as_list
from elman.data.units import UNKNOWN, Text, units_from_json
from elman.data.units.base import check_text
from elman.data.windows import Window, Windows, resume
from elman.data.word_rows import word_rows
from elman.declared_types import Record
from elman.errors import RowTypeError, about_row
from elman.metrics import Comparison, Likelihood, MinimalPairs, Surprisal
from elman.metrics.surprisal import minimal_pairs
from elman.network import Layer, ModelFile
from elman.network.recurrent import GRU, LSTM, RNN
from elman.network.windows import MinGRU, WindowNet
from elman.runtime import ngram_baseline
from elman.runtime.model import TrainedModel
from elman.runtime.text_stream import TextStream
from elman.runtime.unit_costs import unit_costs
from elman.settings import check_word
from elman.state import State

LOGITS = 1 << 22  # of a window in an evaluation

RECURRENT = RNN, LSTM, GRU, MinGRU, WindowNet

Texts = Text | Path | Sequence[Text | Path]


@dataclass(kw_only=True)
class TrainedLanguageModel(TrainedModel):
    """Trained language model, which runs without PyTorch.

    Args:
        documents: document in a file that X names: the whole `file`, each `line`, or each paragraph between `blank`
            lines.
        units: units of the text: `bytes`, `characters`, `words` or `bpe`.
    Attributes:
        units_: the fitted units.
        ngram_: the n-gram, or None.
        net_: the network.
    """

    task: ClassVar[str] = "language-model"
    instead: ClassVar[dict[str, str]] = {**TrainedModel.instead, "predict": "use generate, surprisal or evaluate"}

    documents: str = "file"
    units: str = "characters"

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_word("documents", self.documents, CUTS)

    def read(self, X: Texts, y: Any = None) -> Examples:
        if y is not None:
            raise TypeError("LanguageModel: expected documents without targets, got y; give other documents to "
                            "validate on as validation_data.")  # fmt: skip
        if isinstance(X, str) and os.path.isfile(X):
            raise ValueError(f"text: {X!r} is the name of a file; to read the file, give Path({X!r}).")
        if not isinstance(X, Iterable | Path):
            raise TypeError(f"LanguageModel: expected a text, the Path of a file, or a list of them, got "
                            f"{type(X).__name__}.")  # fmt: skip
        documents = [X] if isinstance(X, str | bytes | Path) else as_list("LanguageModel", X)
        how: Any = ("bytes" if self.units == "bytes" else "utf-8", self.documents)
        texts = [text for item in documents
                 for text in (read_documents(item, *how) if isinstance(item, Path) else [item])]  # fmt: skip
        for number, text in enumerate(texts):
            if not isinstance(text, str | bytes):
                raise RowTypeError(number, f"expected a document that is text, got {type(text).__name__}.")
            with about_row(number):
                check_text("", text, (str, bytes))
        if self.units != "bytes":
            texts = [with_line_feeds(text) if isinstance(text, str) else text for text in texts]
        return Examples(texts, files=[str(item.resolve()) for item in documents if isinstance(item, Path)])

    def encode(self, examples: Examples) -> list[np.ndarray]:
        return [self.units_.encode(text) for text in examples.inputs]

    def learned(self) -> dict[str, Any]:
        return {self.units_.name: self.units_.size}

    # The network.

    def costs(self, window: Window, state: State | None, units: np.ndarray) -> tuple[np.ndarray, State]:
        """Return the costs of the steps of a window, as `unit_costs`, and the state after it.

        Args:
            state: the state after the window before it; None for the first window.
            units: [V] bool, the units of the event whose cost is the second one.
        """
        y, state = self.net_.scan(window.inputs, resume(window.source, state, self.net_))
        return unit_costs(y.values, window.targets, units), state

    @property
    def cell_name(self) -> str:
        """Class of the recurrent layers, for reports."""
        found = (type(layer).__name__ for layer in _inside(self.net_) if isinstance(layer, RECURRENT))
        return next(found, "network")

    # The trained model.

    def evaluate(self, X: Texts, y: Any = None, *, streams: int = 1) -> Likelihood:
        """Return the likelihood of texts.

        Args:
            X: documents, as for `fit`.
            streams: cut the text into this many streams that are read in parallel. That is faster, but each stream
                begins without context. With 1, every document is read from its beginning to its end.
        """
        self.check_fitted()
        return self._likelihood(self.examples(X, y), lambda data: self._nats(data, streams))

    def evaluate_ngram(self, X: Texts) -> Likelihood:
        """Return the likelihood of texts according to the n-gram, the baseline.

        Raises:
            ValueError: there is no n-gram.
        """
        if self.ngram_ is None:
            raise ValueError("LanguageModel.evaluate_ngram: there is no n-gram; fit with another ngram_order than 0.")
        return self._likelihood(self.examples(X), partial(ngram_baseline.nats, self.ngram_))

    def compare(self, X: Texts, *, streams: int = 1) -> Comparison:
        """Return the likelihood of texts according to the model, and to the n-gram if there is one.

        Args:
            X, streams: as for `evaluate`.
        """
        figures = {self.cell_name: self.evaluate(X, streams=streams)}
        if self.ngram_ is not None:
            figures[f"{self.ngram_.order}-gram"] = self.evaluate_ngram(X)
        return Comparison(figures)

    def surprisal(self, X: Texts) -> Surprisal:
        """Return the surprisal of each word, in bits, and that of the n-gram if there is one.

        The model reads every text from its beginning; no context is carried from one to the next. The sum over a text,
        its end `</s>` included, is the negative log-probability that `evaluate` reports.

        A word ends where white space or the end of the text follows. For all kinds of units, that event belongs to the
        word, so that the probabilities of all words add up to one (Oh and Schuler 2024, arXiv:2406.10851;
        Pimentel and Meister 2024, arXiv:2406.14561). The kind of white space belongs to the next word.

        Args:
            X: documents, as for `fit`.
        Example:
            >>> from elman import LanguageModel
            >>> model = LanguageModel(hidden_size=16, epochs=1, steps=10, streams=4, ngram_order=2, validation=0)
            >>> model.fit("a cat sat; " * 30).surprisal(["a cat", "a dog"])["word"].tolist()
            ['a', 'cat', '</s>', 'a', 'dog', '</s>']
        """
        self.check_fitted()
        texts = self.examples(X).inputs
        if not len(texts):
            raise ValueError("LanguageModel.surprisal: expected at least one text, got none.")
        data = [self.units_.encode(text) for text in texts]
        rows = word_rows(self.units_, texts, data)
        costs = {"surprisal": self._unit_costs(data)}
        if self.ngram_ is not None:
            costs["ngram_surprisal"] = ngram_baseline.unit_costs(self.ngram_, data, self.units_.follows_word)
        bits = {name: rows.sums(*pair) / math.log(2) for name, pair in costs.items()}
        return Surprisal({"document": rows.text, "position": rows.position, "word": rows.words, **bits,
                          "units": rows.units, "unknown": rows.unknown})  # fmt: skip

    def minimal_pairs(self, good: Text | Sequence[Text], bad: Text | Sequence[Text]) -> MinimalPairs:
        """Compare pairs of texts, the first of which should be more probable.

        Args:
            good, bad: P texts each, or one; `bad[i]` differs from `good[i]` in what is tested.
        Raises:
            TypeError: an item is not a text.
            ValueError: good and bad differ in length, or are empty.
        """
        where = "LanguageModel.minimal_pairs"
        good, bad = ([texts] if isinstance(texts, str | bytes) else as_list(where, texts) for texts in (good, bad))
        for item in (*good, *bad):
            if not isinstance(item, str | bytes):
                raise TypeError(f"{where}: expected texts, got {type(item).__name__}.")
        if len(good) != len(bad) or not good:
            raise ValueError(f"{where}: expected as many good texts as bad ones, and at least one, got {len(good)} and "
                             f"{len(bad)}.")  # fmt: skip
        return minimal_pairs(good, bad, self.surprisal([*good, *bad]).per_document())

    def score(self, X: Texts, y: Any = None) -> float:
        """Return minus the nats per character."""
        return -self.evaluate(X, y).nats_per_character

    def stream(self) -> TextStream:
        """Return a reader at the beginning of a text, which gives the distribution of the next unit after each unit.

        It keeps the weights as they are now.
        """
        return TextStream(self.streaming_layer(), self.units_)

    def generate(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> Iterator[str]:
        """Continue a prompt: yield pieces of text, up to `length` units or the end of the text.

        Args:
            length: units at most.
            temperature: below 1 prefers probable units, above 1 improbable ones.
            top_k: sample from the `top_k` most probable units; None for all.
            top_p: sample from the most probable units that have this probability together; None for all.
            seed: seed of the random choices.
        Raises:
            ValueError: a unit of the prompt is not in the vocabulary, or a setting is out of range.
        """
        return self.stream().generate(
            prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )

    def _nats(self, data: list[np.ndarray], streams: int) -> float:
        """Return the negative log-probability of texts, their ends included."""
        every = np.ones(self.units_.size, bool)
        with self.evaluating():
            return sum(float(costs[0].sum()) for costs in self._costs(data, streams, every))

    def _unit_costs(self, data: list[np.ndarray]) -> np.ndarray:
        """Return -log p of each unit, and of the end of the word before it, in nats, [2, N]."""
        with self.evaluating():
            return np.concatenate([*self._costs(data, 1, self.units_.follows_word)], axis=1)

    def _costs(self, data: list[np.ndarray], streams: int, units: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the costs of windows, and report the progress. The caller prepares the network."""
        state = None
        windows = Windows(data, streams, max(1, LOGITS // self.units_.size // streams))
        for number, window in enumerate(windows, start=1):
            costs, state = self.costs(window, state, units)
            yield costs
            self.report_progress(number / len(windows))

    def _likelihood(self, examples: Examples, nats: Callable[[list[np.ndarray]], float]) -> Likelihood:
        data = self.encode(examples)
        return Likelihood(
            nats=nats(data),
            units=sum(map(len, data)) + len(data),
            characters=sum(
                len(text if isinstance(text, str) else text.decode(errors="replace")) for text in examples.inputs
            ),
            unknown=sum(int((ids == UNKNOWN).sum()) for ids in data) if self.units_.has_unknown else 0,
        )

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {"units": self.units_.to_json()}

    def restore(self, file: ModelFile) -> None:
        self.units_ = units_from_json(file.value("units", Record))
        self.ngram_ = ngram_baseline.read(file, self.units_.size)

    def check_network(self) -> None:
        net, size = self.net_, self.units_.size
        if not net.reads_ids or (net.input_size, net.output_size) != (size, size):
            raise ValueError(f"spec: expected a model that reads and predicts {size} units, got {net!r}.")


def _inside(layer: Layer) -> Iterator[Layer]:
    """Yield a layer and all layers inside it."""
    yield layer
    for cell in layer.cells:
        yield from _inside(cell)
