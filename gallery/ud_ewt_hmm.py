"""Parts of speech by counting: a hidden Markov model of second order on the English Web Treebank (UD, UPOS tags).

    python gallery/ud_ewt_hmm.py --data DIR

This uses the defaults of `HMMTagger`, after TnT (Brants 2000): trigrams of tags with deleted interpolation, word
counts, and shapes and endings for unknown words. The dev part is used for evaluation only. Settings were compared by

    python gallery/ud_ewt_hmm.py --data DIR --choose

which fits nine tenths of the training sentences and evaluates on the rest. The picture shows the accuracy for words
that occur never, once, two or three times, ... in the training part; *without context* is the most probable tag of each
word by itself.
"""

import argparse
import gzip
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import receipt

from elman.classical.hmm import HMMTagger, Words
from elman.sequences import Sequences

NAME = "ud_ewt_hmm"
AT_LEAST = 0.925  # accuracy on the dev part
SETTINGS = {"order": 2, "max_suffix": 10, "rare_count": 10}
OTHERS = ({}, {"order": 1}, {"max_suffix": 0}, {"max_suffix": 3}, {"max_suffix": 5}, {"rare_count": 1},
          {"rare_count": 3}, {"rare_count": 100})  # fmt: skip
SEEN = {"never": 0, "once": 1, "2 to 3": 3, "4 to 9": 9, "10 to 99": 99, "more": np.inf}  # largest count of each group


class Tagged(NamedTuple):
    words: Sequences  # [N] strings
    tags: Sequences  # [N] strings


def read(path: Path) -> Tagged:
    text = gzip.decompress(path.read_bytes()).decode().strip()
    sentences = [[line.split("\t") for line in block.split("\n")] for block in text.split("\n\n")]
    columns = ([np.array([word[column] for word in sentence]) for sentence in sentences] for column in (0, 1))
    return Tagged(*map(Sequences.from_list, columns))


def fit(train: Tagged, settings: dict[str, Any]) -> HMMTagger:
    own = dict(settings)
    return HMMTagger(order=own.pop("order"), emission=Words(**own)).fit(train.words, train.tags)


def choose(train: Tagged) -> None:
    tenth = np.arange(len(train.words)) % 10 == 0
    rest, held_out = (Tagged(*(part.select(np.flatnonzero(mask)) for part in train)) for mask in (~tenth, tenth))
    for other in OTHERS:
        accuracy = fit(rest, SETTINGS | other).score(held_out.words, held_out.tags)
        changed = ", ".join(f"{name}={value}" for name, value in other.items()) or "the defaults"
        print(f"{100 * accuracy:.2f} %  {changed}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds ud_ewt/{train,dev}.tsv.gz")
    parser.add_argument("--choose", action="store_true", help="compare settings on a part of the training text instead")
    given = parser.parse_args(arguments)
    folder = receipt.data_folder(given.data) / "ud_ewt"
    train = read(folder / "train.tsv.gz")
    if given.choose:
        choose(train)
        return

    began = time.perf_counter()
    tagger = fit(train, SETTINGS)
    minutes = (time.perf_counter() - began) / 60
    dev = read(folder / "dev.tsv.gz")
    began = time.perf_counter()
    found = {"second order": tagger.decode(dev.words).states.values}
    pace = round(len(dev.words.values) / (time.perf_counter() - began))
    found["second order, each step's likeliest"] = tagger.decode(dev.words, "posterior").states.values
    found["second order, while reading"] = tagger.tags_[tagger.filter(dev.words).values.probs.argmax(1)]
    found["first order"] = fit(train, SETTINGS | {"order": 1}).decode(dev.words).states.values
    found["without context"] = tagger.tags_[tagger.emission_.state_probs(dev.words.values).argmax(1)]
    right = {name: tags == dev.tags.values for name, tags in found.items()}

    often = Counter(train.words.values.tolist())
    group = np.searchsorted(list(SEEN.values()), [often[word] for word in dev.words.values.tolist()])
    by_seen = {name: [round(float(ok[group == g].mean()), 4) if (group == g).any() else None for g in range(len(SEEN))]
               for name, ok in right.items()}  # fmt: skip

    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    drawn = ("without context", "first order", "second order")
    for place, name in enumerate(drawn):
        heights = [100 * (part or 0.0) for part in by_seen[name]]
        axes.bar(np.arange(len(SEEN)) + 0.27 * (place - 1), heights, 0.25, label=name)
    axes.set_xticks(np.arange(len(SEEN)), SEEN)
    axes.set(xlabel="occurrences of the word in training", ylabel="accuracy, %", ylim=(40, 100),
             title="UD English EWT, dev: tags by an HMM")  # fmt: skip
    axes.grid(alpha=0.3, axis="y")
    axes.legend(loc="upper left")
    receipt.write_with_figure(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": "dev accuracy",
                "published": None,
                "at_least": AT_LEAST,
                "reached": round(float(right["second order"].mean()), 4),
            },
            "accuracy": {name: round(float(ok.mean()), 4) for name, ok in right.items()},
            "words": {"train": len(train.words.values), "dev": len(dev.words.values)},
            "seen": {name: int((group == g).sum()) for g, name in enumerate(SEEN)},
            "accuracy_by_seen": {name: dict(zip(SEEN, parts, strict=True)) for name, parts in by_seen.items()},
            "weights": {"tag, after one, after two": tagger.weights_.round(4).tolist()},
            "training_minutes": round(minutes, 2),
            "words_tagged_per_second": pace,
        },
        figure,
    )


if __name__ == "__main__":
    main()
