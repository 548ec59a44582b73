"""Surprisal of the words of 10,000 sentences, against the evaluation of the same text, by the network and the n-gram.

The sentences are those of SST-2. The networks are not trained; their weights do not matter here.
"""

from typing import Any

from epochs import data_folder
from report import Claim, Report
from timing import Contestant

from elman.classical import NGram
from elman.data.readers import read_labelled
from elman.runtime.ngram_baseline import ORDERS
from elman.tasks.language_model import LanguageModel

UNITS = ["characters", "words", "bpe"]
SENTENCES = 10_000
AT_MOST = 1.2  # times the evaluation


def untrained(units: str, texts: list[str]) -> Any:
    """Return a language model with a new network and an n-gram."""
    model: Any = LanguageModel(units=units, hidden_size=128, validation=0)
    parts = model._parts(texts, None, None, None)
    model.ngram_ = NGram(model.units_.size, ORDERS[units]).fit(parts.data)
    return model


def main() -> None:
    report, folder = Report("surprisal", __doc__, units=UNITS), data_folder()
    if folder is None:
        return
    texts = read_labelled(folder / "sst2" / "train.tsv.gz", text=1, label=2).inputs[:SENTENCES]
    for units in report.options.units:
        model = untrained(units, texts)
        shape = f"{units}, {SENTENCES:,} sentences"
        contestants = [
            Contestant("compare", lambda model=model: model.compare(texts)),
            Contestant("surprisal", lambda model=model: model.surprisal(texts)),
        ]
        report.race(shape, "network and n-gram", contestants)
        model.ngram_ = None
        contestants[0] = Contestant("evaluate", lambda model=model: model.evaluate(texts))
        report.race(shape, "network", contestants)
    ratios = [row["contestants"]["surprisal"]["times_as_long"]["median"] for row in report.rows]
    report.claims = [Claim("surprisal of 10,000 sentences, speed relative to evaluate", 1 / AT_MOST, 1 / max(ratios))]
    report.finish()


if __name__ == "__main__":
    main()
