import re
from dataclasses import dataclass

import numpy as np
import pytest

from elman import CellSettings, Tagger
from elman.settings import flat, parse, read_config, settings_of, write_config


@dataclass(kw_only=True)
class Machine:
    task = "machine"
    wheels: int = 4
    speed: float = 1.5
    name: str = "cart"
    brake: bool = True
    limit: float | None = None


def test_text_becomes_the_declared_type():
    given = {"wheels": "6", "speed": "2", "name": "6", "brake": "false", "limit": "none"}
    assert parse(Machine, given) == {"wheels": 6, "speed": 2.0, "name": "6", "brake": False, "limit": None}
    assert parse(Machine, {"limit": "3"}) == {"limit": 3.0}
    assert isinstance(parse(Machine, {"speed": 2})["speed"], float)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wheel": "3"}, "--set wheel: unknown; did you mean wheels?"),
        ({"xyzzy": "3"}, "--set xyzzy: unknown; known are wheels, speed, name, brake, limit"),
        ({"wheels": "3.5"}, "--set wheels: expected int, got '3.5'."),
        ({"wheels": True}, "--set wheels: expected int, got True."),
        ({"brake": "maybe"}, "--set brake: expected true or false, got 'maybe'."),
        ({"limit": "high"}, "--set limit: expected float or none, got 'high'."),
        ({"wheels": "none"}, "--set wheels: expected int, got 'none'."),
    ],
)
def test_errors_name_the_setting_the_expected_and_the_given_value(given, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse(Machine, given)


def test_config_keeps_every_setting_and_none(tmp_path):
    machine = Machine(wheels=3, name='a "quoted" näme', limit=None)
    write_config(tmp_path, machine, {"data": ["/some/text.txt"]})
    config = read_config(tmp_path)
    assert config["task"] == "machine"
    assert config["data"] == ["/some/text.txt"]
    assert Machine(**parse(Machine, config["settings"])) == machine
    assert settings_of(machine)["limit"] is None


@pytest.mark.parametrize(("start", "end"), [("", "\r"), ("", "\r\n"), ("\ufeff", "\n"), ("\ufeff", "\r\n")])
def test_config_is_read_as_editors_save_it(tmp_path, start, end):
    write_config(tmp_path, Machine(wheels=3), {})
    path, expected = tmp_path / "config.toml", read_config(tmp_path)
    path.write_bytes((start + path.read_text(encoding="utf-8").replace("\n", end)).encode())
    assert read_config(tmp_path) == expected


def test_a_folder_without_a_run_or_with_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run there"):
        read_config(tmp_path)
    (tmp_path / "config.toml").write_text("wheels = [")
    with pytest.raises(ValueError, match="not TOML"):
        read_config(tmp_path)
    (tmp_path / "config.toml").write_text("task = 'machine'")
    with pytest.raises(ValueError, match="settings, which is missing"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "source", [{"data": ["/a/caf\udce9.tsv"]}, {"reading": {"text": "\udcff"}}, {"data": ["\ud800" * 99]}]
)
def test_names_that_are_not_utf_8_are_an_error_and_leave_no_file(tmp_path, source):
    with pytest.raises(
        ValueError, match=r"config\.toml: expected names and settings in UTF-8, got '.*\\ud.*'; rename it"
    ):
        write_config(tmp_path, Machine(wheels=3), source)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_are_written_as_numbers(tmp_path):
    machine = Machine(wheels=np.int64(3), speed=np.float32(0.5), brake=np.bool_(False))
    write_config(tmp_path, machine, {})
    wanted = settings_of(Machine(wheels=3, speed=0.5, brake=False)) | {"limit": "none"}
    assert read_config(tmp_path)["settings"] == wanted


def test_options_of_a_cell_in_text_and_in_files(tmp_path):
    assert parse(Tagger, {"cell": "gru"}) == {"cell": "gru"}
    found = parse(Tagger, {"cell.zoneout_c": "0.1", "cell.chrono": "none", "hidden_size": "8"})
    assert found == {"cell": CellSettings("lstm", zoneout_c=0.1, chrono=None), "hidden_size": 8}
    assert parse(Tagger, {"cell": "gru", "cell.reset": "before"}) == {"cell": CellSettings("gru", reset="before")}
    task = Tagger(**found)
    assert settings_of(task)["cell"] == {"kind": "lstm", "zoneout_c": 0.1, "chrono": None}
    assert flat(settings_of(task))["cell.zoneout_c"] == 0.1
    write_config(tmp_path, task, {})
    assert "[settings.cell]" in (tmp_path / "config.toml").read_text()
    assert Tagger(**parse(Tagger, read_config(tmp_path)["settings"])) == task


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cell.zoneut_c": "0.1"}, "--set cell.zoneut_c: unknown option of cell=lstm; did you mean zoneout_c?"),
        ({"cell": "gru", "cell.peephole": "yes"}, "--set cell.peephole: cell=gru has no such option (available for "
                                                  "lstm); leave it out."),
        ({"cell.kind": "gruu"}, "--set cell: expected one of rnn, lstm, gru, min_gru, window_net, got 'gruu'; did you "
                                "mean gru? A cell of your own is added first: elman.cells.CELLS['gruu'] = YourCell, on "
                                "the command line in a module that elman --import MODULE imports before the verb."),
        ({"cell.zoneout_c": "much"}, "--set cell.zoneout_c: expected float, got 'much'."),
        ({"scheme.x": "1"}, "--set scheme.x: unknown; did you mean scheme?"),
        ({"cell.": "1"}, "--set cell.: unknown; did you mean cell?"),
    ],
)  # fmt: skip
def test_a_wrong_option_of_a_cell(given, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse(Tagger, given)
