import json
import struct

import pytest

from elman.pictures import loss_curves


def evaluation(update, name, value, higher_is_better=False):
    return {"update": update, "evaluation": {name: value}, "higher_is_better": higher_is_better, "best": 0.0}


def test_a_picture_of_a_log(tmp_path):
    events = [{"update": number, "loss": 3.0 / number} for number in range(1, 1000)]
    events += [evaluation(number, "nats per unit", 4.0 / number) for number in range(100, 1000, 100)]
    log, picture = tmp_path / "log.jsonl", tmp_path / "curves.png"
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    loss_curves(log, baseline=0.5, name="7-gram").savefig(picture, dpi=120)
    header = picture.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:]) == (960, 600)


def test_a_run_without_evaluations(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"update": 1, "loss": 2.5}\n')
    [line] = loss_curves(log).axes[0].lines
    assert line.get_label() == "training loss"
    assert line.get_xydata().tolist() == [[1.0, 2.5]]


def test_the_axis_has_the_name_and_the_direction_of_the_evaluation(tmp_path):
    for name, higher, label in (
        ("F1", True, "F1 (higher is better)"),
        ("perplexity", False, "perplexity (lower is better)"),
    ):
        log = tmp_path / "log.jsonl"
        events = [{"update": 1, "loss": 2.5}, evaluation(1, name, 0.5, higher)]
        log.write_text("".join(json.dumps(event) + "\n" for event in events))
        left, right = loss_curves(log, baseline=0.25, name="HMM").axes
        assert (left.get_ylabel(), right.get_ylabel()) == ("training loss", label)
        assert [line.get_label() for line in right.lines] == [f"{name}, validation", "HMM, validation"]
        assert [text.get_text() for text in left.get_legend().get_texts()][1:] == [
            f"{name}, validation",
            "HMM, validation",
        ]


def test_nats_per_unit_share_the_axis_of_the_training_loss(tmp_path):
    log = tmp_path / "log.jsonl"
    events = [{"update": 1, "loss": 2.5}, evaluation(1, "nats per unit", 2.0)]
    log.write_text("".join(json.dumps(event) + "\n" for event in events))
    [axes] = loss_curves(log).axes
    assert axes.get_ylabel() == "nats per unit"
    assert [line.get_label() for line in axes.lines] == ["training loss", "nats per unit, validation"]


def test_a_run_folder_its_name_and_its_log_give_the_same_picture(tmp_path, monkeypatch):
    run = tmp_path / "ab"
    run.mkdir()
    (run / "log.jsonl").write_text('{"update": 1, "loss": 2.5}\n{"update": 2, "lo')  # a killed run
    monkeypatch.chdir(run)
    for given in (run, str(run), run / "log.jsonl", "log.jsonl", "."):
        [axes] = loss_curves(given).axes
        assert axes.get_title() == "ab: 1 updates"


def test_other_runs_are_one_clear_line(tmp_path):
    (tmp_path / "log.jsonl").write_text("")
    for given, error, message in (
        ("nowhere", FileNotFoundError, "nowhere: is missing; expected a run folder"),
        (tmp_path.parent / "other", FileNotFoundError, "other: is missing"),
        (tmp_path, ValueError, "log.jsonl: expected at least one update, got none"),
        (3, TypeError, "expected a run folder or its log.jsonl, got int"),
        (None, TypeError, "got NoneType"),
    ):
        with pytest.raises(error, match=message) as caught:
            loss_curves(given)
        assert "\n" not in str(caught.value)
