"""The task of docs/adding-a-task.md works as documented: its blocks are installed, its commands run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "adding-a-task.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MODEL, TASK, COMMANDS, DATA, PYTHON = [code for language, code in BLOCKS if language == "python"][:5]
CONSOLE = next(code for language, code in BLOCKS if language == "console")
INSTALLED = """
import json, shlex, sys, types
import elman.runtime, elman.tasks
elman.runtime.__path__.append("runtime")
elman.tasks.__path__.append("tasks")
elman.runtime.TASKS |= {%s}
commands = sys.modules["elman.cli.tasks"] = types.ModuleType("elman.cli.tasks")  # before elman.cli lists its modules
commands.__path__ = [elman.__path__[0] + "/cli/tasks", "commands"]
from click.testing import CliRunner
from elman.cli import main
from elman.tasks.parity import *
exec(open("data.py").read())
for line in open("console").read().splitlines():
    result = CliRunner().invoke(main, shlex.split(line)[1:], catch_exceptions=False)
    print(json.dumps([line, result.exit_code, result.output]))
for load in (elman.load, elman.runtime.load):
    model = load("runs/parity")
    print(json.dumps([type(model).__name__, 0, model.predict(["1" * 51, "1" * 52])]))
print(json.dumps(["python", 0, ""]), flush=True)
exec(open("python.py").read())
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Install the blocks of the page and its line of the registry, run its commands, and return what they print."""
    folder = tmp_path_factory.mktemp("parity")
    for name, code in {"runtime": MODEL, "tasks": TASK, "commands": COMMANDS}.items():
        (folder / name).mkdir()
        (folder / name / "parity.py").write_text(code)
    (folder / "data.py").write_text(DATA)
    (folder / "python.py").write_text(PYTHON)
    (folder / "console").write_text(CONSOLE)
    registered = re.search(r'^    ("\w+": "\w+"),$', PAGE, re.MULTILINE)[1]
    run = subprocess.run([sys.executable, "-c", INSTALLED % registered], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    *lines, printed = run.stdout.splitlines()
    assert printed == "['odd', 'even']"
    lines = [json.loads(line) for line in lines]
    assert all(code == 0 for _, code, _ in lines), lines
    labels = [line.split("\t")[1] for line in (folder / "long.tsv").read_text().splitlines()]
    return {line: output for line, _, output in lines}, labels


def test_the_three_files_are_short():
    assert len((MODEL + TASK + COMMANDS).splitlines()) <= 130


def test_it_generalises_from_short_strings_to_long_ones(printed):
    outputs, labels = printed
    predicted = outputs["elman predict runs/parity long.tsv"].splitlines()
    assert sum(line.split("\t")[0] == label for line, label in zip(predicted, labels, strict=True)) > 190  # of 200
    assert outputs["Parity"] == outputs["TrainedParity"] == ["odd", "even"]


def test_every_command_works(printed):
    outputs, _ = printed
    train, resume, evaluate, _, doctor, settings = map(outputs.get, CONSOLE.splitlines())
    assert "rows to train on" in train
    assert "The run is in runs/parity" in resume
    assert "accuracy" in evaluate
    assert "LSTM(8 -> 16)" in doctor
    assert "learning_rate=0.01" in settings
