"""The task of docs/adding-a-task.md works as the page says: its blocks are installed, its commands run."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import elman.cli.tasks
import elman.tasks
from elman.cli import main
from elman.cli.task_commands import task_commands

PAGE = (Path(__file__).parent.parent / "docs" / "adding-a-task.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TASK, COMMANDS, DATA = [code for language, code in BLOCKS if language == "python"][:3]
CONSOLE = next(code for language, code in BLOCKS if language == "console")


@pytest.fixture
def parity(tmp_path, monkeypatch):
    """Install the two files of the page, and the line of the registry, for one test."""
    for package, code in ((elman.tasks, TASK), (elman.cli.tasks, COMMANDS)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "parity.py").write_text(code)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    word, home = re.search(r'^    "(\w+)": "([\w.:]+)",$', PAGE, re.MULTILINE).groups()
    monkeypatch.setitem(elman.tasks.TASKS, word, home)
    monkeypatch.chdir(tmp_path)
    task_commands.cache_clear()
    yield elman.tasks.task_class(word)
    task_commands.cache_clear()


def test_the_two_files_are_short():
    assert len((TASK + COMMANDS).splitlines()) <= 120


def test_the_commands_of_the_page_run(parity):
    names = dict(vars(__import__(parity.__module__, fromlist=["LABELS"])))
    exec(DATA, names)
    printed = {}
    for line in CONSOLE.splitlines():
        result = CliRunner().invoke(main, shlex.split(line)[1:], catch_exceptions=False)
        assert result.exit_code == 0, f"{line}: {result.output}"
        printed.setdefault(line.split()[1], result.output)
    assert re.search(r"accuracy\D+(\d\.\d+|\d+)", printed["evaluate"])
    labels = [line.split("\t")[0] for line in printed["predict"].splitlines()]
    right = [line.split("\t")[1] for line in Path("long.tsv").read_text().splitlines()]
    assert sum(map(str.__eq__, labels, right)) > 190  # of 200
    model = elman.load("runs/parity")
    assert isinstance(model, parity)
    assert model.predict(["1" * 51, "1" * 52]) == ["odd", "even"]
    assert "cell=" in printed["list"]
