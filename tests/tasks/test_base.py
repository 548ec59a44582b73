"""Behaviour that all tasks share: runs, plans, progress, and files of fitted models."""

import logging

import numpy as np
import pytest

import elman
from elman import Classifier, LanguageModel
from elman.errors import RowError
from elman.tasks.base import Score
from elman.tasks.run import Run
from elman.training import Update

ROWS, LABELS = ["a b", "b c", "c a a"] * 8, ["x", "y", "x"] * 8
SMALL = {"hidden_size": 4, "embedding_size": 4, "epochs": 2}


def test_a_run_is_a_value(tmp_path):
    assert Run.of(None) == Run()
    assert Run.of(str(tmp_path)) == Run.of(tmp_path) == Run(tmp_path)
    assert Run.of(run := Run(tmp_path, resume=True)) is run
    Run(tmp_path / "new").check()
    Run(tmp_path).check()  # an empty folder
    with pytest.raises(FileNotFoundError, match=r"no run to resume \(config\.toml is missing\)"):
        Run(tmp_path, resume=True).check()
    with pytest.raises(ValueError, match="run: expected a folder to resume, got none"):
        Run(resume=True).check()
    (tmp_path / "a file").touch()
    with pytest.raises(FileExistsError, match=r"exists already; resume the run in it"):
        Run(tmp_path).check()


def test_settings_are_checked_before_anything_is_read_or_written(tmp_path):
    for run in (None, tmp_path / "run"):
        with pytest.raises(ValueError, match="validation: expected at least 0 and less than 1, got 2"):
            Classifier(validation=2).fit(None, None, run=run)
    assert not (tmp_path / "run").exists()


def test_a_plan_trains_nothing_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = Classifier(**SMALL)
    plan = model.plan(ROWS, LABELS)
    assert not hasattr(model, "net_")
    assert not list(tmp_path.iterdir())
    events = []
    model.fit(ROWS, LABELS, run=Run(observers=[events.append]))
    assert plan.updates == sum(isinstance(event, Update) for event in events)
    assert plan.parameters == sum(parameter.numel() for parameter in model.net_.parameters())
    assert 0 < plan.seconds < 60
    assert str(plan).splitlines()[0] == "21 rows of words, 5 different, 48 steps; 3 rows held out; 2 classes"
    network = "network: 1 x lstm of 4 units, in both directions, max pooling"
    assert str(plan).splitlines()[1] == f"{network}, {plan.parameters:,} parameters"
    assert f"{plan.updates} updates, expected to take" in str(plan)
    assert str(plan).endswith("; best weights by calibrated cross-entropy")


def test_a_plan_has_the_errors_of_fit():
    with pytest.raises(RowError, match="row 2: expected text"):
        Classifier(**SMALL).plan([*ROWS[:2], 3, *ROWS], [*LABELS[:2], "x", *LABELS])
    with pytest.raises(ValueError, match="cell: expected one of"):
        LanguageModel(cell="lstn").plan("abc" * 100)


def test_the_log_describes_data_and_network(caplog):
    with caplog.at_level(logging.INFO, "elman"):
        Classifier(**SMALL).fit(ROWS, LABELS)
    assert "2 classes" in caplog.text
    assert "network: 1 x lstm of 4 units" in caplog.text


def test_progress_is_reported_inside_the_context_alone():
    model, parts = Classifier(**SMALL).fit(ROWS, LABELS), []
    with model.reporting(parts.append):
        model.evaluate(ROWS, LABELS)
    assert parts[-1] == 1
    count = len(parts)
    model.predict(ROWS)
    assert len(parts) == count


def test_validation_data_replace_the_held_out_part():
    model = Classifier(**SMALL).fit(ROWS, LABELS, validation_data=(["a"], ["x"]))
    assert (model.held_out_[0], model.held_out_[1].tolist()) == (["a"], ["x"])
    model = LanguageModel(**SMALL, steps=5, streams=2, ngram_order=0).fit("abcab" * 20, validation_data="abcabc")
    assert model.held_out_ == ["abcabc"]


def test_a_score_is_turned_into_an_error_to_minimise():
    assert Score("accuracy", 0.75, higher_is_better=True).error == 0.25
    assert Score("nats per unit", 2.5).error == 2.5


def test_results_come_back_in_the_order_of_the_rows():
    model = Classifier(**SMALL).fit(ROWS, LABELS)
    rows = ["a", "a b c a b c", "", "b c"] * 5
    together = model.predict_proba(rows)
    assert np.allclose(together, np.concatenate([model.predict_proba([row]) for row in rows]), atol=1e-6)
    assert model.predict_proba([]).shape == (0, 2)


def test_a_file_of_an_unknown_task_and_a_checkpoint_are_errors(tmp_path):
    model = Classifier(**SMALL).fit(ROWS, LABELS, run=tmp_path / "run")
    with pytest.raises(ValueError, match="expected a trained model, got a checkpoint"):
        elman.load(tmp_path / "run" / "last.safetensors")
    model.task = "clasifier"
    model.save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors: expected one of .*, got 'clasifier'"):
        elman.load(tmp_path / "other.safetensors")
