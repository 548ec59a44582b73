"""Surprisal of words, and of the two texts of minimal pairs, in bits (Hale 2001; Levy 2008)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.metrics.tables import columns
from elman.representation import call, complete, counted
from elman.table import Table

MODELS = {"surprisal": "model", "ngram_surprisal": "n-gram"}  # name of a column -> the model that it belongs to


class Surprisal(Table):
    """Surprisal of each word of documents: -log2 of its probability given all words before it in its document.

    Columns, with a row per word: `document`, the number of its document, and `position`, its number in there, both from
    0; `word`, which is a line feed for a line end, and `</s>` for the end of the document; `surprisal` in bits;
    `ngram_surprisal` in bits, if there is an n-gram; `units`, the number of units that the word consists of, with the
    white space before it; `unknown`, the number of those that are not in the vocabulary (`<unk>`).

    `LanguageModel.surprisal` returns one.
    """

    @property
    def bits(self) -> float:
        """Surprisal of all documents together."""
        return float(self["surprisal"].sum())

    def per_document(self) -> Table:
        """Return a table with a row per document, with its surprisal in bits and its perplexity per unit."""
        starts = np.flatnonzero(self["position"] == 0)
        sums = {name: np.add.reduceat(column, starts) for name, column in self.columns.items()
                if name in ("units", "unknown", *MODELS)}  # fmt: skip
        table: dict[str, Any] = {
            "document": self["document"][starts],
            "words": np.add.reduceat(self._is_word(), starts),
        }
        table |= {name: sums[name] for name in ("units", "unknown")}
        for name in MODELS:
            if name in sums:
                table |= {name: sums[name], name.replace("surprisal", "perplexity"): _exp2(sums[name] / sums["units"])}
        return Table(table)

    def _is_word(self) -> np.ndarray:
        """Whether a row is a word, not a line end or the end of a document, as 0 or 1."""
        return ((self["word"] != "\n") & (np.append(self["position"][1:], 0) > 0)).astype(np.int64)

    @complete
    def __repr__(self) -> str:
        words, documents = int(self._is_word().sum()), int((self["position"] == 0).sum())
        perplexity = float(_exp2(self.bits / self["units"].sum()))
        sizes = f"{counted(words, 'word')} of {counted(documents, 'document')}"
        return call("Surprisal", sizes, f"{self.bits:.1f} bits", f"perplexity {perplexity:.3f} per unit")


class MinimalPairs(Table):
    """Comparison of two texts per row, the first of which should be more probable (Linzen et al. 2016, BLiMP).

    Columns, with a row per pair: `good`, `bad`, the texts; `good_surprisal`, `bad_surprisal`, their surprisal in bits,
    ends included; `correct`, whether the good one is more probable; the same with the prefix `ngram_` if there is an
    n-gram.

    `LanguageModel.minimal_pairs` returns one.
    """

    @property
    def accuracy(self) -> float:
        """Fraction of the pairs in which the good text is more probable."""
        return float(self["correct"].mean())

    def table(self) -> str:
        """Return a line per model, with its accuracy and the mean difference of the surprisal."""
        rows = [[f"{len(self):,} pairs", "accuracy", "bad - good, bits"]]
        for model, figures in self.to_json().items():
            rows.append([model, f"{figures['accuracy']:.4f}", f"{figures['difference']:.3f}"])
        return columns(rows)

    def to_json(self) -> dict[str, dict[str, float]]:
        """Return accuracy and mean difference in bits, by `model` and `n-gram`."""
        found = {}
        for column, model in MODELS.items():
            prefix = column.removesuffix("surprisal")
            if f"{prefix}correct" in self.columns:
                difference = self[f"{prefix}bad_surprisal"] - self[f"{prefix}good_surprisal"]
                found[model] = {"pairs": len(self), "accuracy": float(self[f"{prefix}correct"].mean()),
                                "difference": float(difference.mean())}  # fmt: skip
        return found

    @complete
    def __repr__(self) -> str:
        return call("MinimalPairs", counted(len(self), "pair"), f"accuracy {self.accuracy:.4f}")


def minimal_pairs(good: Sequence[Any], bad: Sequence[Any], texts: Table) -> MinimalPairs:
    """Return the comparison of pairs of texts.

    Args:
        good, bad: P texts each.
        texts: `Surprisal.per_document()` of the good texts, then the bad ones, [2P].
    """
    found: dict[str, Any] = {"good": good, "bad": bad}
    for name in MODELS:
        if name in texts.columns:
            prefix, (first, second) = name.removesuffix("surprisal"), np.split(texts[name], 2)
            found |= {f"{prefix}good_surprisal": first, f"{prefix}bad_surprisal": second,
                      f"{prefix}correct": first < second}  # fmt: skip
    return MinimalPairs(found)


def _exp2(bits: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.exp2(bits)
