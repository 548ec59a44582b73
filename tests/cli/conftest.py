"""Fixtures of the command line: small data, models trained on it, and commands that run in this process."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from elman.cli import main

TEXT = "the cat sat on the mat and the dog sat on the log; " * 20
SMALL = [
    f"--set={setting}"
    for setting in ("hidden_size=8", "embedding_size=4", "epochs=2", "steps=20", "streams=2", "ngram_order=3",
                    "learning_rate=0.01")
]  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Use one thread here and in the processes that tests start; the bits do not depend on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def elman() -> Callable[..., Result]:
    def run(*words: object, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, [str(word) for word in words], prog_name="elman", input=stdin)

    return run


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Return options of a network that trains in a fraction of a second."""
    return SMALL


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def trained(elman, text_file, tmp_path_factory) -> tuple[Path, Result]:
    """Return the run folder of a language model, and the result of the command that trained it."""
    run = tmp_path_factory.mktemp("runs") / "run"
    return run, elman("train", "language-model", text_file, "--out", run, *SMALL)


@pytest.fixture(scope="session")
def run_folder(trained) -> Path:
    return trained[0]


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Return options of a classifier or a tagger that trains in a fraction of a second."""
    return ["--set=hidden_size=8", "--set=learning_rate=0.03", "--set=epochs=4"]


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a table of 80 reviews, whose label depends on the last word."""
    draw = random.Random(0)
    lines = ["sentence\tlabel"]
    for number in range(80):
        words = draw.choices(["the", "film", "plot", "actor"], k=3)
        last = draw.choice(["good", "great"] if number % 2 else ["bad", "dull"])
        lines.append(" ".join([*words, last]) + "\t" + ("pos" if number % 2 else "neg"))
    path = tmp_path_factory.mktemp("reviews") / "reviews.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def classified(elman, reviews, tiny, tmp_path_factory) -> tuple[Path, Result]:
    """Return the run folder of a classifier, and the result of the command that trained it."""
    run = tmp_path_factory.mktemp("runs") / "reviews"
    return run, elman("train", "classifier", reviews, "--text", "sentence", "--label", "label", "--out", run, *tiny)


@pytest.fixture(scope="session")
def classifier_run(classified) -> Path:
    return classified[0]


@pytest.fixture(scope="session")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a file of 60 sentences in columns: word, part of speech, entity."""
    draw = random.Random(0)
    lines = ["-DOCSTART- -X- O", ""]
    for _ in range(60):
        lines += [f"{draw.choice(['Ann', 'Bob'])} NNP B-PER", f"{draw.choice(['Lee', 'Ray'])} NNP I-PER", "went VB O",
                  "to TO O", f"{draw.choice(['Rome', 'Oslo'])} NNP B-LOC", ""]  # fmt: skip
    path = tmp_path_factory.mktemp("names") / "names.txt"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="session")
def tagged(elman, names, tiny, tmp_path_factory) -> tuple[Path, Result]:
    """Return the run folder of a tagger, and the result of the command that trained it."""
    run = tmp_path_factory.mktemp("runs") / "names"
    return run, elman("train", "tagger", names, "--out", run, *tiny)


@pytest.fixture(scope="session")
def tagger_run(tagged) -> Path:
    return tagged[0]
