"""The entries of the tasks for the command line."""

import pytest

from elman.cli import main
from elman.cli.task_commands import TaskVerb, task_commands
from elman.tasks import TASKS

VERBS = [command for command in main.commands.values() if isinstance(command, TaskVerb)]


def test_every_task_has_an_entry():
    assert sorted(task_commands()) == sorted(TASKS)


@pytest.mark.parametrize("entry", task_commands().values(), ids=lambda entry: entry.task)
def test_an_entry_has_a_short_summary_and_examples_of_its_task(entry):
    assert entry.summary.endswith(".")
    assert len(entry.summary) <= 60
    assert all(line.startswith(f"elman train {entry.task} ") for line in entry.examples["train"])


@pytest.mark.parametrize("command", [*VERBS, *main.commands["train"].commands.values()], ids=lambda one: one.name)
def test_no_two_options_of_a_command_have_the_same_name(command):
    names = [name for option in command.params for name in option.opts]
    assert len(names) == len(set(names))


def test_help_lists_the_options_of_a_verb_by_task(elman):
    printed = elman("predict", "--help").stdout
    assert "Options for classifiers:\n  --text COLUMN" in printed
    assert "Options for captioners, summarizers and translators:\n  --beam N" in printed
    assert printed.index("Examples:") < printed.index("Without FILE")
