"""A character language model of Tiny Shakespeare: the LSTM against the n-gram.

    python gallery/tinyshakespeare.py --data DIR

Trains on the first 90 % of the characters and measures the last 10 % once, at the end. The settings were chosen with

    python gallery/tinyshakespeare.py --data DIR --validation 0.05

which holds out the end of the training part and never looks at the test part. The final run trains on all of the
training part: the test part goes on with the play that it ends with, and much of the difference lies in its names.
"""

import argparse
import shutil
import time
from itertools import count
from pathlib import Path

import receipt

from elman.cli.console import messages, training_progress
from elman.cli.curves import draw
from elman.cli.report import measure, show
from elman.data import read_documents
from elman.tasks import LanguageModel

NAME = "tinyshakespeare"
TEST = 0.1
SETTINGS = {
    "hidden_size": 512,
    "epochs": 12,
    "learning_rate": 4e-3,
    "warmup": 50,
    "dropout": 0.5,
    "embedding_dropout": 0.1,
    "seed": 0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds tinyshakespeare/input.txt.gz")
    parser.add_argument("--run", type=Path, help="the run folder; runs/tinyshakespeare-1 or later")
    parser.add_argument("--validation", type=float, default=0.0, help="measure this part of the training text instead")
    arguments = parser.parse_args()
    (text,) = read_documents(receipt.data_folder(arguments.data) / NAME / "input.txt.gz")
    cut = round(len(text) * (1 - TEST))

    run = arguments.run or next(f for n in count(1) if not (f := Path("runs") / f"{NAME}-{n}").exists())
    began = time.perf_counter()
    model = LanguageModel(**SETTINGS, validation=arguments.validation)
    with messages(), training_progress() as progress:
        model.fit(text[:cut], run=run, observers=[progress])
    minutes = (time.perf_counter() - began) / 60

    if model.held_out_:
        print("\nThe part that was held out of the training text:")
        show(measure(model, model.held_out_))
        return
    print("\nThe test part:")
    figures = measure(model, text[cut:])
    show(figures)
    picture = run / f"{NAME}.png"
    draw(run / "log.jsonl", picture)
    path = receipt.write(
        NAME,
        {
            "command": f"python gallery/{NAME}.py",
            "settings": SETTINGS,
            "test_nats_per_character": {name: figure.nats_per_character for name, figure in figures.items()},
            "test_characters": len(text) - cut,
            "training_minutes": round(minutes, 1),
        },
    )
    shutil.copy(picture, path.with_suffix(".png"))
    print(f"\n{minutes:.1f} minutes of training. Receipt: {path} and {path.with_suffix('.png').name}")


if __name__ == "__main__":
    main()
