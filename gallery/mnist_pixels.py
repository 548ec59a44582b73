"""Handwritten digits read pixel by pixel, 196 steps: LSTM, GRU, ReLU with identity initialisation, tanh.

    python gallery/mnist_pixels.py --data DIR

Every image of MNIST is reduced to 14 x 14 (means of four pixels) and read as one long row in one direction, so the
network must remember the first pixels until the last. The gated networks train for six epochs, the identity
initialisation (Le, Jaitly and Hinton 2015, arXiv:1504.00941) for ten, the tanh network for three. The last 5,000 of the
60,000 training images are evaluated once; the best epoch is chosen on 5,000 others. The classical model is a softmax
regression on the same pixels.
"""

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path

import labelled
import numpy as np
import receipt

from elman.classical import BagOfWords
from elman.sequences import Sequences as Rows

NAME = "mnist_pixels"
AT_LEAST = {"lstm": 0.97, "gru": 0.97, "identity relu": 0.93, "tanh": None}
ONE_WAY = ["--set", "bidirectional=false"]
NETS = {
    "lstm": ["--set", "epochs=6"],
    "gru": ["--set", "cell=gru", "--set", "epochs=6"],
    "identity relu": ["--set", "cell=rnn", "--set", "cell.init=identity"],
    "tanh": ["--set", "cell=rnn", "--set", "epochs=3"],
}
HELD_OUT = 5000


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images [60000, 14, 14] and their digits."""
    files = {"images-idx3": 16, "labels-idx1": 8}  # bytes before the numbers
    blobs = {name: gzip.decompress((folder / f"train-{name}-ubyte.gz").read_bytes()) for name in files}
    pixels, digits = (np.frombuffer(blob, np.uint8, offset=files[name]) for name, blob in blobs.items())
    return pixels.reshape(-1, 14, 2, 14, 2).mean((2, 4)).round().astype(np.uint8), digits.astype(str)


def regression(images: np.ndarray, digits: np.ndarray, test: np.ndarray, labels: np.ndarray) -> float:
    """Return the accuracy of a softmax regression: a bag of bright pixels, one word per place."""

    def rows(some: np.ndarray) -> Rows:
        bright = some.reshape(len(some), -1) > 64
        return Rows(np.nonzero(bright)[1], bright.sum(1))

    return BagOfWords(vocabulary_size=196, ngrams=1, l2=1.0).fit(rows(images), digits).score(rows(test), labels)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds mnist/train-*-ubyte.gz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    images, digits = read(data / "mnist")
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"train": slice(0, -2 * HELD_OUT), "dev": slice(-2 * HELD_OUT, -HELD_OUT), "test": slice(-HELD_OUT, None)}
    for name, rows in parts.items():
        np.savez(folder / f"{name}.npz", values=images[rows], labels=digits[rows])
    words = ["classifier", folder / "train.npz", "--validation", folder / "dev.npz", *ONE_WAY]
    runs = {name: labelled.train([*words, *net], folder / name.replace(" ", "-"), data) for name, net in NETS.items()}
    test, labels = images[parts["test"]], digits[parts["test"]]
    scores = {name: run.model.score(test, labels) for name, run in runs.items()}
    train = images[parts["train"]], digits[parts["train"]]
    labelled.write(
        NAME,
        "accuracy of the LSTM on 5,000 images",
        AT_LEAST["lstm"],
        list(runs.values()),
        [scores["lstm"]],
        middle="mean",
        classical={"softmax regression": regression(*train, test, labels)},
        more={"nets": {name: {"reached": round(score, 4), "at_least": AT_LEAST[name],
                              "training_minutes": round(runs[name].minutes, 2)} for name, score in scores.items()}},
    )  # fmt: skip


if __name__ == "__main__":
    main()
