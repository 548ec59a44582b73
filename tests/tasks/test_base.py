"""Behaviour that all tasks share: runs, plans, progress, and files of fitted models."""

import io
import logging
import re
import sys

import numpy as np
import pytest

import elman
from elman import Captioner, Classifier, LanguageModel, progress
from elman.errors import RowError
from elman.tasks.model import Model
from elman.tasks.run import Run
from elman.training import Update, run_lock

ROWS, LABELS = ["a b", "b c", "c a a"] * 8, ["x", "y", "x"] * 8
SMALL = {"hidden_size": 4, "embedding_size": 4, "epochs": 2}


def test_a_run_is_a_value(tmp_path):
    assert Run.of(None) == Run()
    assert Run.of(str(tmp_path)) == Run.of(tmp_path) == Run(tmp_path)
    assert Run.of(run := Run(tmp_path, resume=True)) is run
    Run(tmp_path / "new").check(Classifier())
    Run(tmp_path).check(Classifier())  # an empty folder
    with pytest.raises(FileNotFoundError, match=r"no run to resume \(config\.toml is missing\)"):
        Run(tmp_path, resume=True).check(Classifier())
    with pytest.raises(ValueError, match="run: expected a folder to resume, got none"):
        Run(resume=True).check(Classifier())
    (tmp_path / "a file").touch()
    with pytest.raises(FileExistsError, match=r"exists already; resume the run in it"):
        Run(tmp_path).check(Classifier())


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


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ((), TypeError, r"Classifier\.fit: expected validation_data=\(X, y\), got 0 parts\."),
        ((ROWS,), TypeError, "got 1 parts"),
        ((ROWS, LABELS, LABELS), TypeError, "got 3 parts"),
        ("ab", TypeError, "got str"),
        (3, TypeError, "got int"),
        (np.zeros((2, 2)), TypeError, "got ndarray"),
        (([], []), ValueError, r"Classifier\.fit: expected rows in validation_data, got none\."),
        ((ROWS, None), ValueError, "the target y is None"),
        ((None, LABELS), TypeError, "expected a list of rows, got NoneType"),
        ((["a", 3], ["x", "x"]), TypeError, "validation row 1: expected text"),
        ((["a"], ["z"]), ValueError, "validation row 0: the training rows do not have the class 'z'"),
    ],
)
def test_wrong_validation_data(given, error, message):
    with pytest.raises(error, match=message):
        Classifier(**SMALL).fit(ROWS, LABELS, validation_data=given)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("validation", "0.1", "a number"),
        ("validation", None, "a number"),
        ("hidden_size", 4.0, "a whole number"),
        ("hidden_size", True, "a whole number"),
        ("dropout", None, "a number"),
        ("bidirectional", "false", "True or False"),
        ("batch_steps", "all", "a whole number or None"),
        ("epochs", 2.5, "a whole number"),
    ],
)
def test_a_setting_of_a_wrong_type_is_named(name, value, expected):
    message = f"Classifier: expected {name} to be {expected}, got {value!r}."
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Classifier(**SMALL).set_params(**{name: value}).fit(ROWS, LABELS)


def test_numbers_of_numpy_are_settings():
    settings = SMALL | {"hidden_size": np.int64(4), "validation": np.float32(0.2), "bidirectional": np.bool_(False)}
    assert Classifier(**settings).fit(ROWS, LABELS).predict(["a"]).shape == (1,)


def test_a_fit_that_fails_on_its_data_leaves_a_fitted_task_as_it_was():
    model = Classifier(**SMALL).fit(ROWS, LABELS)
    before = model.predict_proba(ROWS)
    for rows, labels in ((["new words"] * 3, ["x"] * 3), (ROWS, [1.5] * len(ROWS)), ([*ROWS, 3], [*LABELS, "x"])):
        with pytest.raises((ValueError, TypeError)):
            model.fit(rows, labels)
        np.testing.assert_array_equal(model.predict_proba(ROWS), before)


def test_an_unfitted_task_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="not fitted yet"):
        Classifier().save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_folder_belongs_to_one_training_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "_WAIT", 0.0)
    run, refused = tmp_path / "run", []

    def again(event):
        for other in (run, Run(run, resume=True)):
            with pytest.raises(BlockingIOError, match="run: in use: this process has been training there since "):
                Classifier(**SMALL).fit(None, None, run=other)
        refused.append(event)

    Classifier(**SMALL).fit(ROWS, LABELS, run=Run(run, observers=[again]))
    assert refused
    assert sorted(file.name for file in run.iterdir()) == [
        "best.safetensors", "config.toml", "last.safetensors", "log.jsonl", "model.safetensors",
    ]  # fmt: skip
    with pytest.raises(FileExistsError, match="exists already"):
        Classifier(**SMALL).fit(ROWS, LABELS, run=run)
    Classifier(**SMALL).fit(ROWS, LABELS, run=Run(run, resume=True))


def test_a_training_that_ended_in_the_folder_meanwhile_is_kept(tmp_path):
    class Slow(Classifier):
        def read(self, X, y):  # as long as another training takes
            Classifier(**SMALL).fit(X, y, run=tmp_path / "run")
            return super().read(X, y)

    with pytest.raises(FileExistsError, match="exists already"):
        Slow(**SMALL).fit(ROWS, LABELS, run=tmp_path / "run")
    assert elman.load(tmp_path / "run").predict(["a b"])


def test_a_run_accepts_a_folder_as_text(tmp_path):
    assert Run(str(tmp_path / "run")).folder == tmp_path / "run"


@pytest.mark.parametrize("observers", [print, None, "print", [3]])
def test_observers_are_functions(observers):
    with pytest.raises(TypeError, match="run: expected a list of functions as observers, got "):
        Classifier(**SMALL).fit(ROWS, LABELS, run=Run(observers=observers))


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


@pytest.mark.parametrize(
    "hooks",
    [
        {},
        {"metadata": Classifier.metadata},
        {"restore": Classifier.restore},
    ],
)
def test_a_task_that_forgets_to_store_what_it_fits_is_an_error_before_the_training(hooks):
    class Forgetful(Classifier):
        metadata, restore = Model.metadata, Model.restore

    for name, hook in hooks.items():
        setattr(Forgetful, name, hook)
    missing = " and ".join(name for name in ("metadata", "restore") if name not in hooks)
    with pytest.raises(TypeError, match=f"Forgetful: expected {missing}, so that a model file stores classes_, which"):
        Forgetful(**SMALL).fit(ROWS, LABELS)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_a_line_per_evaluation_or_silent(capsys, monkeypatch):
    lines = {}
    for verbose in (None, False, 0, True, 2):
        Classifier(**SMALL, validation=0.25).fit(ROWS, LABELS, verbose=verbose)
        out, lines[verbose] = capsys.readouterr()
        assert out == ""
    assert lines[None] == lines[False] == ""
    score = r"calibrated cross-entropy \d\.\d{{4}} nats, best \d\.\d{{4}} nats"
    pattern = r"update \d+  epoch {}  +\d+%  .*" + score + r"  [\d,]+ steps/s"
    for verbose in (True, 2):
        first, second = lines[verbose].splitlines()
        assert re.fullmatch(pattern.format(1), first)
        assert re.fullmatch(pattern.format(2), second)
    with pytest.raises(ValueError, match="verbose: expected None"):
        Classifier(**SMALL).fit(ROWS, LABELS, verbose="all")


def test_a_terminal_shows_one_line_and_the_searches_of_scikit_learn_none(monkeypatch):
    GridSearchCV = pytest.importorskip("sklearn.model_selection").GridSearchCV
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    Classifier(**SMALL).fit(ROWS, LABELS)
    shown = sys.stderr.getvalue()
    assert shown.startswith("\rupdate 1  epoch 1")
    assert shown.count("\n") == 1
    GridSearchCV(Classifier(**SMALL), {"hidden_size": [2, 3]}, cv=2).fit(ROWS, LABELS)
    assert sys.stderr.getvalue() == shown


def test_a_training_outlives_its_terminal(monkeypatch):
    class Closed(Terminal):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    expected = Classifier(**SMALL).fit(ROWS, LABELS, verbose=False).predict_proba(ROWS)
    assert np.array_equal(Classifier(**SMALL).fit(ROWS, LABELS, verbose=True).predict_proba(ROWS), expected)


def test_reading_pictures_is_part_of_the_progress(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "REDRAW", 0.0)
    pictures = [np.full((32, 32, 3), shade, np.uint8) for shade in (0, 255)] * 2
    settings = {**SMALL, "encoder_size": 4, "image_size": 32, "min_count": 1, "validation": 0}
    Captioner(**settings, encoder="convolutional").fit(pictures, ["dark", "bright"] * 2, verbose=True)
    assert "\rreading the data   50%  0:00:00 left" in sys.stderr.getvalue()
