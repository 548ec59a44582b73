"""Probability of the next unit of a text, given all units before it (Mikolov et al. 2010)."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from elman.cells import CELLS
from elman.cells.settings import CellSettings
from elman.classical import NGram
from elman.classical.ngram import BELOW
from elman.data.batches import DocumentBatches
from elman.data.documents import CUTS, read_documents, split
from elman.data.examples import PROBE_STEPS, Examples
from elman.data.raw_files import with_line_feeds
from elman.data.readers.labelled import Labelled
from elman.data.rows_and_labels import as_list
from elman.data.units import UNKNOWN, Text, make_units, units_from_json
from elman.data.units.base import check_text
from elman.data.windows import Window, Windows, resume
from elman.data.word_rows import word_rows
from elman.declared_types import Record
from elman.decoding import TextStream
from elman.errors import RowTypeError, about_row
from elman.layers import Embedding, Linear, Stack
from elman.losses import REDUCTIONS, cross_entropy
from elman.losses.cross_entropy import unit_cross_entropy
from elman.metrics import Comparison, Likelihood, MinimalPairs, Surprisal
from elman.metrics.surprisal import minimal_pairs
from elman.network import ModelFile
from elman.settings import check_range, check_word
from elman.state import State
from elman.tasks import ngram_baseline
from elman.tasks.base import Task, logger, perplexity
from elman.tasks.probe import ProbeLoss
from elman.tasks.recurrent import RecurrentSettings
from elman.training import Score

EMBEDDING = 128  # features of a unit by default
LOGITS = 1 << 22  # of a window in an evaluation

Texts = Text | Path | Sequence[Text | Path]


@dataclass(kw_only=True)
class LanguageModel(RecurrentSettings, Task):
    """Model that reads a text unit by unit and gives the distribution of the next unit. It can generate text.

    `fit` takes documents: a text, the `Path` of a file, or a list of either. Each is read from its beginning to its
    end. Validation data are documents too. Every line end (CR LF, CR) is read as a line feed, except by `bytes`.

    Args:
        documents: document in a file that X names: the whole `file`, each `line`, or each paragraph between `blank`
            lines.
        units: units of the text: `bytes`, `characters`, `words` or `bpe`.
        vocabulary_size: largest number of units (not for bytes); None for the default of the units.
        min_count: units seen fewer times are `<unk>` (characters, words); None for the default of the units.
        embedding_size: features of a unit; None for 128, or for hidden_size if tied.
        tie_weights: share the weights of embedding and read-out (Press and Wolf 2017, arXiv:1608.05859).
        embedding_dropout: dropout rate of the embedded units in training, 0 for none.
        streams: rows that are read in parallel, B; fewer if the text has less than `steps` units for each.
        steps: steps of truncated BPTT, U; None for whole documents (full BPTT), with `streams` times 100 steps in a
            batch.
        shuffle: read the documents in another order in every epoch, and cut the windows at other places.
        reduction: `mean` over the steps of a window, or their `sum` divided by the streams (full BPTT: by the
            documents).
        validation: share of the text that is held out to choose the best weights, 0 for none.
        ngram_order: order of the n-gram that is fitted as a baseline; None for the default of the units, 0 for none.
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        units_: the fitted units.
        net_: the trained `Stack`.
        ngram_: the n-gram, or None.
        held_out_: the held-out texts.
        result_: how the training ended.
    Example:
        >>> model = LanguageModel(hidden_size=16, epochs=1, steps=10, streams=4, ngram_order=2, validation=0)
        >>> model.fit("abcabcabcabc" * 20).evaluate("abcabc").units
        7
    """

    task: ClassVar[str] = "language-model"
    network_settings: ClassVar[Sequence[str]] = (
        "units",
        "vocabulary_size",
        "min_count",
        "embedding_size",
        "tie_weights",
    )

    documents: str = "file"
    units: str = "characters"
    vocabulary_size: int | None = None
    min_count: int | None = None
    embedding_size: int | None = None
    tie_weights: bool = False
    embedding_dropout: float = 0.0
    streams: int = 32
    steps: int | None = 100
    shuffle: bool = True
    reduction: str = "mean"
    validation: float = 0.05
    ngram_order: int | None = None

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_word("documents", self.documents, CUTS)
        check_word("reduction", self.reduction, REDUCTIONS)
        check_range(self, 1, math.inf, "embedding_size", "streams", "steps")
        check_range(self, 0, BELOW["order"], "ngram_order")
        check_range(self, 0, 1, "embedding_dropout")
        if self.tie_weights and self.embedding_size not in (None, self.hidden_size):
            raise ValueError(f"tie_weights: needs embedding_size={self.hidden_size} (the hidden_size), got "
                             f"{self.embedding_size}; leave it out.")  # fmt: skip

    def variational_rates(self) -> tuple[float, ...]:
        return (*super().variational_rates(), self.embedding_dropout)

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        return Labelled(list(files), None, [str(file) for file in files])

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

    def split(self, examples: Examples) -> tuple[Examples, Examples]:
        training, held_out = split(list(examples.inputs), self.validation, self.seed)
        return Examples(training, files=examples.files), Examples(held_out)

    def prepare(self, examples: Examples) -> None:
        units = make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        self.units_ = units.fit(list(examples.inputs))

    def encode(self, examples: Examples) -> list[np.ndarray]:
        return [self.units_.encode(text) for text in examples.inputs]

    def describe(self, data: list[np.ndarray], held_out: list[np.ndarray]) -> str:
        sizes = [f"{sum(map(len, part)):,} units in {len(part):,} document{'s' * (len(part) != 1)}"
                 for part in (data, held_out)]  # fmt: skip
        return f"training text: {sizes[0]}; held out: {sizes[1]}; a vocabulary of {self.units_.size:,} units"

    # The network.

    def build(self) -> Stack:
        size = self.embedding_size or (self.hidden_size if self.tie_weights else EMBEDDING)
        embedding, readout = Embedding(self.units_.size, size), Linear(self.hidden_size, self.units_.size)
        if self.tie_weights:
            torch.nn.init.normal_(embedding.weight, std=size**-0.5)
            readout.weight = embedding.weight
        drops = self.input_dropouts(size, self.embedding_dropout)
        net = Stack(embedding, *drops, *self.recurrent_layers(size), readout)
        self.initialize(net)
        return net

    def batches(self, data: list[np.ndarray]) -> Windows | DocumentBatches:
        ids = np.concatenate(data)
        if len(ids) < (self.steps or 1):
            raise ValueError(f"text: {len(ids)} {self.units} to train on, less than one window of {self.steps}; give "
                             "more text, or a lower setting of steps.")  # fmt: skip
        if (ids == ids[0]).all():
            raise ValueError(f"text: {len(ids)} {self.units}, all of them {self.units_.decode(ids[:1])!r}; expected at "
                             "least two different ones.")  # fmt: skip
        return self._windows(data, self.seed if self.shuffle else None)

    def loss(self, batch: Window, state: State | None) -> tuple[Tensor, State | None]:
        logits, targets, state = self._logits(batch, state)
        return cross_entropy(logits, targets, self.reduction, batch.streams), state

    def validate(self, data: list[np.ndarray]) -> Score:
        """Return the perplexity of words or BPE units, or the nats per unit of characters or bytes.

        As in training, the text is read in streams of at least one window, or in whole documents.
        """
        windows = self._windows(data)
        streams = windows.streams if isinstance(windows, Windows) else 1
        nats = self._nats(data, streams) / windows.num_steps
        return Score("nats per unit", nats) if self.units in ("characters", "bytes") else perplexity(nats)

    def _windows(self, data: list[np.ndarray], seed: int | None = None) -> Windows | DocumentBatches:
        if self.steps is None:
            return DocumentBatches(data, self.streams * 100, seed)
        total = sum(map(len, data))
        return Windows(data, min(self.streams, max(1, total // self.steps)), self.steps, seed)

    def _logits(self, window: Window, state: State | None) -> tuple[Tensor, Tensor, State]:
        """Return the logits and the targets of a window, and the state after it."""
        inputs = window.inputs.map(torch.from_numpy)
        logits, state = self.net_(inputs, resume(window.source, state, self.net_))
        return logits.values, torch.from_numpy(window.targets), state

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
        figures = {CELLS[CellSettings.of(self.cell).kind].__name__: self.evaluate(X, streams=streams)}
        if self.ngram_ is not None:
            figures[f"{self.ngram_.order}-gram"] = self.evaluate_ngram(X)
        return Comparison(figures)

    def surprisal(self, X: Texts) -> Surprisal:
        """Return the surprisal of each word, in bits, and that of the n-gram if there is one.

        The model reads every text from its beginning; no context is carried from one to the next. The sum over a text,
        its end `</s>` included, is the negative log-probability that `evaluate` reports.

        A word ends where white space or the end of the text follows, and that event belongs to the word, whichever the
        units are, so that the probabilities of all words add up to one (Oh and Schuler 2024, arXiv:2406.10851;
        Pimentel and Meister 2024, arXiv:2406.14561). Which white space it is belongs to the next word.

        Args:
            X: documents, as for `fit`.
        Example:
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

    def probe_loss(self, X: Texts, y: Any = None) -> ProbeLoss:
        return self._probe(X, 8)

    def probe_row(self, rows: list[str]) -> ProbeLoss:
        return self._probe(rows, 1)

    def _probe(self, X: Texts, streams: int) -> ProbeLoss:
        """Return the loss of the first steps of the texts, in at most this number of streams."""
        self.check_fitted()
        data = self.encode(self.examples(X, None))
        total = sum(map(len, data))
        if not total:
            raise ValueError("LanguageModel.probe_loss: expected a text, got an empty one.")
        streams = min(streams, max(1, total // 50))
        window = Windows(data, streams, 1 + min(PROBE_STEPS, total) // streams)[0]
        texts = [self.units_.decode([unit]) for unit in window.inputs.to_list()[0].tolist()]
        return ProbeLoss(lambda: cross_entropy(*self._logits(window, None)[:2]), {"": texts})

    def stream(self) -> TextStream:
        """Return a reader at the beginning of a text, which gives the distribution of the next unit after each unit.

        It keeps the weights as they are now.
        """
        self.check_fitted()
        if self.net_.streams_natively():
            return TextStream.of(self.net_.stepper(output="log_probs"), self.units_)
        return TextStream(self._read_unit, self.net_.initial_state(1), self.units_)

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
            seed: of the random choice.
        Raises:
            ValueError: a unit of the prompt is not in the vocabulary, or a setting is out of range.
        """
        return self.stream().generate(
            prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )

    def _nats(self, data: list[np.ndarray], streams: int) -> float:
        """Return the negative log-probability of texts, their ends included."""
        with self.evaluating():
            return sum(cross_entropy(*step, "sum").item() for step in self._evaluated(data, streams))

    def _unit_costs(self, data: list[np.ndarray]) -> np.ndarray:
        """Return -log p of each unit, and of the end of the word before it, in nats, [2, N]."""
        follows = torch.from_numpy(self.units_.follows_word)
        with self.evaluating():
            costs = [unit_cross_entropy(*step, follows).numpy() for step in self._evaluated(data, 1)]
        return np.concatenate(costs, axis=1, dtype=np.float64)

    def _evaluated(self, data: list[np.ndarray], streams: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield logits and targets of windows, and report the progress. The caller sets the evaluation mode."""
        state = None
        windows = Windows(data, streams, max(1, LOGITS // self.units_.size // streams))
        for number, window in enumerate(windows, start=1):
            logits, targets, state = self._logits(window, state)
            yield logits, targets
            self.report_progress(number / len(windows))

    def _read_unit(self, unit: int, state: State) -> tuple[np.ndarray, State]:
        with self.evaluating():
            logits, state = self.net_.step(torch.tensor([unit]), state)
        return logits[0].double().log_softmax(-1).numpy(), state

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

    def learned(self) -> dict[str, Any]:
        return {self.units_.name: self.units_.size}

    # The baseline.

    def fit_baseline(self, data: list[np.ndarray], folder: Path | None, verbose: bool | int | None) -> None:
        order = ngram_baseline.ORDERS[self.units] if self.ngram_order is None else self.ngram_order
        self.ngram_ = None
        if order == 0:
            return
        logger.info("fitting the baseline, a %d-gram", order)
        self.ngram_ = NGram(self.units_.size, order).fit(data, verbose=verbose)
        if folder:
            ngram_baseline.write(folder, self.ngram_, self.metadata())
        if self.held_out_:
            baseline = self.evaluate_ngram(self.held_out_)
            logger.info("%d-gram on the held-out part: %.4f nats, %.4f bits a character", order,
                        baseline.nats_per_character, baseline.bits_per_character)  # fmt: skip

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {"units": self.units_.to_json()}

    def restore(self, file: ModelFile) -> None:
        self.units_ = units_from_json(file.value("units", Record))
        self.ngram_ = ngram_baseline.read(file, self.units_.size)
