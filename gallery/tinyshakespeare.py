"""A character language model of Tiny Shakespeare: the LSTM against the n-gram.

    python gallery/tinyshakespeare.py --data DIR

Trains on the first 90 % of the characters and measures the last 10 % once, at the end. The settings were chosen with

    python gallery/tinyshakespeare.py --data DIR --validation 0.05

which holds out the end of the training part and never looks at the test part. The final run trains on all of the
training part: the test part goes on with the play that it ends with, and much of the difference lies in its names.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import receipt

from elman.cli.comparison import compare
from elman.cli.console import log_messages, training_progress
from elman.data import read_documents
from elman.tasks import LanguageModel
from elman.tasks.run import Run

NAME = "tinyshakespeare"
TEST = 0.1
AT_MOST = 1.5  # nats a character of the test part
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
    parser.add_argument("--validation", type=float, default=0.0, help="measure this part of the training text instead")
    given = parser.parse_args(arguments)
    (text,) = read_documents(receipt.data_folder(given.data) / NAME / "input.txt.gz")
    cut = round(len(text) * (1 - TEST))

    run = receipt.run_folder(NAME, given.run)
    began = time.perf_counter()
    model = LanguageModel(**SETTINGS, validation=given.validation)
    with log_messages(), training_progress() as progress:
        model.fit(text[:cut], run=Run(run, observers=[progress]))
    minutes = (time.perf_counter() - began) / 60
    paces = receipt.paces(model, run)
    print(f"\n{minutes:.1f} minutes; {paces['elman']:,} characters a second, torch.nn {paces['torch.nn']:,}.")

    if model.held_out_:
        print("\nThe part that was held out of the training text:")
        print(compare(model, model.held_out_).table())
        return
    print("\nThe test part:")
    report = compare(model, text[cut:])
    figures = report.figures
    print(report.table())
    receipt.write(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": "test nats a character",
                "published": None,
                "at_most": AT_MOST,
                "reached": round(figures["LSTM"].nats_per_character, 4),
            },
            "test_nats_per_character": {name: figure.nats_per_character for name, figure in figures.items()},
            "test_characters": len(text) - cut,
            "training_minutes": round(minutes, 1),
            "training_characters_per_second": paces,
        },
        run,
    )


if __name__ == "__main__":
    main()
