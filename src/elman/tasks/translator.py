"""One text in, another out: translation, spelling to sound, summaries (Sutskever et al. 2014; Bahdanau et al. 2015)."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.data.hold_out import hold_out
from elman.data.row_batches import RowBatches, usual_steps
from elman.data.units import UNKNOWN, make_units
from elman.decoding import Hypothesis, Sampling
from elman.metrics.references import as_references
from elman.metrics.translation import TranslationReport, translation_report
from elman.runtime import ModelFile
from elman.sequences import Sequences
from elman.state import State
from elman.tasks.encoder_decoder import EncoderDecoder
from elman.tasks.pair_units import PairUnits
from elman.tasks.pairs import PairBatch, PairBatches, Pairs
from elman.tasks.probe_loss import AT_MOST, ProbeLoss, few
from elman.tasks.search import Asked, Search
from elman.tasks.settings import check_range
from elman.tasks.task import Observers
from elman.tasks.translator_net import translator_net
from elman.tasks.writer import Writer

STEPS = 1 << 13  # of sources and targets that an evaluation holds at once
SEARCHED = 1 << 14  # of sources that a search holds at once, for each of its hypotheses

logger = logging.getLogger("elman")


class Alignment(NamedTuple):
    """Where the decoder looked when it wrote."""

    source: list[str]  # its S units
    target: list[str]  # its T units, the end among them as ''
    weights: np.ndarray  # [T, S], every line of which sums to 1


@dataclass(kw_only=True)
class Translator(Writer):
    """Reads a text and writes another: an encoder from both ends, a decoder that attends to it.

    Args:
        units: what sources are made of: `bpe`, `words`, `characters` or `bytes`.
        target_units: the same of targets; None for those of sources.
        vocabulary_size, target_vocabulary_size: at most this many units; None for the default of the units, and for the
            targets for that of the sources.
        shared_vocabulary: one vocabulary for both, fitted on both.
        min_count: rarer units become `<unk>` (characters, words); None for the default of the units.
        lowercase: read and write lower case.
        copy_unknown: where `<unk>` would be written, write the word of the source that is looked at most (Luong et al.
            2015, arXiv:1410.8206); of words on both sides. Otherwise `<unk>` is never written.
        source_limit: units of a source that are read; the rest is left out.
        target_limit: pairs whose target has more units are left out of the training.
        bidirectional: the encoder reads from both ends.
        encoder_size: features of each direction of the encoder.
        validation: the part of the pairs that is held out to choose the best weights by, 0 for none.
        batch_steps: units of a batch, both sides together; None for some 64 pairs.
        attention, label_smoothing, hidden_size, ...: see `DecoderSettings` and `RecurrentSettings`.
        epochs, learning_rate, optimizer, ...: see `TrainingSettings`.
    Attributes:
        units_: the fitted units of both sides, a `PairUnits`.
        longest_: units of the longest target that was trained on.
        net_: the `EncoderDecoder` that was trained.
        held_out_: the pairs that the best weights were chosen by.
        result_: how the training ended.
    Example:
        >>> model = Translator(units="characters", hidden_size=32, encoder_size=16, epochs=60, validation=0, dropout=0,
        ...                    embedding_size=16, embedding_dropout=0, output_dropout=0, label_smoothing=0)
        >>> model.fit(["ab", "ba", "aab"] * 8, ["xy", "yx", "xxy"] * 8).predict(["ba"])
        ['yx']
    """

    task: ClassVar[str] = "translator"

    units: str = "bpe"
    target_units: str | None = None
    vocabulary_size: int | None = None
    target_vocabulary_size: int | None = None
    shared_vocabulary: bool = False
    min_count: int | None = None
    lowercase: bool = False
    copy_unknown: bool = True
    source_limit: int = 1000
    target_limit: int = 1000
    bidirectional: bool = True
    encoder_size: int = 256
    validation: float = 0.05
    batch_steps: int | None = None
    hidden_size: int = 256
    epochs: int = 15

    def fit(
        self,
        X: Sequence[str],
        y: Sequence[str],
        X_validation: Sequence[str] | None = None,
        y_validation: Sequence[str] | None = None,
        *,
        run: str | Path | None = None,
        resume: bool = False,
        observers: Observers = (),
        source: Mapping[str, Any] | None = None,
    ) -> "Translator":
        """Train on pairs of texts.

        Args:
            X: the sources.
            y: the target of each.
            X_validation, y_validation: pairs to choose the best weights by, in place of the part `validation`.
            run: a folder that keeps everything; it must not exist yet, unless to `resume` what was begun there.
            resume: go on where the run in `run` stopped.
            observers: called with every event of the training.
            source: where the pairs came from, for `config.toml` in the run folder.
        Raises:
            ValueError: a setting that cannot act, or pairs that do not fit together or are empty.
            FileExistsError: `run` is there already.
            OSError, NonFinite, Interrupted: as `elman.training.train`.
        """
        self.check_run(run, resume)
        self._check_settings()
        rows = self._checked("fit", X, y)
        held_sources, held_targets = ([] if given is None else given for given in (X_validation, y_validation))
        held = self._checked("fit: validation", held_sources, held_targets, "validation row")
        if self.validation and not held:
            sources = sorted({source for source, _ in rows})  # of one with several targets, all go one way
            if len(sources) < 2:
                raise ValueError(f"{type(self).__name__}.fit: expected two different sources, one of them to hold out, "
                                 f"got {len(sources)}; give more pairs, or set validation=0.")  # fmt: skip
            out = {sources[number] for number in hold_out([0] * len(sources), self.validation, self.seed)[1]}
            rows, held = [pair for pair in rows if pair[0] not in out], [pair for pair in rows if pair[0] in out]
        self.held_out_ = [pair[0] for pair in held], [pair[1] for pair in held]
        self.units_ = self._make_units().fit(*zip(*rows, strict=True))
        data, held_out = self._without_long(self._pairs(rows)), self._pairs(held)
        self.longest_ = int(data.targets.lengths.max(initial=1))
        self.net_ = self._make_net()
        self._tell(data, held_out)
        steps = self.batch_steps or 2 * usual_steps(data.steps)
        self.train_in(
            run,
            resume,
            source,
            lambda batch, _: self._loss(data, batch),
            PairBatches(data.sources.lengths, data.targets.lengths, steps, self.epochs, self.seed),
            (lambda: self._nats_per_unit(held_out)) if held else None,
            observers=observers,
            facts={"training": data.digest(), "held_out": held_out.digest()},
        )
        return self

    def n_best(
        self, X: Sequence[str], n: int, progress: Callable[[float], object] = lambda part: None, **search: Any
    ) -> list[list[tuple[str, float]]]:
        """The `n` best targets of each source with the score of each, best first; of an empty source the empty one.

        Args:
            progress: called with the part that is done, 0 to 1.
            search: how to search: see `elman.tasks.search.Search`, `beam=5` unless said otherwise.
        """
        how = Search.of(search)
        return self._found(X, how, lambda asked: how.best(asked, n), progress)

    def sample(
        self, X: Sequence[str], *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
        seed: int = 0, **search: Any,
    ) -> list[str]:  # fmt: skip
        """A target of each source, drawn unit by unit."""
        how, sampling = Search.of(search), Sampling(temperature, top_k, top_p)
        generator = np.random.default_rng(seed)
        found = self._found(X, how, lambda asked: how.drawn(asked, sampling, generator), lambda part: None)
        return [text for ((text, _),) in found]

    def align(self, X: Sequence[str], y: Sequence[str]) -> list[Alignment]:
        """Where the decoder looks when it writes each target."""
        self.check_fitted()
        pairs = self._pairs(self._checked("align", X, y))
        found: dict[int, Alignment] = {}
        for rows, batch in self._batches(pairs):
            with self.evaluating():
                attention = self.net_.attention_weights(
                    self._begin(batch.sources), np.arange(len(rows)), batch.targets.to_list()
                )
            parts = zip(rows.tolist(), batch.sources.to_list(), batch.targets.to_list(), attention, strict=True)
            for row, source, target, weights in parts:
                words = self.units_.each_source(source), [*self.units_.each_target(target), ""]
                found[row] = Alignment(*words, weights)
        return [found[row] for row in range(len(found))]

    def log_probs(self, X: Sequence[str], y: Sequence[str]) -> np.ndarray:
        """The log-probability of each target given its source, float64 [B], in nats."""
        self.check_fitted()
        pairs = self._pairs(self._checked("log_probs", X, y))
        return self._log_probs(pairs)

    def evaluate(
        self,
        X: Sequence[str],
        y: Sequence[Any],
        progress: Callable[[float], object] = lambda part: None,
        *,
        lowercase: bool = False,
        **search: Any,
    ) -> TranslationReport:
        """BLEU, chrF and more of what is predicted.

        Args:
            X: the sources.
            y: the reference of each, or a list of several.
            lowercase: compare in lower case.
            search: as for `predict`.
        """
        references = as_references(f"{type(self).__name__}.evaluate", X, y)
        return translation_report(self.predict(X, progress, **search), references, lowercase or self.lowercase)

    def probe_loss(self, X: Sequence[str], y: Sequence[Any]) -> ProbeLoss:
        self.check_fitted()
        references = as_references(f"{type(self).__name__}.probe_loss", X, y)[:AT_MOST]
        pairs = self._pairs(self._checked("probe_loss", X[:AT_MOST], [of_one[0] for of_one in references]))
        pairs = pairs.select(few(pairs.steps))
        return ProbeLoss(lambda: self.net_.loss(self._begin(pairs.sources), pairs.targets)[0])

    # The data.

    def _check_settings(self) -> None:
        self.check_decoder()
        check_range(self, 1, math.inf, "encoder_size", "batch_steps", "source_limit", "target_limit")
        check_range(self, 0, 1, "validation")
        if self.shared_vocabulary and self.target_units not in (None, self.units):
            raise ValueError(f"shared_vocabulary: cannot act with units={self.units} and target_units="
                             f"{self.target_units}; leave one of them out.")  # fmt: skip
        if self.shared_vocabulary and self.target_vocabulary_size is not None:
            raise ValueError("shared_vocabulary: cannot act with a target_vocabulary_size; leave one of them out.")

    def _checked(self, where: str, X: Sequence[str], y: Sequence[str], row: str = "row") -> list[tuple[str, str]]:
        """The pairs, none of them empty.

        Args:
            where: the method that was given them.
            row: what errors call one.
        """
        where = f"{type(self).__name__}.{where}"
        for name, texts in (("X", X), ("y", y)):
            if isinstance(texts, str):
                raise TypeError(f"{where}: expected {name} to be a list of texts, got one text; put it in a list.")
        if len(X) != len(y):
            raise ValueError(f"{where}: expected a target for each of {len(X)} sources, got {len(y)}.")
        for number, pair in enumerate(zip(X, y, strict=True)):
            for side, text in zip(("source", "target"), pair, strict=True):
                if not isinstance(text, str):
                    raise TypeError(f"{row} {number}: expected a {side} that is text, got {type(text).__name__}.")
                if not text.strip():
                    raise ValueError(f"{row} {number}: the {side} is empty; leave the pair out.")
        return list(zip(X, y, strict=True))

    def _make_units(self) -> PairUnits:
        source = make_units(self.units, vocabulary_size=self.vocabulary_size, min_count=self.min_count)
        if self.shared_vocabulary:
            return PairUnits(source, source, self.lowercase)
        size = self.target_vocabulary_size or self.vocabulary_size
        target = make_units(self.target_units or self.units, vocabulary_size=size, min_count=self.min_count)
        return PairUnits(source, target, self.lowercase)

    def _sources(self, texts: Sequence[str]) -> Sequences:
        """Encoded, and cut where they are too long."""
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"row {row}: expected a source that is text, got {type(text).__name__}.")
        whole = self.units_.encode_sources(texts)
        if not (long := int((whole.lengths > self.source_limit).sum())):
            return whole
        logger.warning("%d of %d sources have more than %d units: what comes after is left out (source_limit)",
                       long, len(whole), self.source_limit)  # fmt: skip
        kept = np.flatnonzero(whole.times < self.source_limit)
        return Sequences(whole.values[kept], np.minimum(whole.lengths, self.source_limit))

    def _pairs(self, rows: list[tuple[str, str]]) -> Pairs:
        sources, targets = ([pair[side] for pair in rows] for side in (0, 1))
        return Pairs(self._sources(sources), self.units_.encode_targets(targets))

    def _without_long(self, data: Pairs) -> Pairs:
        kept = np.flatnonzero(data.targets.lengths <= self.target_limit)
        if len(kept) == len(data.targets):
            return data
        logger.warning("%d of %d pairs are left out: their targets have more than %d units (target_limit)",
                       len(data.targets) - len(kept), len(data.targets), self.target_limit)  # fmt: skip
        if not len(kept):
            raise ValueError(f"target_limit: no target has {self.target_limit} units or less; set it higher.")
        return data.select(kept)

    def _tell(self, data: Pairs, held_out: Pairs) -> None:
        logger.info("%s pairs of %s and %s units (%s and %s different); %s pairs held out", f"{len(data.sources):,}",
                    f"{data.sources.num_steps:,}", f"{data.targets.num_steps:,}", f"{self.units_.source.size:,}",
                    f"{self.units_.target.size:,}", f"{len(held_out.sources):,}")  # fmt: skip
        weights = sum(weight.numel() for weight in self.net_.parameters())
        logger.info("net: %d x %s of %d units, attention: %s, %s weights", self.num_layers, self.cell,
                    self.hidden_size, self.attention, f"{weights:,}")  # fmt: skip

    # The net.

    def _make_net(self) -> EncoderDecoder:
        with self.seeded():
            return translator_net(self.units_.source.size, self.units_.target.size, self,
                                  encoder_size=self.encoder_size, bidirectional=self.bidirectional)  # fmt: skip

    def _begin(self, sources: Sequences) -> State:
        return self.net_.begin(sources.map(torch.from_numpy))

    def _loss(self, data: Pairs, batch: PairBatch) -> tuple[Tensor, State | None]:
        pairs = data.select(batch.rows)
        loss, _ = self.net_.loss(self._begin(pairs.sources), pairs.targets, self.teacher_forcing(batch.part))
        return loss, None

    def _batches(self, data: Pairs) -> "list[tuple[np.ndarray, Pairs]]":
        """Pairs of about the same length together: the numbers of the rows, and the rows."""
        order = np.argsort(data.steps, kind="stable")
        return [(order[rows], data.select(order[rows])) for rows, _ in RowBatches(data.steps[order], STEPS).epoch(1)]

    def _log_probs(self, data: Pairs) -> np.ndarray:
        found = np.zeros(len(data.sources))
        with self.evaluating():
            for rows, batch in self._batches(data):
                found[rows] = self.net_.log_probs(self._begin(batch.sources), batch.targets)
        return found

    def _nats_per_unit(self, data: Pairs) -> float:
        return -self._log_probs(data).sum() / (data.targets.num_steps + len(data.targets))

    def _found(
        self,
        X: Sequence[str],
        how: Search,
        search: Callable[[Asked], list[list[Hypothesis]]],
        progress: Callable[[float], object],
    ) -> list[list[tuple[str, float]]]:
        """The texts that a search finds for each source, and their scores."""
        self.check_fitted()
        if isinstance(X, str):
            raise TypeError(f"{type(self).__name__}.predict: expected a list of texts, got one text; put it in a list.")
        how.check_rows(len(X))
        sources = self._sources(X)
        found = [[("", 0.0)] for _ in X]
        order = np.argsort(sources.lengths, kind="stable")
        order = order[sources.lengths[order] > 0]
        done = 0
        with self.evaluating():
            for part, _ in RowBatches(sources.lengths[order], max(1, SEARCHED // how.beam)).epoch(1):
                rows = order[part]
                batch = sources.select(rows)
                begun = self._begin(batch)
                usual = np.minimum(2 * batch.lengths + 10, 2 * self.longest_).tolist()
                constraints = how.constraints(self.units_.target, rows, self._never(), self.units_.encode_targets)
                attention = None if self.attention == "none" else partial(self.net_.attention_weights, begun)
                best = search(Asked(self.net_.step, begun, rows.tolist(), usual, constraints, attention))
                texts = self._texts(begun, [X[row] for row in rows], best)
                for row, of_row, hypotheses in zip(rows, texts, best, strict=True):
                    found[row] = [(text, one.score) for text, one in zip(of_row, hypotheses, strict=True)]
                done += len(rows)
                progress(done / len(order))
        return found

    def _never(self) -> list[int]:
        """Units that are never written."""
        return [UNKNOWN] if self.units_.target.has_unknown and not self._copies() else []

    def _copies(self) -> bool:
        both = self.units_.source.name == self.units_.target.name == "words"
        return self.copy_unknown and both and self.attention != "none"

    def _texts(self, begun: State, sources: list[str], found: list[list[Hypothesis]]) -> list[list[str]]:
        """Hypotheses as texts, with the word of the source that was looked at most in place of `<unk>`."""
        units = [one.units for best in found for one in best]
        texts = [self.units_.decode(ids) for ids in units]
        rows = np.repeat(np.arange(len(found)), [len(best) for best in found])
        copying = [number for number, ids in enumerate(units) if self._copies() and (ids == UNKNOWN).any()]
        if copying:
            attention = self.net_.attention_weights(begun, rows[copying], [units[number] for number in copying])
            for number, weights in zip(copying, attention, strict=True):
                texts[number] = self.units_.decode_copying(units[number], sources[rows[number]], weights)
        rest = iter(texts)
        return [[next(rest) for _ in best] for best in found]

    # The files.

    def preprocessing(self) -> dict[str, Any]:
        return {**self.units_.to_json(), "longest_target": self.longest_}

    def restore(self, file: ModelFile) -> None:
        self.units_ = PairUnits.from_json(file.metadata, self.lowercase)
        self.longest_ = file.metadata["longest_target"]
        self.net_ = self._make_net()
