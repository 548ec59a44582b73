"""The entries of the tasks for the command line."""

import sys
import tempfile

import pytest

from elman.cli import VERBS, main, tasks
from elman.cli.task_commands import TaskVerb, _modules, task_commands
from elman.runtime import TASKS

COMMANDS = [main.get_command(None, verb) for verb in VERBS]
TASK_VERBS = [command for command in COMMANDS if isinstance(command, TaskVerb)]


def test_every_task_has_an_entry():
    assert sorted(task_commands()) == sorted(TASKS)


@pytest.mark.parametrize("entry", task_commands().values(), ids=lambda entry: entry.task)
def test_an_entry_has_a_short_summary_and_examples_of_its_task(entry):
    assert entry.summary.endswith(".")
    assert len(entry.summary) <= 60
    assert all(line.startswith(f"elman train {entry.task} ") for line in entry.examples["train"])


@pytest.mark.parametrize(
    "command", [*TASK_VERBS, *main.get_command(None, "train").commands.values()], ids=lambda one: one.name
)
def test_no_two_options_of_a_command_have_the_same_name(command):
    names = [name for option in command.params for name in option.opts]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("raise NameError('x')", "NameError: x"),
        ("1 +", "SyntaxError: invalid syntax"),
        ("", "AttributeError: module 'elman.cli.tasks.a_draft' has no attribute 'COMMANDS'"),
        ("COMMANDS = 3", "AttributeError: 'int' object has no attribute 'task'"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
    ],
)
def test_a_module_that_cannot_be_imported_stops_only_its_task(
    elman, classifier_run, reviews, tmp_path, monkeypatch, content, why
):
    (tmp_path / "a_draft.py").write_text(content)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    _modules.cache_clear()
    try:
        result = elman("train", "a-draft", "data.txt", "--out", tmp_path / "run")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: a bug in elman (ImportError: elman.cli.tasks.a_draft: {why}")
        assert result.stderr.count("\n") == 1
        assert "cannot be imported" in elman("list").stdout
        assert elman("train", "--help").exit_code == 0
        assert sorted(task_commands()) == sorted(TASKS)
        assert elman("predict", classifier_run, reviews).exit_code == 0
    finally:
        sys.modules.pop("elman.cli.tasks.a_draft", None)
        _modules.cache_clear()


def test_help_lists_the_options_of_a_verb_by_task(elman):
    printed = elman("predict", "--help").stdout
    assert "Options for classifiers:\n  --text COLUMN" in printed
    assert "Options for captioners, summarizers and translators:\n  --beam N" in printed
    assert printed.index("Examples:") < printed.index("Without FILE")
