from elman import layers
from elman.cells import CELLS
from elman.tasks import LanguageModel
from elman.tasks.settings import settings_of


def test_every_task_setting_cell_and_layer_with_what_it_is(elman):
    result = elman("list")
    assert result.exit_code == 0, result.output
    rows = dict(line.strip().split("  ", 1) for line in result.stdout.splitlines() if "  " in line.strip())
    for name, default in settings_of(LanguageModel()).items():
        said = (
            {None: "none", True: "true", False: "false"}.get(default)
            if default is None or isinstance(default, bool)
            else default
        )
        assert rows[f"{name}={said}"], name
    assert set(CELLS) | (set(layers.__all__) - {"set_key"}) | {"NGram"} <= set(rows)
    assert "set_key" not in rows
    assert "Hochreiter and Schmidhuber 1997" in rows["lstm"]
    assert result.stdout.count("Does not stream.") == 1
