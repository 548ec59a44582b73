"""A small text, a small run on it, and the command line inside this process."""

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
    """Here and in the processes that tests start: the workers are the threads, and the bits are the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def elman() -> Callable[..., Result]:
    def run(*words: object) -> Result:
        return CliRunner().invoke(main, [str(word) for word in words], prog_name="elman")

    return run


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def small() -> list[str]:
    """The options of a net so small that it trains in no time."""
    return SMALL


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def trained(elman, text_file, tmp_path_factory) -> tuple[Path, Result]:
    """A run folder, and what the command that made it said."""
    run = tmp_path_factory.mktemp("runs") / "run"
    return run, elman("train", "language-model", text_file, "--out", run, *SMALL)


@pytest.fixture(scope="session")
def run_folder(trained) -> Path:
    return trained[0]
