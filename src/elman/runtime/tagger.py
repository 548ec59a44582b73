"""Trained tagger: tags for the words of a sentence, such as named entities and parts of speech."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any, ClassVar, NamedTuple, overload

import numpy as np

from elman.classical import CRF
from elman.classical.tag_schemes import ALIASES, SCHEMES, Allowed, allowed, convert, spans
from elman.classical.tag_spellings import Spelling
from elman.data.examples import Encoded, Examples
from elman.data.rows_and_labels import as_list
from elman.data.spelled_words import Spelled, Words
from elman.data.tokenizer import tokenize
from elman.declared_types import Record, shown
from elman.errors import RowError, RowTypeError, StepError, about_row
from elman.metrics.classes import ClassReport, class_report
from elman.metrics.entities import EntityReport, entity_report
from elman.network import ModelFile
from elman.network.tagger import TaggerNet
from elman.representation import brief
from elman.runtime.model import TrainedModel
from elman.runtime.tagger_stream import TaggerStream
from elman.sequences import Sequences
from elman.settings import check_word

STEPS = 1 << 13  # of a batch in an evaluation
CONVERT = "convert all rows to one scheme (elman.classical.tag_schemes.convert)"
INSIDE = "IOBES"  # the scheme in which spans are learned: it also marks the end of a span and single words


class TaggedWord(NamedTuple):
    """Word of a plain text with its tag: `text[start:stop]` is the word."""

    word: str
    tag: str
    start: int
    stop: int


@dataclass(kw_only=True)
class TrainedTagger(TrainedModel):
    """Trained tagger, which runs without PyTorch.

    Attributes:
        words_: the vocabularies.
        tags_: [K] the tags that the network scores.
        scheme_: the scheme of the tags; None if they do not encode spans.
        spelling_: the spelling of the tags of spans.
        net_: the network.
    """

    task: ClassVar[str] = "tagger"

    # The data.

    def read(self, X: Any, y: Any) -> Examples:
        rows, tags = as_list("Tagger", X), as_list("Tagger", [] if y is None else y)
        for number, row in enumerate(tags):
            if not isinstance(row, Iterable):
                raise RowTypeError(number, f"expected a list of tags, got {brief(row)}.")
        tags = [list(row) for row in tags]
        if len(rows) != len(tags):
            raise ValueError(f"Tagger: expected tags for each of {len(rows)} sentences, got tags for {len(tags)}.")
        for number, (row, of_row) in enumerate(zip(rows, tags, strict=True)):
            if not hasattr(row, "__len__"):
                raise RowTypeError(number, f"expected a list of words, got {type(row).__name__}.")
            if len(row) != len(of_row):
                raise RowError(number, f"expected a tag for each of {len(row)} words, got {len(of_row)} tags.")
            if odd := [tag for tag in of_row if not isinstance(tag, str)]:
                raise RowTypeError(number, f"expected tags that are text, got {type(odd[0]).__name__} {odd[0]!r}.")
        return Examples(rows, tags, keys=tags)

    def _spelled(self, X: Sequence[Sequence[Any]]) -> Encoded:
        """Return sentences as numbers, without tags."""
        data = self.words_.encode(X)
        return Encoded(data, None, data.tokens.lengths)

    def written(self, row: list[str]) -> list[str]:
        """Return the tags of a row in the scheme that the network learns, with the spelling of the training data."""
        return row if self.scheme_ is None else [*map(self.spelling_.write, convert(row, INSIDE, self.scheme_))]

    def _usual(self, row: list[str]) -> list[str]:
        """Return the tags of a row of data in the usual spelling."""
        return [self.spelling_.read(tag) for tag in row]

    # The network.

    def scores(self, batch: Spelled) -> Sequences:
        """Return the scores of the tags at each word of whole sentences, [N, K] float32."""
        scores: Sequences = self.net_.scores(*batch)[0]
        return scores

    @cached_property
    def crf_(self) -> CRF:
        """Weights of transitions between tags, and the scheme that decoding obeys."""
        transitions, start, end = (weights.astype(np.float64) for weights in self.net_.chain)
        return CRF.from_parameters(transitions, start, end, self.rules())

    def rules(self) -> Allowed | None:
        """Return which tags may follow each other; None for all."""
        return None if self.scheme_ is None else allowed(self.tags_, INSIDE)

    # Prediction.

    @overload
    def predict(self, X: str) -> list[TaggedWord]: ...  # type: ignore[overload-overlap]  # a str is a Sequence[str]
    @overload
    def predict(self, X: Sequence[str]) -> list[list[TaggedWord]]: ...
    @overload
    def predict(self, X: Sequence[Sequence[Any]]) -> list[list[str]]: ...

    def predict(self, X: Any) -> Any:
        """Return the most probable tags of each sentence, in the scheme of the training tags.

        Args:
            X: sentences, each a list of words; or plain texts, or a single one, which are split into words and
                punctuation marks by `elman.data.tokenizer.tokenize`. A text is one sentence.
        Returns:
            the tags of each sentence; of a plain text, a `TaggedWord` for each word, with its place in the text.
        """
        self.check_fitted()
        if isinstance(X, str):
            return self.predict([X])[0]
        rows = as_list("Tagger", X)
        if not rows or not all(isinstance(row, str) for row in rows):
            return [self.written(row) for row in self._decoded(self._spelled(rows))]
        if self.words_.given:
            raise ValueError("Tagger.predict: expected words with given tags, as in training, got plain text; give a "
                             "list of tuples, (word, tag, ...), for each sentence.")  # fmt: skip
        texts = [tokenize(text) for text in rows]
        tags = self.predict([[token.text for token in tokens] for tokens in texts])
        return [[TaggedWord(token.text, tag, token.start, token.stop) for token, tag in zip(tokens, own, strict=True)]
                for tokens, own in zip(texts, tags, strict=True)]  # fmt: skip

    def predict_proba(self, X: Sequence[Sequence[Any]]) -> list[np.ndarray]:
        """Return the probability of each of `tags_` at each word given the whole sentence, [T, K] per sentence."""
        self.check_fitted()
        chain = self.crf_

        def marginals(batch: Encoded, _: np.ndarray) -> list[np.ndarray]:
            return chain.marginals(self.scores(batch.inputs)).to_list()

        return self.per_row(self._spelled(as_list("Tagger", X)), STEPS, marginals)

    def stream(self, look_ahead: int = 2) -> TaggerStream:
        """Return a reader at the beginning of a sentence, which tags each word once `look_ahead` more have been read.

        Args:
            look_ahead: later words that a tag may depend on, at least 0. With as many as the sentence has, the tags are
                those of `predict`.
        Raises:
            ValueError: the model reads sentences in both directions, or look_ahead is negative.
        """
        net: Any = self.streaming_layer()
        return TaggerStream(net, self.words_, self.crf_, cache(self._written_after), look_ahead)

    def _written_after(self, before: int, tag: int) -> str:
        """Return a tag in the spelling of the training data, given its number and that of the tag before it, or -1."""
        names = [self.tags_[number] for number in (before, tag) if number >= 0]
        if self.scheme_ is None:
            return names[-1]
        place = len(names) - 1  # a span that began earlier, or that goes on, is written as a whole one
        if names[0][:2] in ("I-", "E-"):
            names.insert(0, "B" + names[0][1:])
            place += 1
        if names[-1][:2] in ("B-", "I-"):
            names.append("E" + names[-1][1:])
        return self.written(names)[place]

    def score(self, X: Sequence[Sequence[Any]], y: Sequence[Sequence[str]] | None = None) -> float:
        """Return the F1 of the spans, or the accuracy of the tags if they do not encode spans."""
        report = self.evaluate(X, y)
        return report.f1 if isinstance(report, EntityReport) else report.accuracy

    def evaluate(
        self, X: Sequence[Sequence[Any]], y: Sequence[Sequence[str]] | None = None
    ) -> EntityReport | ClassReport:
        """Return precision, recall and F1 of each kind of span, or of each tag if they do not encode spans."""
        self.check_fitted()
        examples = self.examples(X, y)
        if self.scheme_ is not None:  # before the model runs
            for number, row in enumerate(examples.targets):
                with about_row(number), way_out(f"{CONVERT}: {self.scheme_}, that of the model"):
                    spans(self._usual(row), self.scheme_, strict=False)
        return self._report(examples.targets, self.predict(examples.inputs))

    def _decoded(self, data: Encoded) -> list[list[str]]:
        """Return the most probable tags in the scheme that the network learns."""
        chain = self.crf_

        def best(batch: Encoded, _: np.ndarray) -> list[list[str]]:
            decoded = chain.decode(self.scores(batch.inputs)).tags
            return [[self.tags_[number] for number in row.tolist()] for row in decoded.to_list()]

        return self.per_row(data, STEPS, best)

    def _report(self, truth: list[list[str]], predicted: list[list[str]]) -> EntityReport | ClassReport:
        if self.scheme_ is not None:
            return entity_report([*map(self._usual, truth)], [*map(self._usual, predicted)], self.scheme_)
        flat, found = ([tag for row in rows for tag in row] for rows in (truth, predicted))
        return class_report(flat, found, self.tags_)

    def learned(self) -> dict[str, Any]:
        return {"words": self.words_.sizes[0], "tags": len(self.tags_), "scheme": self.scheme_}

    # Files.

    def metadata(self) -> dict[str, Any]:
        return {"words": self.words_.to_json(), "labels": self.tags_, "scheme": self.scheme_,
                "spelling": asdict(self.spelling_)}  # fmt: skip

    def restore(self, file: ModelFile) -> None:
        self.words_ = Words.from_json(file.value("words", Record))
        self.tags_, self.scheme_ = file.value("labels", list[str]), file.value("scheme", str | None)
        self.spelling_ = Spelling.from_json(file.value("spelling", Record))
        if self.scheme_ is not None:
            check_word("scheme", self.scheme_, [*SCHEMES, *ALIASES])
        scored = file.tensors.get("readout.bias", np.empty(0)).shape
        if scored != (len(self.tags_),):  # before the rules compare all pairs of tags
            raise ValueError(f"labels: expected as many as scores, {list(scored)}, got {len(self.tags_)}.")
        if len(set(self.tags_)) < len(self.tags_):
            raise ValueError(f"labels: expected different ones, got {shown(self.tags_)}.")

    def check_network(self) -> None:
        if not isinstance(self.net_, TaggerNet):
            raise ValueError(f"spec: expected the network of a tagger, got {self.net_.kind}.")
        self.rules()  # raises unless the tags are those of the scheme
        words, characters, given = self.words_.sizes
        sizes = words, characters if self.net_.sizes[1] else 0, given
        if self.net_.sizes != sizes:
            raise ValueError(f"words: expected tables of {sizes} words, characters and given tags, as in the network, "
                             f"got {self.net_.sizes}.")  # fmt: skip


@contextmanager
def way_out(*others: str) -> Iterator[None]:
    """Re-raise errors about a tag with further ways out in the message."""
    try:
        yield
    except StepError as error:
        message = f"{error.message.removesuffix('.')}; {', '.join(['correct it', *others[:-1]])}, or {others[-1]}."
        raise StepError(error.where, error.step, message) from error
