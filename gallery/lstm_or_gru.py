"""LSTM or GRU? Training speed, accuracy and overfitting of both, with equal numbers of weights.

    python gallery/lstm_or_gru.py --data DIR

A GRU has three blocks of weights and an LSTM four, so with equal numbers of weights the GRU has more units. The tasks
are sentiment of sentences (SST-2) and languages of surnames. The table shows the training time per step (median update,
divided by its steps), accuracy on the training part and the held-out part, and the gap between them: overfitting. To
change to a GRU, use `--set cell=gru`.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import labelled
import names
import receipt

from elman.data.readers import read_labelled

NAME = "lstm_or_gru"
UNITS = {
    "sst2": {"lstm": 128, "gru": 158},
    "names": {"lstm": 128, "gru": 158},
}  # equally many weights
AT_MOST = 1.02  # recurrent weights of the GRU / those of the LSTM


def step_microseconds(folder: Path) -> float:
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return 1e6 / statistics.median(event["steps_per_second"] for event in events if "loss" in event)


def recurrent_weights(model: Any) -> int:
    layers = model.net_.cells[0]
    return sum(weight.numel() for name, weight in layers.named_parameters() if "weight_" in name)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with sst2/ and names/")
    parser.add_argument("--run", type=Path, help="folder of the runs")
    given = parser.parse_args(arguments)
    data, folder = receipt.data_folder(given.data), receipt.run_folder(NAME, given.run)
    folder.mkdir(parents=True, exist_ok=True)
    train, test = names.split(data / "names" / "train.tsv.gz")
    for part, lines in (("train", train), ("test", test)):
        names.write_lines(lines, folder / f"{part}.tsv")
    parts = {
        "sst2": (data / "sst2" / "train.tsv.gz", data / "sst2" / "dev.tsv.gz", []),
        "names": (folder / "train.tsv", folder / "test.tsv", ["--set", "units=characters"]),
    }
    rows: dict[str, dict[str, Any]] = {}
    for task, (training, held_out, settings) in parts.items():
        for cell, units in UNITS[task].items():
            words = ["classifier", training, "--validation", held_out, "--text", "1", "--label", "2", *settings]
            own = ["--set", f"cell={cell}", "--set", f"hidden_size={units}"]
            run = labelled.train([*words, *own], folder / f"{task}-{cell}", data)
            parts_read = [read_labelled(path, text="1", label="2") for path in (training, held_out)]
            scores = [run.model.score(part.inputs, part.labels) for part in parts_read]
            rows[f"{task}, {cell}"] = {
                "weights": recurrent_weights(run.model),
                "microseconds_a_step": round(step_microseconds(run.folder), 2),
                "train": round(scores[0], 4),
                "dev": round(scores[1], 4),
                "gap": round(scores[0] - scores[1], 4),
                "minutes": round(run.minutes, 2),
            }
    print(f"\n{'':14}" + "".join(f"{name:>21}" for name in next(iter(rows.values()))))
    for name, row in rows.items():
        print(f"{name:14}" + "".join(f"{value:21,}" for value in row.values()))
    ratio = max(rows[f"{task}, gru"]["weights"] / rows[f"{task}, lstm"]["weights"] for task in UNITS)
    facts = {
        "command": f"python gallery/{NAME}.py --data DIR",
        "result": {"measure": "weights of the GRUs / weights of the LSTMs, at most", "published": None,
                   "at_most": AT_MOST, "reached": round(ratio, 4)},
        "nets": rows,
        "training_minutes": round(sum(row["minutes"] for row in rows.values()), 2),
    }  # fmt: skip
    receipt.write_with_figure(NAME, facts, _figure(rows))


def _figure(rows: dict[str, dict[str, Any]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    times, scores = figure.subplots(1, 2)
    times.barh(list(rows), [row["microseconds_a_step"] for row in rows.values()], color="tab:blue")
    times.set(xlabel="microseconds per training step")
    places = range(len(rows))
    scores.barh([place - 0.2 for place in places], [100 * row["train"] for row in rows.values()], 0.4, label="train")
    scores.barh([place + 0.2 for place in places], [100 * row["dev"] for row in rows.values()], 0.4, label="dev")
    scores.set_yticks(list(places), list(rows))
    scores.set(xlabel="accuracy, %", xlim=(60, 100))
    scores.legend()
    return figure


if __name__ == "__main__":
    main()
