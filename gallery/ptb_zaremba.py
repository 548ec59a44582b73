"""Word language model of the Penn Treebank: the small LSTM of Zaremba, Sutskever and Vinyals 2014, arXiv:1409.2329.

    python gallery/ptb_zaremba.py --data DIR

Two layers of 200 units, without dropout, trained with the paper's settings. Each part of the treebank is one document:
each line ends with the unit `<eos>`, and the state is carried across lines, in training and in the test. The weights
are those of the epoch with the lowest loss on the validation part.

The units are the paper's 10,000 words and the boundary of documents, so there is one unit more to predict. The 5-gram
has modified Kneser-Ney smoothing. The published figure is the one in the README of the authors' code.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import receipt

from elman.cli.console import log_messages
from elman.tasks import LanguageModel

NAME = "ptb_zaremba"
PUBLISHED, AT_MOST = 115, 117  # perplexity of the test part
SETTINGS = {
    "units": "words",
    "min_count": 1,
    "ngram_order": 5,
    "embedding_size": 200,
    "hidden_size": 200,
    "num_layers": 2,
    "dropout": 0.0,
    "init_range": 0.1,
    "streams": 20,
    "steps": 20,
    "shuffle": False,
    "reduction": "sum",
    "optimizer": "sgd",
    "learning_rate": 1.0,
    "schedule": "step",
    "decay": 0.5,
    "decay_after": 4,
    "epochs": 13,
    "clip_norm": 5.0,
    "seed": 0,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder that holds ptb/ptb.{train,valid,test}.txt.gz")
    parser.add_argument("--run", type=Path, help="the run folder; runs/ptb_zaremba-1 or later")
    given = parser.parse_args(arguments)
    train, valid, test = (
        receipt.data_folder(given.data) / "ptb" / f"ptb.{part}.txt.gz" for part in ("train", "valid", "test")
    )
    run = receipt.run_folder(NAME, given.run)
    began = time.perf_counter()
    model = LanguageModel(**SETTINGS)
    with log_messages():
        model.fit(train, validation_data=valid, verbose=True, run=run)
    minutes = (time.perf_counter() - began) / 60
    speeds = receipt.speeds(model, run)
    print(f"\n{minutes:.1f} minutes; {speeds['elman']:,} words per second, torch.nn {speeds['torch.nn']:,}.")

    figures = {}
    for name, part in (("validation", valid), ("test", test)):
        print(f"\nThe {name} part:")
        report = model.compare(part)
        figures[name] = report.figures
        print(report.table())
    receipt.write(
        NAME,
        {
            "command": f"python gallery/{NAME}.py --data DIR",
            "settings": SETTINGS,
            "result": {
                "measure": "test perplexity",
                "published": PUBLISHED,
                "at_most": AT_MOST,
                "reached": round(figures["test"]["LSTM"].perplexity, 2),
            },
            "perplexity": {
                part: {name: round(figure.perplexity, 2) for name, figure in both.items()}
                for part, both in figures.items()
            },
            "test_units": figures["test"]["LSTM"].units,
            "training_minutes": round(minutes, 1),
            "training_words_per_second": speeds,
        },
        run,
        figures["validation"]["5-gram"].nats_per_unit,
        "5-gram",
    )


if __name__ == "__main__":
    main()
