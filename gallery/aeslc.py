"""Subjects of e-mails from their text (AESLC, Zhang and Tetreault 2019): `elman train summarizer`.

    python gallery/aeslc.py --data DIR

The best epoch is chosen on a twentieth of the training part; the figures are those of dev. The baselines are the first
five words of the text, and its sentence that is closest to the whole text by TF-IDF, with frequencies of the training
part. The target is to exceed both in all three kinds of ROUGE.
"""

import argparse
import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import labelled
import receipt

from elman.metrics.summary import summary_report

NAME = "aeslc"
SETTINGS = ["lowercase=true", "source_limit=120", "encoder_size=128", "epochs=10"]
WORD = re.compile(r"[a-z0-9]+")
END = re.compile(r"(?<=[.!?])\s+|\n+")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds aeslc/{train,dev}.jsonl.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    train = data / NAME / "train.jsonl.gz"
    columns = ["--source", "body", "--target", "subject"]
    run = labelled.train(["summarizer", train, *columns, *words], folder / "seed-0", data)
    texts, subjects = zip(*mails(data / NAME / "dev.jsonl.gz"), strict=True)
    weigh = Weights([text for text, _ in mails(train)])
    found = {
        "net": run.model.predict(texts),
        "first five words": [" ".join(text.split()[:5]) for text in texts],
        "best sentence by TF-IDF": [weigh.best_sentence(text) for text in texts],
    }
    reports = {name: summary_report(summaries, subjects) for name, summaries in found.items()}
    for name, report in reports.items():
        print(f"{name}: ROUGE-1 {report.rouge1:.2f}, -2 {report.rouge2:.2f}, -L {report.rougeL:.2f}")
    classical = {name: report.rougeL / 100 for name, report in reports.items() if name != "net"}
    kinds = ("rouge1", "rouge2", "rougeL")
    beats = {name: [kind for kind in kinds if getattr(reports["net"], kind) > getattr(reports[name], kind)]
             for name in classical}  # fmt: skip
    print("the net has more: " + "; ".join(f"{', '.join(kinds)} than {name}" for name, kinds in beats.items()))
    labelled.write(
        NAME,
        "ROUGE-L on dev",
        max(classical.values()),
        [run],
        [reports["net"].rougeL / 100],
        middle="mean",
        classical=classical,
        more={"net_has_more": beats, "reports": {name: report.to_json() for name, report in reports.items()}},
    )


def mails(file: Path) -> list[tuple[str, str]]:
    """Return the text and the subject of each e-mail."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = map(json.loads, lines)
        return [(row["body"], row["subject"]) for row in rows]


class Weights:
    """TF-IDF weights: frequency of a word in a text, times the logarithm of its rarity in all texts."""

    def __init__(self, texts: Sequence[str]):
        self.texts = len(texts)
        self.in_texts = Counter(word for text in texts for word in {*WORD.findall(text.lower())})

    def best_sentence(self, text: str) -> str:
        """Return the sentence that is closest to the whole text."""
        whole = self._weigh(text)
        sentences = [sentence for sentence in END.split(text) if WORD.search(sentence.lower())]

        def closeness(sentence: str) -> float:
            own = self._weigh(sentence)
            length = math.sqrt(sum(weight * weight for weight in own.values())) or 1.0
            return sum(weight * whole[word] for word, weight in own.items()) / length

        return max(sentences, key=closeness, default=text[:50])

    def _weigh(self, text: str) -> dict[str, float]:
        counts = Counter(WORD.findall(text.lower()))
        return {word: count * math.log(self.texts / (1 + self.in_texts[word])) for word, count in counts.items()}


if __name__ == "__main__":
    main()
