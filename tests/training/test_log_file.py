import errno
import json
import resource
from pathlib import Path

import pytest

from elman.training.events import Evaluation, Examined, Score, numbers
from elman.training.log_file import LogFile

EVENT = Evaluation(7, 1, Score("F1", 0.1 + 0.2, higher_is_better=True), 0.3, 7, 1.5)


def test_every_event_is_written_at_once(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log.jsonl")
    for count in (1, 2):
        log(EVENT)
        lines = (tmp_path / "log.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == count * [numbers(EVENT)]  # floats to the last bit
    assert log.sync() == (tmp_path / "log.jsonl").stat().st_size
    log.close()


def test_the_value_of_an_evaluation_has_the_name_of_its_score() -> None:
    assert numbers(EVENT) == {
        "update": 7, "epoch": 1, "evaluation": {"F1": 0.1 + 0.2}, "higher_is_better": True, "best": 0.3,
        "best_update": 7, "seconds": 1.5,
    }  # fmt: skip


def test_a_number_that_is_not_finite_is_null(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log.jsonl")
    numbers = {"horizon": float("inf"), "half_life": float("nan"), "growth": 0.5, "forget_histogram": [0.0, 1.0]}
    log(Examined(7, 1, 1.5, {"cells.0": numbers}))
    log.close()
    text = (tmp_path / "log.jsonl").read_text()
    assert "NaN" not in text
    assert json.loads(text)["layers"]["cells.0"] == {**numbers, "horizon": None, "half_life": None}


def test_resuming_cuts_off_lines_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"kept\nlost\nhalf a li")
    log = LogFile(path, keep=5)
    log(EVENT)
    assert log.sync() == path.stat().st_size
    log.close()
    assert path.read_bytes() == b"kept\n" + json.dumps(numbers(EVENT)).encode() + b"\n"


def test_a_shortened_log_is_not_padded(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"a\n")
    LogFile(path, keep=100).close()
    assert path.read_bytes() == b"a\n"


def test_a_full_disk_is_an_error_of_one_line(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log.jsonl")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        log(EVENT)
        with pytest.raises(
            OSError, match=r"log\.jsonl: not written: .*; free some disk space, then resume the run"
        ) as caught:
            log(EVENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        log.close()
    assert caught.value.errno == errno.EFBIG
