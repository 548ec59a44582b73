"""Copying letters: the attention of the decoder follows the diagonal, and a shuffled source confuses it.

    python gallery/copying.py

The task is to copy random rows of 4 to 12 letters. A decoder that used only the frequencies of letters would have a
perplexity of about 20. The program needs no data.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import labelled
import numpy as np
import receipt

NAME = "copying"
LETTERS = "abcdefghijklmnopqrst"
AT_LEAST = 0.95  # part of the steps whose largest attention weight is on the letter that is written
SETTINGS = ["units=characters", "hidden_size=64", "encoder_size=32", "embedding_size=32", "epochs=12"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    parser.add_argument("--rows", type=int, default=6000, help="number of training rows")
    given = parser.parse_args(arguments)
    folder = receipt.run_folder(NAME, given.run)
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    train, test = draw(generator, given.rows), draw(generator, 500)
    file = folder / "letters.txt"
    file.write_text("\n".join(train) + "\n")
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    run = labelled.train(["translator", file, file, *words], folder / "seed-0", folder)
    model = run.model
    alignments = model.align(test, test)
    correct = [alignment.weights[:-1].argmax(1) == np.arange(len(alignment.source)) for alignment in alignments]
    diagonal = float(np.concatenate(correct).mean())
    units = sum(len(text) + 1 for text in test)
    own = math.exp(-model.log_probs(test, test).sum() / units)
    shuffled = math.exp(
        -model.log_probs(["".join(generator.permutation([*text])) for text in test], test).sum() / units
    )
    print(f"copied: {np.mean([*map(str.__eq__, model.predict(test), test)]):.3f}")
    print(f"perplexity: {own:.3f} with its own source, {shuffled:.1f} with its letters shuffled")
    labelled.write(
        NAME,
        "attention on the letter that is written",
        AT_LEAST,
        [run],
        [diagonal],
        middle="mean",
        more={"perplexity": round(own, 4), "perplexity_of_shuffled_sources": round(shuffled, 2)},
    )
    from elman.pictures.alignment import alignment as picture

    picture(*max(alignments, key=lambda one: len(one.source))).savefig(
        receipt.RECEIPTS / "copying_alignment.png", dpi=120
    )


def draw(generator: np.random.Generator, count: int) -> list[str]:
    return ["".join(generator.choice([*LETTERS], generator.integers(4, 13))) for _ in range(count)]


if __name__ == "__main__":
    main()
