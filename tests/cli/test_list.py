import re
import sys
from dataclasses import fields

from elman import layers
from elman.cells import CELLS
from elman.runtime import TASKS
from elman.tasks import task_class


def test_the_list_names_every_task_cell_and_layer_on_one_screen(elman):
    result = elman("list")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    words = set(re.findall(r"[\w-]+", result.stdout))
    assert {*TASKS, *CELLS, *(name for name in layers.__all__ if name[0].isupper()), "NGram"} <= words
    assert "set_key" not in words


def test_the_settings_of_a_task_by_group_with_default_and_meaning(elman):
    for name in TASKS:
        result = elman("list", name)
        assert result.exit_code == 0, result.output
        for field in fields(task_class(name)):
            plain = field.default is None or isinstance(field.default, bool)
            value = str(field.default).lower() if plain else field.default
            assert re.search(rf"^  {re.escape(f'{field.name}={value}')}\s+\S", result.stdout, re.MULTILINE), field.name
        groups = re.findall(r"^(\w[\w ]*)$", result.stdout, re.MULTILINE)
        assert {"Recurrent", "Training"} < set(groups)
        assert result.stdout.endswith("for --set cell.NAME=VALUE.\n")


def test_the_options_of_a_cell(elman):
    result = elman("list", "lstm")
    assert result.exit_code == 0, result.output
    assert "Hochreiter and Schmidhuber 1997" in result.stdout
    assert re.search(r"^  zoneout_c=0\.0 +probability", result.stdout, re.MULTILINE)
    assert re.search(r"^  input_size +features", result.stdout, re.MULTILINE)


def test_an_unknown_name(elman):
    result = elman("list", "lstn")
    assert result.exit_code == 2
    assert "lstn: expected the name of a task, a cell or a layer; did you mean lstm?" in result.stderr


def test_without_pytorch_tasks_and_classical_models_are_listed(elman, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = elman("list")
    assert result.exit_code == 0, result.output
    assert {*TASKS, "NGram"} <= set(re.findall(r"[\w-]+", result.stdout))
    assert "where PyTorch is installed" in result.stdout
    settings = elman("list", "translator").stdout
    assert re.search(r"^  source_limit=1000 +units of a source", settings, re.MULTILINE)
    assert "learning_rate" not in settings
    assert "needs the package torch" in elman("list", "lstm").stderr
