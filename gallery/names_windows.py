"""Languages of surnames: letter counts, a small window, a big window, and the big window on shifted names.

    python gallery/names_windows.py --data DIR

*Counts* is a bag of the character n-grams of a name, including its two ends. A *window* is a feed-forward network over
the last letters of a name: four letters for the small one, as many as the longest name has for the big one. Letters are
one-hot vectors, and a place without a letter is zero. *Shifted* is the same trained big window on names written three
places further to the left, followed by three empty places. This changes nothing for a human reader and for the counts,
but everything for the network, whose places have separate weights.

Each name of the training file is used once per language. A random tenth of the names is the test part, evaluated once.
Another tenth is used to choose the epoch, and the length and the penalty of the n-grams. The curve is that of the big
window, the horizontal line that of the counts.

More than half of all names are Russian, so a constant prediction is right for them. The result is the part of the gain
over this baseline that is left after the shift.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import receipt

from elman.data.readers import read_labelled

# isort: split
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from elman.cells import WindowNet
from elman.classical.bag_of_words import BagOfWords
from elman.layers import Dropout, Linear, Stack
from elman.sequences import Sequences
from elman.state import State
from elman.training import Progress, Score, TrainingSettings, train

NAME = "names_windows"
AT_MOST = 0.5  # part of the big window's gain over the most common language that is left after the shift
SHIFT = 3
COMMONEST = "the most common language"
SETTINGS = {
    "small_window": 4,
    "big_window": 20,
    "hidden_size": 128,
    "dropout": 0.3,
    "batch_size": 64,
    "epochs": 12,
    "learning_rate": 2e-3,
    "ngrams": 4,
    "min_count": 2,
    "penalty": 3.0,
    "seed": 0,
}
EMPTY = 0  # id of a place without a letter, and of letters that do not occur in training


class Names(NamedTuple):
    """Rows of letters, and the language of each row."""

    letters: Sequences  # ids [N]
    languages: np.ndarray  # [B] int64

    def select(self, rows: np.ndarray) -> "Names":
        return Names(self.letters.select(rows), self.languages[rows])

    def shifted(self, places: int) -> "Names":
        """Return the names with empty places after each of them."""
        ends = np.repeat(self.letters.offsets[1:], places)
        return Names(
            Sequences(np.insert(self.letters.values, ends, EMPTY), self.letters.lengths + places), self.languages
        )


class Batch(NamedTuple):
    x: Sequences  # [N, D] letters as vectors
    targets: Tensor  # [B]

    @property
    def num_steps(self) -> int:
        """Number of names, for the printed speed."""
        return len(self.targets)


class Epochs:
    """Batches of names, shuffled in each epoch."""

    def __init__(self, names: Names, alphabet: int):
        self.names, self.alphabet = names, alphabet

    def epoch(self, number: int) -> list[Batch]:
        order = np.random.default_rng([SETTINGS["seed"], number]).permutation(len(self.names.languages))
        size = SETTINGS["batch_size"]
        return [batch(self.names.select(order[i : i + size]), self.alphabet) for i in range(0, len(order), size)]


def batch(names: Names, alphabet: int) -> Batch:
    letters = torch.from_numpy(names.letters.values)
    vectors = one_hot(letters, alphabet).float()[:, 1:]  # an empty place is zero
    return Batch(Sequences(vectors, names.letters.lengths), torch.from_numpy(names.languages))


def at_the_end(net: Stack, given: Batch) -> Tensor:
    """Return the logits [B, 18] after the last place of each name."""
    y, _ = net(given.x)
    return y.values[torch.from_numpy(given.x.offsets[1:] - 1)]


def loss(net: Stack, given: Batch) -> Tensor:
    return cross_entropy(at_the_end(net, given), given.targets)


def accuracy(net: Stack, names: Names, alphabet: int) -> float:
    net.eval()
    given = batch(names, alphabet)
    with torch.no_grad():
        return float((at_the_end(net, given).argmax(1) == given.targets).float().mean())


def fit_window(window: int, training: Names, validation: Names, alphabet: int, run: Path | None) -> Stack:
    """Train a window network, and return it with the weights of the best epoch on the validation part."""
    torch.manual_seed(SETTINGS["seed"])
    hidden, languages = SETTINGS["hidden_size"], int(training.languages.max()) + 1
    net = Stack(
        WindowNet(alphabet - 1, hidden, window), Dropout(hidden, SETTINGS["dropout"]), Linear(hidden, languages)
    )
    held_out = batch(validation, alphabet)

    def step(given: Batch, _state: State | None) -> tuple[Tensor, None]:
        return loss(net, given), None

    def evaluate() -> Score:
        return Score("nats per name", float(loss(net, held_out)))

    settings = TrainingSettings(**{name: SETTINGS[name] for name in ("epochs", "learning_rate", "seed")})
    with Progress() as progress:
        train(net, step, Epochs(training, alphabet), settings, evaluate=evaluate, run=run, observers=[progress])
    return net


def fit_counts(training: Names, validation: Names, alphabet: int) -> tuple[BagOfWords, float]:
    """Fit a bag of n-grams, and return it with its nats per name on the validation part."""
    model = BagOfWords(alphabet, SETTINGS["ngrams"], l2=SETTINGS["penalty"], min_count=SETTINGS["min_count"])
    model.fit(bounded(training), training.languages)
    places = np.searchsorted(model.classes_, validation.languages)
    probabilities = model.predict_proba(bounded(validation))[np.arange(len(places)), places]
    return model, float(-np.log(probabilities).mean())


def bounded(names: Names) -> Sequences:
    """Return the names with an empty place at both ends, so that n-grams include beginnings and endings."""
    letters = names.letters
    return Sequences(
        np.insert(letters.values, np.concatenate([letters.offsets[:-1], letters.offsets[1:]]), EMPTY),
        letters.lengths + 2,
    )


def read(path: Path) -> tuple[Names, Names, Names, int]:
    """Return the training, validation and test names, and the number of letters, including the empty place."""
    file = read_labelled(path, text="1", label="2")
    pairs = list(dict.fromkeys(zip(file.inputs, file.labels or [], strict=True)))
    different = sorted({name for name, _ in pairs})
    drawn = np.random.default_rng(SETTINGS["seed"]).random(len(different))
    place = dict(zip(different, drawn.tolist(), strict=True))
    parts = [[pair for pair in pairs if low <= place[pair[0]] < high]
             for low, high in ((0.2, 1.0), (0.1, 0.2), (0.0, 0.1))]  # fmt: skip
    alphabet = {letter: number for number, letter in enumerate(sorted(set("".join(n for n, _ in parts[0]))), start=1)}
    languages = sorted({language for _, language in pairs})
    training, validation, test = (
        Names(
            Sequences.from_list([np.array([alphabet.get(letter, EMPTY) for letter in name]) for name, _ in part]),
            np.array([languages.index(language) for _, language in part]),
        )
        for part in parts
    )
    return training, validation, test, len(alphabet) + 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds names/train.tsv.gz")
    parser.add_argument("--run", type=Path, help="the run folder of the big window; runs/names_windows-1 or later")
    given = parser.parse_args(arguments)
    training, validation, test, alphabet = read(receipt.data_folder(given.data) / "names" / "train.tsv.gz")
    run = receipt.run_folder(NAME, given.run)

    began = time.perf_counter()
    counts, baseline = fit_counts(training, validation, alphabet)
    small = fit_window(SETTINGS["small_window"], training, validation, alphabet, None)
    big = fit_window(SETTINGS["big_window"], training, validation, alphabet, run)
    minutes = (time.perf_counter() - began) / 60

    wide, commonest = f"window of {SETTINGS['big_window']}", np.bincount(training.languages).argmax()
    accuracies = {
        COMMONEST: float((test.languages == commonest).mean()),
        "counts": counts.score(bounded(test), test.languages),
        f"window of {SETTINGS['small_window']}": accuracy(small, test, alphabet),
        wide: accuracy(big, test, alphabet),
        f"{wide}, shifted by {SHIFT}": accuracy(big, test.shifted(SHIFT), alphabet),
    }
    gain, left = (accuracies[model] - accuracies[COMMONEST] for model in (wide, f"{wide}, shifted by {SHIFT}"))
    print(f"\n{minutes:.1f} minutes; accuracy on {len(test.languages):,} names:")
    for model, part in accuracies.items():
        print(f"  {model:30}{part:8.1%}")
    receipt.write(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": f"part of the big window's gain over the most common language left after a shift by {SHIFT}",
                "published": None,
                "at_most": AT_MOST,
                "reached": round(left / gain, 4) if gain > 0 else 1.0,
            },
            "accuracy": {model: round(part, 4) for model, part in accuracies.items()},
            "names": {"training": len(training.languages), "validation": len(validation.languages),
                      "test": len(test.languages)},
            "training_minutes": round(minutes, 1),
        },
        run,
        baseline,
        "counts",
    )  # fmt: skip


if __name__ == "__main__":
    main()
