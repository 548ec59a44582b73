"""Training of a tagger (Huang et al. 2015, arXiv:1508.01991)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elman.classical import CRF
from elman.classical.tag_schemes import ALIASES, SCHEMES, all_tags, check_tags, convert
from elman.classical.tag_spellings import Spelling, detect_scheme, detect_spelling, span_tags
from elman.data import readers
from elman.data.examples import Batch, Encoded, Examples
from elman.data.readers.labelled import Labelled
from elman.data.rows_and_labels import label_numbers
from elman.data.spelled_words import UNKNOWN, Spelled, Words
from elman.data.tokenizer import tokenize
from elman.errors import about_row
from elman.metrics.entities import EntityReport
from elman.runtime.tagger import CONVERT, INSIDE, TrainedTagger, way_out
from elman.sequences import Sequences
from elman.settings import check_range, check_word
from elman.state import State
from elman.tasks.base import Task, logger
from elman.tasks.probe import ProbeLoss
from elman.tasks.recurrent import RecurrentSettings
from elman.tasks.tagger_net import OUTPUT_LAYERS, TaggerNet, as_tensors
from elman.training import Score

OUTPUTS = "crf", "softmax"
NO_SPANS = "set scheme=none (--set scheme=none) if the tags do not encode spans"
REPAIR = "set repair=True (--repair) to read tags as the CoNLL evaluation does"


@dataclass(kw_only=True)
class Tagger(TrainedTagger, RecurrentSettings, Task):
    """Model that gives every word of a sentence its tag. Spans (names, phrases) are written as their scheme demands.

    `fit` takes sentences, each a list of words, or of tuples of a word and given tags, and one tag per word.

    Args:
        scheme: how tags write spans: `BIO`, `IOB1`, `IOBES`, `BILOU`, `BMES`, or `none` for tags that stand alone;
            `auto` detects it. Spans are learnt in IOBES and written in their own scheme, which is never broken, and in
            the spelling of the training data (`B-PER`, `PER-B`, `b_per`, `B`, `name=B-PER`).
        output: `crf` scores the tags of a sentence together (Lafferty et al. 2001), `softmax` each tag alone.
        repair: read tags that break their scheme as the CoNLL evaluation does, instead of raising an error.
        bidirectional: read every sentence in both directions.
        embedding_size: features of a word.
        character_size: features of a character, and of each direction of the spelling; 0 ignores the spelling.
        given_size: features of each tag that is given with a word.
        min_count: words seen fewer times are represented by their spelling alone.
        input_dropout: dropout rate of the features that the recurrent layers read, in training.
        word_dropout: share of the words that are replaced by the unknown word in training.
        validation: share of the sentences that is held out to choose the best weights, 0 for none.
        batch_steps: words of a batch, all sentences together; None for about 32 sentences.
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        words_: the vocabularies.
        tags_: [K] the tags that the network scores.
        scheme_: the scheme of the tags; None if they do not encode spans.
        spelling_: the spelling of the tags of spans.
        net_: the trained `TaggerNet`.
        held_out_: the held-out sentences and their tags.
        result_: how the training ended.
    Example:
        >>> model = Tagger(hidden_size=8, embedding_size=8, epochs=10, learning_rate=0.03, validation=0)
        >>> words, tags = ["Ann", "Lee", "went", "to", "Rome"], ["B-PER", "I-PER", "O", "O", "B-LOC"]
        >>> model.fit([words, words[2:]] * 10, [tags, tags[2:]] * 10).predict([words])
        [['B-PER', 'I-PER', 'O', 'O', 'B-LOC']]
    """

    network_settings: ClassVar[Sequence[str]] = ("output", "bidirectional", "embedding_size", "character_size",
                                                 "given_size", "min_count")  # fmt: skip

    scheme: str = "auto"
    output: str = "crf"
    repair: bool = False
    bidirectional: bool = True
    embedding_size: int = 100
    character_size: int = 32
    given_size: int = 32
    min_count: int = 1
    input_dropout: float = 0.5
    word_dropout: float = 0.05
    batch_steps: int | None = None
    hidden_size: int = 128
    dropout: float = 0.5
    epochs: int = 15

    # The data.

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "embedding_size", "given_size", "min_count", "batch_steps")
        check_range(self, 0, math.inf, "character_size")
        check_range(self, 0, 1, "input_dropout", "word_dropout")
        check_word("output", self.output, OUTPUTS)
        check_word("scheme", self.scheme, ["auto", "none", *SCHEMES, *ALIASES])

    @classmethod
    def read_files(cls, files: Sequence[Path], **options: Any) -> Labelled:
        columns = options.get("word"), options.get("tag")
        return readers.read_tagged(files, columns=columns, extra=options.get("given", ()))

    def prepare(self, examples: Examples) -> None:
        self._set_tags(examples)
        self.words_ = Words(self.min_count).fit(examples.inputs)

    def _set_tags(self, examples: Examples) -> None:
        """Set the tags, their scheme and their spelling."""
        tags = examples.targets
        spelling = None if self.scheme == "none" else detect_spelling(tags)
        self.spelling_ = spelling or Spelling()
        if self.scheme != "auto":
            self.scheme_ = None if self.scheme == "none" else self.scheme
        else:
            self.scheme_ = None if spelling is None else detect_scheme([*map(self._usual, tags)])
            if self.scheme_ is None and (some := span_tags(tags)):
                logger.warning("most tags do not write spans, so that %s counts as a tag like any other; if some tags "
                               "have errors, correct them, or set scheme=BIO, which names them", some[0])  # fmt: skip
        found = sorted({tag for number, row in enumerate(tags) for tag in self._inside(number, row)})
        if self.scheme_ is not None:
            found = all_tags(sorted({tag.partition("-")[2] for tag in found} - {""}), INSIDE)
        if len(found) < 2:
            raise ValueError(f"Tagger.fit: expected at least two tags, got {found}; a model needs two to distinguish.")
        self.tags_ = found

    def adapt(self, examples: Examples) -> Sequence[str]:
        before = self.tags_
        self._set_tags(examples)
        if not set(self.tags_) <= set(before):
            return OUTPUT_LAYERS
        self.tags_ = before
        return ()

    def extend(self, held_out: Examples) -> None:
        if len(held_out) and not any(map(len, held_out.inputs)):
            raise ValueError(f"Tagger.fit: expected words to validate on, got {len(held_out)} empty sentences; give "
                             "other validation data, or set validation=0.")  # fmt: skip

    def encode(self, examples: Examples) -> Encoded:
        inside = list(starmap(self._inside, enumerate(examples.targets)))
        tags = label_numbers(inside, self.tags_, "tag", shown=examples.targets)
        data = self._spelled(examples.inputs)
        return Encoded(data.inputs, data.inputs.tokens.with_values(tags), data.steps)

    def describe(self, data: Encoded, held_out: Encoded) -> str:
        words, characters, _ = self.words_.sizes
        spans = " of single words" if self.scheme_ is None else f", spans in {self.scheme_}{self.spelling_.note}"
        return (f"{len(data):,} sentences of {data.steps.sum():,} words, {words:,} different, {characters} characters; "
                f"{len(held_out):,} held out; {len(self.tags_)} tags{spans}")  # fmt: skip

    def _inside(self, number: int, row: list[str]) -> list[str]:
        """Return the tags of row `number` in the scheme that the network learns."""
        if self.scheme_ is None:
            return row
        tags = self._usual(row)
        with about_row(number):
            with way_out(CONVERT, NO_SPANS):
                inside = convert(tags, self.scheme_, INSIDE, strict=False)
            if not self.repair and self.scheme_ != "IOB1":  # all rows of B, I and O are valid in IOB1
                with way_out(REPAIR, NO_SPANS):
                    check_tags(tags, self.scheme_)
            return inside

    # The network.

    def build(self) -> TaggerNet:
        net = TaggerNet(self, self.words_.sizes, len(self.tags_), self.rules())
        self.initialize(net)
        return net

    def network(self) -> str:
        return f"{super().network()}, {self.output} output"

    def loss(self, batch: Batch, state: State | None) -> Tensor:
        some = as_tensors(batch.examples.inputs)
        if self.word_dropout:
            word = some.tokens.values.word
            word = torch.where(torch.rand(len(word)) < self.word_dropout, UNKNOWN, word)
            some = some._replace(tokens=some.tokens.map(lambda tokens: tokens._replace(word=word)))
        return self._tag_loss(some, torch.from_numpy(batch.examples.targets.values))

    def _tag_loss(self, data: Spelled, tags: Tensor) -> Tensor:
        scores = self.net_(data)
        return self.net_.chain(scores, tags) if self.output == "crf" else cross_entropy(scores.values, tags)

    def validate(self, data: Encoded) -> Score:
        truth = [[self.tags_[number] for number in row.tolist()] for row in data.targets.to_list()]
        report = self._report(*([self.written(row) for row in tags] for tags in (truth, self._decoded(data))))
        if isinstance(report, EntityReport):
            return Score("F1", report.f1, higher_is_better=True)
        return Score("accuracy", report.accuracy, higher_is_better=True, unit="%")

    # The trained model.

    def scores(self, batch: Spelled) -> Sequences:
        return self.net_(as_tensors(batch)).map(lambda values: values.numpy())

    @property
    def crf_(self) -> CRF:
        return self.net_.chain.crf()

    def probe_row(self, rows: list[Any]) -> ProbeLoss:
        words = [[token.text for token in tokenize(row)] if isinstance(row, str) else row for row in rows]
        return super().probe_row(words)

    def probe_loss(self, X: Any, y: Any = None) -> ProbeLoss:
        data = self.few_rows(X, y)
        words = [word if isinstance(word, str) else word[0] for word in X[0]]
        tags = torch.from_numpy(data.targets.values)
        return ProbeLoss(partial(self._tag_loss, as_tensors(data.inputs), tags), {"body": words})
