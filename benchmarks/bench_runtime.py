"""Trained models without PyTorch, against the same models in PyTorch; and the start of `elman predict` and its memory.

The tagger reads 10,000 sentences of CoNLL-2003, the translator the test of 2016 of Multi30k with a beam of 5, the
classifier the 6,920 sentences of SST-2, each with the weights of one epoch. The command line is timed from the start of
the process to its first output; its memory is the largest resident set, without the size of the model file.
"""

import gzip
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from epochs import data_folder, prepared
from peak_memory import process_memory
from report import Claim, Report
from timing import Contestant

import elman
from elman import runtime
from elman.data.readers import read_labelled, read_tagged
from elman.tasks import Classifier, Tagger, Translator

SENTENCES = 10_000
START, MEMORY = 0.5, 80  # seconds; megabytes in addition to the model file
STARTS = 7
MODELS = ["tagger", "classifier", "translator"]


def trained(word: str, folder: Path) -> tuple[Any, list[Any], dict[str, Any], str]:
    """Return a task after one epoch, the rows to predict, the options of `predict`, and a line for the command line."""
    if word == "tagger":
        data = read_tagged(folder / "conll2003" / "eng.train.gz")
        ready, rows, options, line = prepared(Tagger, *data[:2]), data.inputs[:SENTENCES], {}, "Ann went to Rome."
    elif word == "classifier":
        data = read_labelled(folder / "sst2" / "train.tsv.gz", text=1, label=2)
        ready, rows, options = prepared(Classifier, *data[:2]), data.inputs[:SENTENCES], {}
        line = "a fine film"
    else:
        sides = [lines(folder / "multi30k" / f"train.{side}.gz") for side in ("en", "de")]
        ready = prepared(Translator, *sides, lowercase=True, vocabulary_size=5000)
        rows, options = lines(folder / "multi30k" / "test_2016_flickr.en.gz"), {"beam": 5}
        line = "two men are at the stove ."
    ready.train()
    return ready.task, list(rows), options, line


def lines(file: Path) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        return text.read().splitlines()


def started(run: Path, line: str) -> tuple[float, float]:
    """Return the seconds to the first output of `elman predict`, and the megabytes of its process."""
    command = [sys.executable, "-m", "elman.cli", "predict", str(run)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    process.stdout.readline()
    seconds = time.perf_counter() - began
    peak = process_memory("VmHWM", process.pid) / 1e6  # not ru_maxrss, which includes the process that started this one
    process.stdin.close()
    process.stdout.close()
    process.wait()
    return seconds, peak


def main() -> None:
    report, folder = Report("runtime", __doc__, models=MODELS), data_folder()
    if folder is None:
        return
    claims = []
    with tempfile.TemporaryDirectory() as place:
        for word in report.options.models:
            task, rows, options, line = trained(word, folder)
            file = Path(place) / f"{word}.safetensors"
            task.save(file)
            models = {"PyTorch": elman.load(file), "runtime": runtime.load(file)}
            found = {name: model.predict(rows, **options) for name, model in models.items()}
            same = sum(map(same_rows, *found.values())) / len(rows)
            contestants = [Contestant(name, partial(model.predict, rows, **options)) for name, model in models.items()]
            report.race(word, f"{len(rows):,} rows", contestants, equal_predictions=same)
            print(f"  {same:.2%} of the predictions are equal", flush=True)
            claims.append(Claim(f"{word}, {len(rows):,} rows, speed relative to PyTorch", 1.0,
                                1 / report.ratio("runtime", shape=word)))  # fmt: skip
            starts = [started(file, line) for _ in range(STARTS)]
            seconds, size = min(one[0] for one in starts), min(one[1] for one in starts) - file.stat().st_size / 1e6
            report.rows[-1] |= {"start_seconds": seconds, "megabytes_without_model": size}
            print(f"  elman predict: first output after {seconds:.2f} s, {size:.0f} MB and the model", flush=True)
            claims += [Claim(f"{word}, start of elman predict, target / seconds", 1.0, START / seconds),
                       Claim(f"{word}, memory, target / megabytes", 1.0, MEMORY / size)]  # fmt: skip
    report.claims = claims
    report.finish()


def same_rows(one: Any, other: Any) -> bool:
    return bool(one == other)


if __name__ == "__main__":
    main()
