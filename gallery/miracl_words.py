"""Lip reading of ten words (MIRACL-VC1, words): a small convolutional network and an LSTM, from pixels.

    python gallery/miracl_words.py --data DIR

The data are grey frames of 24 x 36 pixels around the mouth, about ten per word, without sound. The last two of the
twelve speakers are the test part; chance is 0.1. The number of epochs was chosen by holding out other pairs of
speakers. The classical models read the same frames in blocks of 4 x 4, minus their mean so far: one hidden Markov model
per word, and a bag of frames.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import baselines
import labelled
import numpy as np
import receipt

NAME = "miracl_words"
AT_LEAST = 0.35  # accuracy on the two speakers
SETTINGS = ["--set", "epochs=15", "--set", "deviations=true"]
HELD_OUT = 2  # speakers
STATES = 5
BLOCK = 4  # pixels


def read(path: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return clips [T, 24, 36], the word of each, and its speaker."""
    with np.load(path) as file:
        clips = np.split(file["frames"], np.cumsum(file["length"], dtype=int)[:-1])
        return clips, file["word_names"][file["word"]], file["speaker"]


def blocks(clip: np.ndarray) -> np.ndarray:
    """Return the means of blocks of pixels, minus their mean so far, [T, 54]."""
    frames, height, width = clip.shape
    parts = clip.reshape(frames, height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean((2, 4)).reshape(frames, -1)
    return parts - np.cumsum(parts, 0) / np.arange(1, frames + 1)[:, None]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds miracl_vc1_words/train.npz")
    parser.add_argument("--run", type=Path, help="the folder of the run")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    clips, words, speakers = read(data / "miracl_vc1_words" / "train.npz")
    held_out = np.unique(speakers)[-HELD_OUT:]
    unseen = np.isin(speakers, held_out)
    train, test = ([clips[i] for i in np.flatnonzero(rows)] for rows in (~unseen, unseen))
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "train.npz", values=np.concatenate(train), lengths=[*map(len, train)], labels=words[~unseen])
    run = labelled.train(["classifier", folder / "train.npz", *SETTINGS], folder / "net", data)
    report = run.model.evaluate(test, words[unseen])
    right = run.model.predict(test) == words[unseen]
    print(report.table())
    seen = [blocks(clip) for clip in train], words[~unseen], [blocks(clip) for clip in test], words[unseen]
    labelled.write(
        NAME,
        f"accuracy on {HELD_OUT} unseen speakers",
        AT_LEAST,
        [run],
        [report.accuracy],
        middle="mean",
        classical={
            "HMM per word": baselines.hmm_accuracy(*seen, STATES),
            "bag of frames": baselines.bag_of_steps(*seen),
        },
        more={
            "speakers": {name: round(float(right[speakers[unseen] == name].mean()), 4) for name in held_out.tolist()},
            "words": {str(word): float(part) for word, part in zip(report.classes, report.recall, strict=True)},
        },
    )


if __name__ == "__main__":
    main()
