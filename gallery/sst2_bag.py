"""The sentiment of a sentence from a bag of its words: SST-2, whole sentences only.

    python gallery/sst2_bag.py --data DIR

Counts of words and of pairs of words with naive-Bayes weights (Wang and Manning 2012), and a softmax: the defaults of
`BagOfWords` and of the units `words`. They were chosen on the training and dev parts together, by

    python gallery/sst2_bag.py --data DIR --choose

which prints the accuracy in a five-fold cross-validation with one setting changed at a time, without the test part. The
model is then fitted to the training part alone. The picture shows the accuracy when only the first part of a sentence
has been read.
"""

import argparse
import gzip
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import receipt

from elman.classical import BagOfWords
from elman.data.units import Units, make_units
from elman.sequences import Sequences

NAME = "sst2_bag"
AT_LEAST = 0.818  # accuracy on the test part
SETTINGS = {"word_count": 2, "ngrams": 2, "binary": True, "smoothing": 1.0, "l2": 2.0, "naive_bayes": True}
OTHERS = ({}, {"word_count": 1}, {"ngrams": 1}, {"ngrams": 3}, {"binary": False}, {"smoothing": 0.3}, {"l2": 1.0},
          {"l2": 4.0}, {"naive_bayes": False})  # fmt: skip
FOLDS = 5
PARTS = 20  # points of the picture

Texts = tuple[list[str], np.ndarray]


def read(path: Path) -> Texts:
    """Return the sentences and labels of a part."""
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    texts, labels = zip(*(line.split("\t") for line in lines), strict=True)
    return list(texts), np.array(labels, dtype=int)


def fit(train: Texts, settings: dict[str, Any]) -> tuple[Units, BagOfWords]:
    own = dict(settings)
    units = make_units("words", min_count=own.pop("word_count")).fit(train[0])
    return units, BagOfWords(units.size, **own).fit(rows(units, train[0]), train[1])


def rows(units: Units, texts: list[str]) -> Sequences:
    return Sequences.from_list([units.encode(text) for text in texts])


def folds(texts: list[str], labels: np.ndarray) -> Iterator[tuple[Texts, Texts]]:
    """Yield random folds, the same for all settings."""
    fold = np.random.default_rng(0).integers(FOLDS, size=len(labels))
    for held_out in range(FOLDS):
        yield tuple(([text for text, chosen in zip(texts, mask, strict=True) if chosen], labels[mask])
                    for mask in (fold != held_out, fold == held_out))  # fmt: skip


def choose(texts: list[str], labels: np.ndarray) -> None:
    for other in OTHERS:
        right = 0.0
        for train, held_out in folds(texts, labels):
            units, model = fit(train, SETTINGS | other)
            right += model.score(rows(units, held_out[0]), held_out[1]) * len(held_out[1])
        changed = ", ".join(f"{name}={value}" for name, value in other.items()) or "the defaults"
        print(f"{100 * right / len(labels):.2f} %  {changed}", flush=True)


def while_reading(model: BagOfWords, sentences: Sequences, labels: np.ndarray) -> np.ndarray:
    """Return the accuracy after 0, 1/PARTS, ... 1 of each sentence."""
    right = np.zeros(PARTS + 1)
    for start in range(0, len(sentences), 64):  # a state has all features
        some = sentences.select(np.arange(start, min(start + 64, len(sentences))))
        probs, _ = model.scan(some)
        prior = model.predict_proba([[]])
        for row, label in zip(probs.to_list(), labels[start:], strict=False):
            predicted = model.classes_[np.concatenate([prior, row]).argmax(1)]
            right += predicted[np.arange(PARTS + 1) * len(row) // PARTS] == label
    return right / len(sentences)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds sst2/{train,dev,test}.tsv.gz")
    parser.add_argument("--choose", action="store_true", help="compare settings in a cross-validation instead")
    given = parser.parse_args(arguments)
    folder = receipt.data_folder(given.data) / "sst2"
    train, dev = read(folder / "train.tsv.gz"), read(folder / "dev.tsv.gz")
    if given.choose:
        choose(train[0] + dev[0], np.concatenate([train[1], dev[1]]))
        return

    began = time.perf_counter()
    units, model = fit(train, SETTINGS)
    minutes = (time.perf_counter() - began) / 60
    test = read(folder / "test.tsv.gz")
    sentences = rows(units, test[0])
    figures = {"dev": model.score(rows(units, dev[0]), dev[1]), "test": model.score(sentences, test[1])}
    print({part: f"{100 * figure:.2f} %" for part, figure in figures.items()})

    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.linspace(0, 100, PARTS + 1), 100 * while_reading(model, sentences, test[1]), marker="o", markersize=4)
    axes.set(xlabel="% of the words read", ylabel="accuracy, %", title="SST-2, test: accuracy while reading")
    axes.grid(alpha=0.3)
    receipt.write_with_figure(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": "test accuracy",
                "published": None,
                "at_least": AT_LEAST,
                "reached": round(figures["test"], 4),
            },
            "accuracy": {part: round(figure, 4) for part, figure in figures.items()},
            "sentences": {"train": len(train[1]), "dev": len(dev[1]), "test": len(test[1])},
            "features": model.num_features,
            "training_minutes": round(minutes, 2),
        },
        figure,
    )


if __name__ == "__main__":
    main()
