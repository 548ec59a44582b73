"""A tag for every word of a sentence: named entities, phrases, parts of speech (Huang et al. 2015)."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from elman import state as states
from elman.classical.tag_schemes import Allowed, all_tags, allowed, check_tags, convert
from elman.data.hold_out import hold_out
from elman.data.row_batches import RowBatch, RowBatches, usual_steps
from elman.metrics.classes import ClassReport, class_report
from elman.metrics.entities import EntityReport, entity_report
from elman.nearest import did_you_mean
from elman.runtime import ModelFile
from elman.sequences import Sequences
from elman.state import State
from elman.tasks.labelled import digest
from elman.tasks.probe_loss import AT_MOST, ProbeLoss, few
from elman.tasks.recurrent import RecurrentSettings
from elman.tasks.settings import check_range
from elman.tasks.tagger_net import TaggerNet
from elman.tasks.task import Observers, Task
from elman.tasks.words import UNKNOWN, Spelled, Words

STEPS = 1 << 13  # that an evaluation of the net holds at once
OUTPUTS = "crf", "softmax"
INSIDE = "IOBES"  # the scheme that the net learns spans in: the richest tells it most

logger = logging.getLogger("elman")


@dataclass(kw_only=True)
class Tagger(RecurrentSettings, Task):
    """Reads a sentence and gives every word its tag; spans (names, phrases) come out as the scheme writes them.

    Args:
        scheme: how the tags write spans: `BIO`, `IOB1`, `IOBES`, `BILOU`, or `none` for tags that stand alone; `auto`
            looks at the tags. Spans are learnt in IOBES and written in the scheme they came in; what the scheme does
            not allow is never predicted.
        output: `crf`, which scores a row of tags as a whole (Lafferty et al. 2001), or `softmax`, each tag alone.
        repair: read rows of tags that break their scheme as the CoNLL evaluation reads them, in place of an error.
        bidirectional: read every sentence from both ends.
        embedding_size: features of a word.
        character_size: features of a character, and of each way of reading a spelling; 0 reads no spelling.
        given_size: features of each tag that is given beside a word.
        min_count: rarer words are known by their spelling alone.
        input_dropout: of the features of each word that the recurrent layers read, while training.
        word_dropout: words that are read as unknown while training, as a part of all.
        validation: the part of the sentences that is held out to choose the best weights by, 0 for none.
        batch_steps: words of a batch, of all its sentences together; None for some 32 sentences (`usual_steps`).
        cell, hidden_size, num_layers, dropout, ...: see `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        words_: the vocabularies.
        tags_: [K] the tags that the net scores.
        scheme_: in which tags are read and written; None where they write no spans.
        net_: the `TaggerNet` that was trained.
        held_out_: the sentences that the best weights were chosen by, and their tags.
        result_: how the training ended.
    Example:
        >>> model = Tagger(hidden_size=8, embedding_size=8, epochs=10, learning_rate=0.03, validation=0)
        >>> words, tags = ["Ann", "Lee", "went", "to", "Rome"], ["B-PER", "I-PER", "O", "O", "B-LOC"]
        >>> model.fit([words, words[2:]] * 10, [tags, tags[2:]] * 10).predict([words])
        [['B-PER', 'I-PER', 'O', 'O', 'B-LOC']]
    """

    task: ClassVar[str] = "tagger"

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
    validation: float = 0.1
    batch_steps: int | None = None
    hidden_size: int = 128
    dropout: float = 0.5
    epochs: int = 15

    def fit(
        self,
        X: Sequence[Sequence[Any]],
        y: Sequence[Sequence[str]],
        X_validation: Sequence[Sequence[Any]] | None = None,
        y_validation: Sequence[Sequence[str]] | None = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        observers: Observers = (),
        source: Mapping[str, Any] | None = None,
    ) -> "Tagger":
        """Train on sentences and the tags of their words.

        Args:
            X: sentences: lists of words, or of tuples of a word and tags that are given of it.
            y: a tag a word.
            X_validation, y_validation: sentences to choose the best weights by, in place of the part `validation`.
            run: a folder that keeps everything; it must not exist yet, unless to `resume` what was begun there.
            resume: go on where the run in `run` stopped.
            observers: called with every event of the training.
            source: where the sentences came from, for `config.toml` in the run folder.
        Raises:
            ValueError: a setting that cannot act, or sentences and tags that do not fit together or break the scheme.
            FileExistsError: `run` is there already.
            OSError, NonFinite, Interrupted: as `elman.training.train`.
        """
        self.check_run(run, resume)
        self._check_settings()
        rows, tags = list(X), [list(row) for row in y]
        _check_rows("Tagger.fit", rows, tags)
        held_rows, held_tags = list(X_validation or []), [list(row) for row in y_validation or []]
        _check_rows("Tagger.fit: validation", held_rows, held_tags)
        self.scheme_ = _scheme(self.scheme, tags)
        tags = [self._inside(row, f"row {number}") for number, row in enumerate(tags)]
        held_tags = [self._inside(row, f"validation row {number}") for number, row in enumerate(held_tags)]
        if self.validation and not held_rows:
            train, held = hold_out([0] * len(rows), self.validation, self.seed)
            held_rows, held_tags = [rows[i] for i in held], [tags[i] for i in held]
            rows, tags = [rows[i] for i in train], [tags[i] for i in train]
        self.held_out_ = held_rows, [self._outside(row) for row in held_tags]
        self.tags_ = self._all_tags(tags)
        self.words_ = Words(self.min_count).fit(rows)
        data, held_out = self.words_.encode(rows), self.words_.encode(held_rows)
        targets, held_targets = self._numbers(tags), self._numbers(held_tags)
        self.net_ = self._make_net()
        self._tell(data, held_out)
        steps = self.batch_steps or usual_steps(data.tokens.lengths)
        truth = data.tokens.with_values(targets)
        self.train_in(
            run,
            resume,
            source,
            lambda batch, _: self._loss(data, truth, batch),
            RowBatches(data.tokens.lengths, steps, self.seed),
            (lambda: self._error(held_out, held_tags)) if held_rows else None,
            observers=observers,
            facts={"training": digest(data.tokens, targets), "held_out": digest(held_out.tokens, held_targets)},
        )
        return self

    def predict(
        self, X: Sequence[Sequence[Any]], progress: Callable[[float], object] = lambda part: None
    ) -> list[list[str]]:
        """The most probable tags of each sentence, in the scheme of the training tags."""
        self.check_fitted()
        return [self._outside(row) for row in self._decoded(self.words_.encode(list(X)), progress)]

    def predict_proba(self, X: Sequence[Sequence[Any]]) -> list[np.ndarray]:
        """Of each sentence [T, K], the probability of each of `tags_` at each word, given the whole sentence."""
        self.check_fitted()
        crf = self.net_.chain.crf()
        return [
            row
            for scores in self._scores(self.words_.encode(list(X)))
            for row in crf.marginals(scores.map(lambda x: x.double().numpy())).to_list()
        ]

    def score(self, X: Sequence[Sequence[Any]], y: Sequence[Sequence[str]]) -> float:
        """Entity F1, or the part of the words whose tag is right where tags write no spans."""
        report = self.evaluate(X, y)
        return report.f1 if isinstance(report, EntityReport) else report.accuracy

    def evaluate(
        self,
        X: Sequence[Sequence[Any]],
        y: Sequence[Sequence[str]],
        progress: Callable[[float], object] = lambda part: None,
    ) -> EntityReport | ClassReport:
        """Precision, recall and F1 of each kind of span, or of each tag where tags write no spans."""
        tags = [list(row) for row in y]
        _check_rows("Tagger.evaluate", list(X), tags)
        return self._report(tags, self.predict(X, progress))

    def probe_loss(self, X: Sequence[Sequence[Any]], y: Sequence[Sequence[str]]) -> ProbeLoss:
        self.check_fitted()
        rows = few(np.array([len(row) for row in X[:AT_MOST]]))
        sentences, tags = [X[row] for row in rows], [self._inside(list(y[row]), f"row {row}") for row in rows]
        data, truth = _tensors(self.words_.encode(sentences)), torch.from_numpy(self._numbers(tags))
        words = [word if isinstance(word, str) else word[0] for word in sentences[0]]
        return ProbeLoss(lambda: self._loss_of(data, truth), words)

    # The data.

    def _check_settings(self) -> None:
        check_range(self, 1, math.inf, "hidden_size", "num_layers", "embedding_size", "given_size", "min_count")
        check_range(self, 1, math.inf, "batch_steps")
        check_range(self, 0, math.inf, "character_size")
        check_range(self, 0, 1, "dropout", "input_dropout", "word_dropout", "validation")
        if self.output not in OUTPUTS:
            hint = did_you_mean(self.output, OUTPUTS)
            raise ValueError(f"output: expected one of {', '.join(OUTPUTS)}, got {self.output!r}{hint}")

    def _inside(self, row: list[str], where: str) -> list[str]:
        """A row of tags as the net learns them."""
        if self.scheme_ is None:
            return row
        if not self.repair and self.scheme_ != "IOB1":  # every row of B, I and O can be read as IOB1
            try:
                check_tags(row, self.scheme_, where)
            except ValueError as error:
                raise ValueError(f"{str(error).rstrip('.')}; mend the tags, or read such rows as the CoNLL evaluation "
                                 "does: repair=True, --repair.") from None  # fmt: skip
        return convert(row, self.scheme_, INSIDE, strict=False)

    def _outside(self, row: list[str]) -> list[str]:
        return row if self.scheme_ is None else convert(row, INSIDE, self.scheme_)

    def _all_tags(self, tags: list[list[str]]) -> list[str]:
        found = sorted({tag for row in tags for tag in row})
        if self.scheme_ is not None:
            found = all_tags(sorted({tag.partition("-")[2] for tag in found} - {""}), INSIDE)
        if len(found) < 2:
            raise ValueError(f"Tagger.fit: expected at least two tags, got {found}; nothing is to be told apart.")
        return found

    def _numbers(self, tags: list[list[str]]) -> np.ndarray:
        numbers = {tag: number for number, tag in enumerate(self.tags_)}
        new = next((tag for row in tags for tag in row if tag not in numbers), None)
        if new is not None:
            raise ValueError(f"Tagger.fit: the validation rows have a tag that training lacks, {new!r}; give training "
                             "a row of it, or leave those rows out.")  # fmt: skip
        return np.array([numbers[tag] for row in tags for tag in row], np.int64)

    def _tell(self, data: Spelled, held_out: Spelled) -> None:
        words, characters, _ = self.words_.sizes
        logger.info("%s sentences of %s words, %s different, %d characters; %s held out; %d tags%s",
                    f"{len(data.tokens):,}", f"{data.tokens.num_steps:,}", f"{words:,}", characters,
                    f"{len(held_out.tokens):,}", len(self.tags_),
                    "" if self.scheme_ is None else f", spans in {self.scheme_}")  # fmt: skip
        weights = sum(weight.numel() for weight in self.net_.parameters())
        logger.info("net: %d x %s of %d units, %s output, %s weights", self.num_layers, self.cell, self.hidden_size,
                    self.output, f"{weights:,}")  # fmt: skip

    # The net.

    def _make_net(self) -> TaggerNet:
        with self.seeded():
            net = TaggerNet(
                self.words_.sizes,
                len(self.tags_),
                self._allowed(),
                self,
                bidirectional=self.bidirectional,
                output=self.output,
                embedding_size=self.embedding_size,
                character_size=self.character_size,
                given_size=self.given_size,
                input_dropout=self.input_dropout,
            )
            self.initialize(net)
            return net

    def _allowed(self) -> Allowed | None:
        return None if self.scheme_ is None else allowed(self.tags_, INSIDE)

    def _loss(self, data: Spelled, truth: Sequences, batch: RowBatch) -> tuple[Tensor, State | None]:
        some = _tensors(data.select(batch.rows))
        if self.word_dropout:
            word = some.tokens.values.word
            word = torch.where(torch.rand(len(word)) < self.word_dropout, UNKNOWN, word)
            some = some._replace(tokens=some.tokens.map(lambda tokens: tokens._replace(word=word)))
        return self._loss_of(some, torch.from_numpy(truth.select(batch.rows).values)), None

    def _loss_of(self, data: Spelled, tags: Tensor) -> Tensor:
        scores = self.net_(data)
        found: Tensor = self.net_.chain(scores, tags) if self.output == "crf" else cross_entropy(scores.values, tags)
        return found

    def _scores(self, data: Spelled) -> "list[Sequences]":
        """The scores [N, K] of batches of sentences, in order."""
        batches = RowBatches(data.tokens.lengths, STEPS).epoch(1)
        with self.evaluating():
            return [self.net_(_tensors(data.select(rows))) for rows, _ in batches]

    def _decoded(self, data: Spelled, progress: Callable[[float], object] = lambda part: None) -> list[list[str]]:
        """Tags as the net knows them."""
        found: list[list[str]] = []
        with self.evaluating():
            for rows, _ in RowBatches(data.tokens.lengths, STEPS).epoch(1):
                best = self.net_.chain.decode(self.net_(_tensors(data.select(rows))))
                found += [[self.tags_[number] for number in row.tolist()] for row in best.to_list()]
                progress(len(found) / len(data.tokens))
        return found

    def _error(self, data: Spelled, truth: list[list[str]]) -> float:
        """1 - F1, or the part of the tags that are wrong: what weights are chosen by."""
        rows = ([self._outside(row) for row in tags] for tags in (truth, self._decoded(data)))
        report = self._report(*rows)
        return 1 - (report.f1 if isinstance(report, EntityReport) else report.accuracy)

    def _report(self, truth: list[list[str]], predicted: list[list[str]]) -> EntityReport | ClassReport:
        if self.scheme_ is not None:
            return entity_report(truth, predicted, self.scheme_)
        flat, found = ([tag for row in rows for tag in row] for rows in (truth, predicted))
        return class_report(flat, found, self.tags_)

    # The files.

    def preprocessing(self) -> dict[str, Any]:
        return {"words": self.words_.to_json(), "labels": self.tags_, "scheme": self.scheme_}

    def restore(self, file: ModelFile) -> None:
        self.words_ = Words.from_json(file.metadata["words"])
        self.tags_, self.scheme_ = file.metadata["labels"], file.metadata["scheme"]
        self.net_ = self._make_net()


def _tensors(batch: Spelled) -> Spelled:
    def tensors(part: Sequences) -> Sequences:
        return part.map(lambda values: states.map(torch.from_numpy, values))

    return Spelled(tensors(batch.tokens), tensors(batch.characters))


def _scheme(asked: str, tags: list[list[str]]) -> str | None:
    """The scheme of the tags; None where they write no spans."""
    if asked == "none":
        return None
    if asked != "auto":
        return asked
    different = {tag for row in tags for tag in row}
    letters = {tag.partition("-")[0] for tag in different if tag != "O"}
    if not letters or any("-" not in tag for tag in different if tag != "O") or not letters <= set("BIESLU"):
        return None
    if letters <= set("BI"):
        return min(("BIO", "IOB1"), key=lambda scheme: sum(_breaks(row, scheme) for row in tags))
    return "BILOU" if letters & set("LU") else "IOBES"


def _breaks(row: list[str], scheme: str) -> bool:
    try:
        check_tags(row, scheme)
    except ValueError:
        return True
    return False


def _check_rows(where: str, rows: list[Any], tags: list[list[str]]) -> None:
    if len(rows) != len(tags):
        raise ValueError(f"{where}: expected tags for each of {len(rows)} sentences, got tags for {len(tags)}.")
    for number, (row, of_row) in enumerate(zip(rows, tags, strict=True)):
        if len(row) != len(of_row):
            raise ValueError(f"row {number}: expected a tag for each of {len(row)} words, got {len(of_row)} tags.")
