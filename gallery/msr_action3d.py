"""Twenty actions from the joints of a body (MSR Action3D): a bidirectional LSTM, tested on other people.

    python gallery/msr_action3d.py --data DIR

The data are the 557 sequences that papers use. Subjects 1, 3, 5, 7 and 9 are the training part, subjects 2, 4, 6, 8 and
10 the test part, for all twenty actions together. The settings were chosen by leaving out one of the five training
subjects at a time. The classical models read the same input, and its change over four frames: one hidden Markov model
per action, and a bag of poses.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import baselines
import labelled
import numpy as np
import receipt

NAME = "msr_action3d"
AT_LEAST = 0.80  # accuracy on the other subjects
SETTINGS = ["--set", "hidden_size=64", "--set", "epochs=30"]
SEEDS = 0, 1, 2
STATES = 4
BACK = 4  # frames


def read(path: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Return sequences [T, 20, 3] in millimetres, the action of each, and its subject."""
    with np.load(path) as file:
        action, subject, _, used = file["action_subject_instance_used"].T
        sequences = np.split(file["xyz_mm"], np.cumsum(file["length"], dtype=int)[:-1])
    rows = np.flatnonzero(used)
    return [sequences[row] for row in rows], np.array([f"{number:02}" for number in action[rows]]), subject[rows]


def with_motion(poses: np.ndarray) -> np.ndarray:
    """Return poses and their changes, [T, 2 D]."""
    before = np.concatenate([np.repeat(poses[:1], BACK, 0), poses])[: len(poses)]
    return np.concatenate([poses, 2 * (poses - before)], 1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds msr_action3d/msr_action3d.npz")
    parser.add_argument("--run", type=Path, help="the folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    sequences, actions, subjects = read(data / NAME / f"{NAME}.npz")
    odd = subjects % 2 == 1
    train, test = ([sequences[i] for i in np.flatnonzero(rows)] for rows in (odd, ~odd))
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "train.npz", values=np.concatenate(train), lengths=[*map(len, train)], labels=actions[odd])
    words = ["classifier", folder / "train.npz", *SETTINGS]
    runs = [labelled.train([*words, "--set", f"seed={seed}"], folder / f"seed-{seed}", data) for seed in SEEDS]
    reports = [run.model.evaluate(test, actions[~odd]) for run in runs]
    print(reports[0].table())
    poses = ([with_motion(row) for row in runs[0].model.inputs_.encode(part).to_list()] for part in (train, test))
    seen, unseen = poses
    classical = seen, actions[odd], unseen, actions[~odd]
    labelled.write(
        NAME,
        "accuracy on other subjects",
        AT_LEAST,
        runs,
        [report.accuracy for report in reports],
        middle="median",

        classical={"HMM per action": baselines.hmm_accuracy(*classical, STATES),
                   "bag of poses": baselines.bag_of_steps(*classical)},
        more={"sequences": {"train": len(train), "test": len(test)}},
    )  # fmt: skip


if __name__ == "__main__":
    main()
