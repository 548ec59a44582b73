import re

from elman import layers
from elman.cells import CELLS
from elman.tasks import TASKS
from elman.tasks.settings import settings_of


def test_every_task_setting_cell_and_layer_with_what_it_is(elman):
    result = elman("list")
    assert result.exit_code == 0, result.output
    told, models = result.stdout.split("\ncells\n")
    for task, settings in zip(TASKS.values(), told.split("\ntask "), strict=True):
        for name, default in settings_of(task()).items():
            said = str(default).lower() if default is None or isinstance(default, bool) else default
            assert re.search(rf"^  {re.escape(f'{name}={said}')}  +\S", settings, re.MULTILINE), name
    rows = dict(line.strip().split("  ", 1) for line in models.splitlines() if "  " in line.strip())
    assert set(CELLS) | (set(layers.__all__) - {"set_key"}) | {"NGram"} <= set(rows)
    assert "set_key" not in rows
    assert "Hochreiter and Schmidhuber 1997" in rows["lstm"]
    assert [name for name in rows if "Does not stream." in rows[name]] == ["Bidirectional", "Reversed"]
