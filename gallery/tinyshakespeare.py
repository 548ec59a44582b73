"""Character language model of Tiny Shakespeare: an LSTM compared with an n-gram.

    python gallery/tinyshakespeare.py --data DIR

The training part is the first 90 % of the characters. The last 10 % are evaluated once. The settings were chosen with

    python gallery/tinyshakespeare.py --data DIR --validation 0.05

which holds out the end of the training part and does not read the test part. The final run trains on the whole training
part: the test part continues its last play, and much of the difference is due to the names in it.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import receipt

from elman.cli.console import log_messages
from elman.data import read_documents
from elman.tasks import LanguageModel

NAME = "tinyshakespeare"
TEST = 0.1
AT_MOST = 1.5  # nats per character of the test part
SETTINGS = {
    "hidden_size": 512,
    "epochs": 12,
    "learning_rate": 4e-3,
    "warmup": 50,
    "dropout": 0.5,
    "embedding_dropout": 0.1,
    "seed": 0,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds tinyshakespeare/input.txt.gz")
    parser.add_argument("--run", type=Path, help="the run folder; runs/tinyshakespeare-1 or later")
    parser.add_argument(
        "--validation", type=float, default=0.0, help="hold out and evaluate this part of the training text instead"
    )
    given = parser.parse_args(arguments)
    (text,) = read_documents(receipt.data_folder(given.data) / NAME / "input.txt.gz")
    cut = round(len(text) * (1 - TEST))

    run = receipt.run_folder(NAME, given.run)
    began = time.perf_counter()
    model = LanguageModel(**SETTINGS, validation=given.validation)
    with log_messages():
        model.fit(text[:cut], verbose=True, run=run)
    minutes = (time.perf_counter() - began) / 60
    speeds = receipt.speeds(model, run)
    print(f"\n{minutes:.1f} minutes; {speeds['elman']:,} characters per second, torch.nn {speeds['torch.nn']:,}.")

    if model.held_out_:
        print("\nThe held-out part of the training text:")
        print(model.compare(model.held_out_).table())
        return
    print("\nThe test part:")
    report = model.compare(text[cut:])
    figures = report.figures
    print(report.table())
    receipt.write(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": "test nats per character",
                "published": None,
                "at_most": AT_MOST,
                "reached": round(figures["LSTM"].nats_per_character, 4),
            },
            "test_nats_per_character": {name: figure.nats_per_character for name, figure in figures.items()},
            "test_characters": len(text) - cut,
            "training_minutes": round(minutes, 1),
            "training_characters_per_second": speeds,
        },
        run,
    )


if __name__ == "__main__":
    main()
