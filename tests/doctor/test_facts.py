import json

import numpy as np
import pytest

from elman.doctor.facts import read_history
from elman.training.events import Evaluation, Score, Update
from elman.training.log_file import LogFile


def update(number, loss, norm):
    return Update(number, 1, number / 10, loss, norm, 1e-3, 20, 0.5 * number, 40.0)


@pytest.fixture
def log(tmp_path):
    """Write a file with some updates, an evaluation, and examinations in between."""
    path = tmp_path / "log.jsonl"
    write = LogFile(path)
    for number, (loss, norm) in enumerate([(2.0, 0.5), (1.5, 3.0), (1.0, 1.0), (0.75, 5.0), (0.5, 1.5)], 1):
        write(update(number, loss, norm))
        if number == 3:
            write(Evaluation(3, 1, Score("cross-entropy", 1.1), 1.1, 3, 1.6))
    write.close()
    with path.open("a") as file:
        for number in (1, 4):
            layers = {"cells.0": {"horizon": 10.0 * number, "loss": 9.0}}
            file.write(json.dumps({"update": number, "epoch": 1, "seconds": 0.1, "layers": layers}) + "\n")
    return path


def test_updates_and_examinations(log):
    found = read_history(log, 1.0)
    assert found.updates.tolist() == [1, 2, 3, 4, 5]
    assert found.losses.tolist() == [2.0, 1.5, 1.0, 0.75, 0.5]
    assert found.norms.tolist() == [0.5, 3.0, 1.0, 5.0, 1.5]
    assert [one["layers"]["cells.0"]["horizon"] for one in found.examined] == [10.0, 40.0]
    assert found.non_finite == 0


def test_clipping(log):
    found = read_history(log, 1.0)
    assert found.clipped == 3 / 5  # a gradient exactly at the limit is not clipped
    assert found.clip_ratio == 3.0
    assert read_history(log, 0.1)[3:5] == (1.0, 15.0)
    assert read_history(log, 10.0)[3:5] == read_history(log, None)[3:5] == (0.0, 1.0)


def test_non_finite_updates_are_counted(log):
    write = LogFile(log, keep=log.stat().st_size)
    write(update(6, float("nan"), 1.0))
    write(update(7, 1.0, float("inf")))
    write.close()
    found = read_history(log, 1.0)
    assert found.non_finite == 2
    assert np.isnan(found.losses[5])


def test_an_incomplete_last_line_is_ignored(log):
    whole = read_history(log, 1.0)
    with log.open("a") as file:
        file.write('{"update": 6, "gradient_norm": 1')
    assert read_history(log, 1.0).updates.tolist() == whole.updates.tolist()


@pytest.mark.parametrize("wrong", ["{half", "[1, 2]", "7"])
def test_any_other_line_that_is_no_object_is_an_error(log, wrong):
    log.write_text(f"{wrong}\n{log.read_text()}")
    with pytest.raises(ValueError, match=r"log\.jsonl, line 1: expected a JSON object, got '.*'; repair or delete it"):
        read_history(log, 1.0)


def test_an_empty_log_has_an_empty_history(tmp_path):
    (tmp_path / "log.jsonl").touch()
    found = read_history(tmp_path / "log.jsonl", 1.0)
    assert len(found.updates) == len(found.losses) == len(found.norms) == len(found.examined) == 0
    assert (found.clipped, found.clip_ratio, found.non_finite) == (0.0, 1.0, 0)
