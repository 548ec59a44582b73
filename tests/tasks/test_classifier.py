import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import elman
from elman import Classifier, Sequences
from elman.data.readers import read_frame
from elman.errors import RowError
from elman.tasks.run import Run
from elman.training import Evaluation, Interrupted

SMALL = {"hidden_size": 12, "epochs": 8, "learning_rate": 2e-2, "dropout": 0.1, "input_dropout": 0.0}
TEXT = {**SMALL, "embedding_size": 12}
QUICK = {**SMALL, "hidden_size": 4, "epochs": 1, "bidirectional": False, "validation": 0}


def texts(count=80):
    """Return texts in which one word at any place determines the class."""
    generator = np.random.default_rng(0)
    rows, labels = [], []
    for number in range(count):
        words = generator.choice(["the", "film", "is", "was", ",", "so"], int(generator.integers(1, 9))).tolist()
        words.insert(int(generator.integers(0, len(words) + 1)), ("bad", "good")[number % 2])
        rows.append(" ".join(words))
        labels.append(("no", "yes")[number % 2])
    return rows, labels


def waves(count=60, missing=0.0):
    """Return ragged series [T, 2], slow or quick, one variable far larger than the other."""
    generator = np.random.default_rng(1)
    rows = []
    for number in range(count):
        t = np.arange(generator.integers(12, 30))[:, None] * (0.3, 0.9)[number % 2] + generator.uniform(0, 6)
        row = np.concatenate([np.sin(t), 1000 * np.cos(t) + 5000], 1)
        row[generator.random(row.shape) < missing] = np.nan
        rows.append(row)
    return rows, [number % 2 for number in range(count)]


def bodies(count=48):
    """Return skeletons [T, 5, 3] of any size at any place: the last joint moves up and down, or to and fro."""
    generator = np.random.default_rng(2)
    rest = np.random.default_rng(0).normal(size=(5, 3))
    rows = []
    for number in range(count):
        frames = np.repeat(rest[None], generator.integers(8, 15), 0)
        frames[:, 4, number % 2] += np.sin(np.arange(len(frames)) + generator.uniform(0, 6))
        rows.append(frames * generator.uniform(0.3, 3) + generator.normal(0, 5, 3))
    return rows, [("up", "to")[number % 2] for number in range(count)]


def films(count=48):
    """Return frames [T, 8, 8] of a point that moves to the left or to the right."""
    generator = np.random.default_rng(3)
    rows = []
    for number in range(count):
        frames = generator.integers(0, 30, (6, 8, 8)).astype(np.uint8)
        places = np.arange(6) + generator.integers(0, 3)
        frames[np.arange(6), generator.integers(0, 8), places if number % 2 else places[::-1]] = 255
        rows.append(frames)
    return rows, [("left", "right")[number % 2] for number in range(count)]


def bars(count=48):
    """Return images [6, 6] of a horizontal or a vertical bar."""
    generator = np.random.default_rng(4)
    images = np.zeros((count, 6, 6), np.uint8)
    for number, image in enumerate(images):
        (image if number % 2 else image.T)[generator.integers(0, 6)] = 200
    return list(images), [("stands", "lies")[number % 2] for number in range(count)]


PROBLEMS = {
    "words": (texts, {**TEXT}),
    "characters": (texts, {**TEXT, "units": "characters", "hidden_size": 24}),
    "bytes": (texts, {**TEXT, "units": "bytes", "hidden_size": 24}),
    "bpe": (texts, {**TEXT, "units": "bpe", "vocabulary_size": 280}),
    "series": (waves, {**SMALL}),
    "series with missing values": (lambda: waves(missing=0.2), {**SMALL, "epochs": 15}),
    "skeletons": (bodies, {**SMALL, "epochs": 20}),
    "frames": (films, {**SMALL, "embedding_size": 12, "epochs": 30, "learning_rate": 5e-3}),
    "pixels": (bars, {**SMALL, "pooling": "last", "cell": "gru", "epochs": 30}),
}


@pytest.fixture(scope="module")
def model():
    return Classifier(**TEXT).fit(*texts())


@pytest.mark.parametrize(
    "problem", [pytest.param(name, marks=pytest.mark.slow) if name == "bytes" else name for name in PROBLEMS]
)
def test_it_learns(problem):
    make, settings = PROBLEMS[problem]
    events = []
    rows, labels = make()
    third = len(rows) // 3
    model = Classifier(**settings).fit(rows[third:], labels[third:], run=Run(observers=[events.append]))
    errors = [event.score.value for event in events if isinstance(event, Evaluation)]
    assert len(errors) == settings["epochs"]
    assert min(errors) == model.result_.best < errors[0]
    assert model.score(rows[:third], labels[:third]) > 0.9
    assert model.inputs_.name == {"words": "text", "characters": "text", "bytes": "text", "bpe": "text"}.get(
        problem, problem.split()[0]
    )


@pytest.mark.parametrize("problem", ["words", "series with missing values", "skeletons", "frames", "pixels"])
def test_order_and_batch_of_rows_do_not_matter(problem):
    make, settings = PROBLEMS[problem]
    rows, labels = make()
    model = Classifier(**settings | {"epochs": 1}).fit(rows, labels)
    alone = np.concatenate([model.predict_proba([row]) for row in rows[:12]])
    np.testing.assert_allclose(model.predict_proba(rows)[:12], alone, rtol=1e-5)
    np.testing.assert_allclose(model.predict_proba(rows[11::-1]), alone[::-1], rtol=1e-5)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_loaded_model_predicts_the_same(problem, tmp_path):
    make, settings = PROBLEMS[problem]
    rows, labels = make()
    model = Classifier(**settings | {"epochs": 1}).fit(rows, labels)
    model.save(tmp_path / "model.safetensors")
    again = elman.load(tmp_path / "model.safetensors")
    assert np.array_equal(again.predict_proba(rows), model.predict_proba(rows))
    assert again.get_params() == model.get_params()
    assert (again.calibrated_, again.inputs_.to_json()) == (True, model.inputs_.to_json())


def test_probabilities_are_those_of_the_classes(model):
    rows, labels = texts()
    probabilities = model.predict_proba(rows)
    assert probabilities.shape == (80, 2)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert model.classes_.tolist() == ["no", "yes"]
    assert np.array_equal(model.predict(rows), model.classes_[probabilities.argmax(1)])
    report = model.evaluate(rows, labels)
    truth = probabilities[np.arange(80), np.searchsorted(model.classes_, labels)]
    assert report.nats == pytest.approx(-np.log(truth).mean())
    assert model.score(rows, labels) == report.accuracy == np.mean(model.predict(rows) == labels)


def test_progress_is_reported(model):
    parts = []
    with model.reporting(parts.append):
        model.evaluate(*texts())
    assert parts == sorted(parts)
    assert parts[-1] == 1


def test_no_rows_have_no_classes(model):
    assert model.predict([]).tolist() == []
    assert model.predict_proba([]).shape == (0, 2)


def test_empty_texts_are_read():
    rows = ["", "a film", "   ", "one more"] * 4
    model = Classifier(**TEXT).fit(rows, [row.strip() == "" for row in rows])
    assert model.predict(["", "a film", " "]).tolist() == [True, False, True]
    assert np.array_equal(model.predict_proba([""]), model.predict_proba([" \n"]))


def test_empty_series_are_read():
    rows, labels = waves(20)
    rows[3] = rows[4] = np.zeros((0, 2))
    model = Classifier(**QUICK).fit(rows, labels)
    np.testing.assert_allclose(model.predict_proba(rows)[3], model.predict_proba([[]])[0])


# Probabilities.


def test_probabilities_are_calibrated_on_rows_held_out():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(120, 4))
    labels = (rows.sum(1) > 0) ^ (generator.random(120) < 0.25)  # no net can be this confident about these
    before = {}

    def measure(event):
        if isinstance(event, Evaluation):
            before[event.update] = model.evaluate(*model.held_out_)

    model = Classifier(**SMALL | {"epochs": 20, "batch_steps": 100, "evaluate_every": 100}, validation=0.3)
    model.fit(rows, labels, run=Run(observers=[measure]))
    after, uncalibrated = model.evaluate(*model.held_out_), before[model.result_.best_update]
    assert (uncalibrated.calibrated, after.calibrated, model.calibrated_) == (False, True, True)
    assert after.nats < uncalibrated.nats
    assert after.confusion.tolist() == uncalibrated.confusion.tolist()
    assert model.result_.best == pytest.approx(after.nats)


def test_rows_held_out_are_kept_and_not_trained_on():
    rows, labels = texts(40)
    settings = TEXT | {"validation": 0.2, "epochs": 2}
    model = Classifier(**settings).fit(rows, labels)
    held, held_labels = model.held_out_
    assert held_labels.tolist().count("yes") == len(held) / 2 == 4
    rest = [number for number, row in enumerate(rows) if row not in held]
    assert len(rest) == 32  # the texts are distinct
    by_hand = Classifier(**settings).fit(
        [rows[i] for i in rest], [labels[i] for i in rest], validation_data=(held, held_labels)
    )
    assert np.array_equal(by_hand.predict_proba(rows), model.predict_proba(rows))


def test_without_rows_held_out_nothing_is_calibrated():
    model = Classifier(**TEXT | {"epochs": 1}, validation=0).fit(*texts(20))
    assert not model.calibrated_
    assert not model.evaluate(*texts(20)).calibrated
    assert (model.held_out_[0], model.held_out_[1].tolist(), model.result_.best) == ([], [], None)


@pytest.mark.parametrize(("class_weight", "share"), [(None, 0.8), ("balanced", 0.5)])
def test_class_weights(class_weight, share):
    """For rows without information, the optimal probabilities are the weighted class frequencies."""
    settings = {**SMALL, "epochs": 60, "learning_rate": 0.05, "dropout": 0, "validation": 0, "batch_steps": 1000}
    model = Classifier(**settings, class_weight=class_weight).fit([[1.0, 2.0]] * 40, ["a"] * 32 + ["b"] * 8)
    assert model.predict_proba([[1.0, 2.0]])[0, 0] == pytest.approx(share, abs=0.01)


def test_label_smoothing():
    rows, labels = [[1.0]] * 8 + [[-1.0]] * 8, ["a"] * 8 + ["b"] * 8
    settings = {**SMALL, "epochs": 60, "learning_rate": 0.05, "dropout": 0, "validation": 0, "batch_steps": 1000}
    model = Classifier(**settings, label_smoothing=0.2).fit(rows, labels)
    np.testing.assert_allclose(model.predict_proba(rows[7:9]), [[0.9, 0.1], [0.1, 0.9]], atol=0.01)


# Labels.


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        (["b", "a"], "U"),
        ([3, -1], "i"),
        ([True, False], "b"),
        (np.array([3, 1], np.uint8), "u"),
        (np.array([2.0, 1.0]), "i"),
        (np.array(["b", "a"], object), "U"),
        (np.array([7, 9], object), "i"),
        (pd.Series(["b", "a"]), "U"),
        (pd.Series(["b", "a"], dtype="category"), "U"),
        (pl.Series([2, 1]), "i"),
    ],
    ids=str,
)
def test_labels_come_back_in_their_type(classes, kind, tmp_path):
    rows = [[1.0, 2.0], [-1.0, -2.0, -1.0]]
    model = Classifier(**QUICK | {"epochs": 40}).fit(rows, classes)
    assert model.predict(rows).tolist() == list(classes)
    assert model.predict(rows).dtype.kind == kind
    model.save(tmp_path / "model.safetensors")
    again = elman.load(tmp_path / "model.safetensors").predict(rows)
    assert again.tolist() == list(classes)
    assert again.dtype.kind == kind.replace("u", "i")  # JSON has no unsigned integers


def test_a_class_that_the_training_rows_do_not_have():
    rows, labels = waves(20)
    model = Classifier(**QUICK).fit(rows, labels)
    report = model.evaluate(rows[:3], [0, 1, 7])
    assert (report.classes, report.unseen) == ((0, 1, 7), (7,))
    with pytest.raises(ValueError, match="validation row 2: the training rows do not have the class 7"):
        Classifier(**QUICK).fit(rows, labels, validation_data=(rows[:3], [0, 1, 7]))


def test_labels_that_are_text_are_compared_as_text():
    rows, labels = waves(20)
    model = Classifier(**QUICK).fit(rows, labels)
    report = model.evaluate(rows, [str(label) for label in labels])
    assert (report.classes, report.unseen) == (("0", "1"), ())
    assert report.accuracy == model.score(rows, labels)
    assert model.classes_.tolist() == [0, 1]


def test_a_class_of_one_row_is_trained_on():
    rows, labels = waves(21)
    labels[4] = 5
    model = Classifier(**QUICK | {"validation": 0.2}).fit(rows, labels)
    assert model.classes_.tolist() == [0, 1, 5]
    assert 5 not in model.held_out_[1]


@pytest.mark.parametrize(
    ("rows", "labels", "error"),
    [
        (["a", "b"], ["x", "x"], "expected rows of at least two classes, got one class, 'x'\\.$"),
        ([], [], "expected rows, got none"),
        (["a", "b"], ["x"], r"expected a label for each of 2 rows, got labels of shape \[1\]"),
        (["a", "b"], None, "requires y to be passed"),
        (["a", 2.0], ["x", "y"], r"row 1: expected text \(str\), got float"),
        (["a", None], ["x", "y"], r"row 1: expected text \(str\), got NoneType"),
        (["a", "\ud800"], ["x", "y"], "row 1: the text has half a surrogate pair"),
        (["", " "], ["x", "y"], "expected a word that occurs . times or more, got 0 words"),
        ([[1.0], [np.inf]], ["x", "y"], "row 1: step 0, variable 0 is infinite"),
        ([[1.0], [1e300]], ["x", "y"], "the standard deviation of variable 0 is not finite"),
        ([[1.0], [[1.0, 2.0]]], ["x", "y"], r"row 1: expected steps of shape \[D\] = \[1\], as in training, got \[2\]"),
        ([[1.0], ["a"]], ["x", "y"], r"row 1: expected numbers of shape \[T, D\] or \[T\], got <U1"),
        ([[[1.0, 2.0], [3.0]], [1.0]], ["x", "y"], "row 0: .*inhomogeneous"),
        ([[1.0, None], [{}]], ["x", "y"], "row 1: float.. argument must be a string or a real number, not 'dict'"),
        ([[], []], ["x", "y"], "expected rows with steps, got 2 that are all empty"),
        (np.zeros((2, 5, 7, 9)), ["x", "y"], "expected text, or an array"),
        ([None, "a"], ["x", "y"], "^row 0: expected text, or an array .* got None"),
    ],
)
def test_unusable_rows(rows, labels, error):
    with pytest.raises((ValueError, TypeError), match=error):
        Classifier(**QUICK).fit(rows, labels)


def test_a_bad_row_is_named_by_its_place_among_all():
    """The row number counts all rows of `fit`, also if the row is in the held-out part."""
    for number in range(20):
        rows, labels = waves(20)
        rows[number][3, 1] = np.inf
        with pytest.raises(ValueError, match=f"^row {number}: step 3, variable 1 is infinite"):
            Classifier(**QUICK | {"validation": 0.3}).fit(rows, labels)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"hidden_size": 0}, "hidden_size: expected at least 1, got 0"),
        ({"validation": 1.0}, "validation: expected at least 0 and less than 1, got 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing: expected at least 0 and less than 1"),
        ({"noise": float("nan")}, "noise: expected at least 0"),
        ({"batch_steps": 0}, "batch_steps: expected at least 1"),
        ({"class_weight": "equal"}, "class_weight: expected None or 'balanced', got 'equal'"),
        ({"pooling": "men"}, "pooling: expected one of last, mean, max, attention, got 'men'; did you mean mean?"),
        ({"inputs": "serie"}, "inputs: expected one of auto, .*, got 'serie'; did you mean series?"),
        ({"word_dropout": 0.2}, "word_dropout: has no effect on inputs=series; leave it out"),
        ({"units": "bytes"}, "units: has no effect on inputs=series; leave it out"),
        ({"embedding_size": 3}, "embedding_size: has no effect on inputs=series; leave it out"),
        ({"cell": "lstn"}, "cell: expected one of .*, got 'lstn'; did you mean lstm?"),
        ({"variational": True, "dropout": 0}, "variational: has no effect without dropout"),
        ({"epochs": 0}, "Classifier: expected epochs of at least 1, got 0"),
        ({"patience": 2, "validation": 0}, "patience=2 has no effect without a validation part"),
    ],
)
def test_settings_without_effect(settings, error, tmp_path):
    with pytest.raises(ValueError, match=error.replace("?", r"\?")):
        Classifier(**SMALL | settings).fit(*waves(10), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_of_numbers_have_no_effect_on_text():
    for setting in ({"noise": 0.1}, {"step_dropout": 0.1}, {"differences": True}):
        with pytest.raises(ValueError, match="has no effect on inputs=text"):
            Classifier(**SMALL, **setting).fit(*texts(10))


def test_an_unfitted_model_raises():
    for use in ("predict", "predict_proba"):
        with pytest.raises(ValueError, match="Classifier: not fitted yet; call fit first"):
            getattr(Classifier(), use)(["a"])
    with pytest.raises(ValueError, match="Classifier: not fitted yet"):
        Classifier().stream()


# Types of rows.


def test_tables_of_texts():
    rows, labels = texts(20)
    by_list = Classifier(**TEXT | {"epochs": 1}).fit(rows, labels).predict_proba(rows[:5])
    frame = pd.DataFrame({"text": rows, "label": labels})
    for X, y in [
        (frame["text"], frame["label"]),
        (frame[["text"]], frame["label"]),
        (pl.Series(rows), pl.Series(labels)),
        (np.array(rows), np.array(labels)),
        (np.array(rows, object), tuple(labels)),
        (tuple(rows), labels),
    ]:
        assert np.array_equal(Classifier(**TEXT | {"epochs": 1}).fit(X, y).predict_proba(X[:5]), by_list)


def test_tables_of_numbers():
    X, y = np.random.default_rng(0).normal(size=(20, 5)), [0, 1] * 10
    by_array = Classifier(**QUICK).fit(X, y).predict_proba(X)
    read_only = X.copy()
    read_only.flags.writeable = False
    frames = pd.DataFrame(X), pl.DataFrame(X)
    for table in (*frames, torch.from_numpy(X), X.tolist(), X[:, :, None], X.astype(object), read_only):
        assert np.array_equal(Classifier(**QUICK).fit(table, y).predict_proba(table), by_array)


def test_a_table_with_missing_values():
    X, y = np.random.default_rng(0).normal(size=(20, 5)), [0, 1] * 10
    X[3, 2] = X[7, 0] = np.nan
    by_array = Classifier(**QUICK).fit(X, y).predict_proba(X)
    for table in (pd.DataFrame(X), pl.DataFrame(X), pd.DataFrame(X).convert_dtypes()):
        assert np.array_equal(Classifier(**QUICK).fit(table, y).predict_proba(table), by_array)


def test_sequences_are_rows():
    rows, labels = waves(20)
    by_list = Classifier(**QUICK).fit(rows, labels).predict_proba(rows)
    batch = Sequences.from_list(rows)
    assert np.array_equal(Classifier(**QUICK).fit(batch, labels).predict_proba(batch), by_list)
    tensors = batch.map(torch.from_numpy)
    assert np.array_equal(Classifier(**QUICK).fit(tensors, labels).predict_proba(tensors), by_list)


def test_rows_are_left_as_they_are():
    rows, labels = waves(20, missing=0.1)
    kept = [row.copy() for row in rows]
    Classifier(**QUICK, noise=0.5, step_dropout=0.2, differences=True).fit(rows, labels).predict(rows)
    for row, before in zip(rows, kept, strict=True):
        np.testing.assert_array_equal(row, before)


# Missing values.


def test_missing_values_are_read_where_training_had_some():
    rows, labels = waves(20)
    rows[3][5, 1] = np.nan
    model = Classifier(**QUICK).fit(rows, labels)
    gone = rows[0].copy()
    gone[2, 1] = np.nan
    assert np.isfinite(model.predict_proba([gone])).all()
    gone[2, 0] = np.nan
    with pytest.raises(ValueError, match=r"row 1: step 2, variable 0 is NaN, but had no missing values"):
        model.predict([rows[0], gone])


def test_errors_and_predictions_have_the_names_of_series():
    names, states = ["m3", "m17", "m5", "m1"], ["ok", "worn", "ok", "worn"]
    frame = pd.DataFrame({"machine": np.repeat(names, 6), "time": np.tile(range(6), 4),
                          "x": np.repeat([1.0, 2, 1, 2], 6), "state": np.repeat(states, 6)})  # fmt: skip
    columns = {"values": "x", "group": "machine", "time": "time"}
    rows = read_frame(frame, **columns, label="state")
    model = Classifier(**QUICK).fit(rows.inputs, rows.labels)
    assert rows.names == names
    assert len(pd.Series(model.predict(rows.inputs), index=rows.names)) == 4

    missing = read_frame(frame.assign(x=frame.x.where(frame.machine != "m17")), **columns, label="state")
    for call in (lambda rows, labels: model.predict(rows), model.evaluate, model.probe_loss):
        with pytest.raises(RowError, match=r"^machine m17: step 0, variable x is NaN"):
            call(missing.inputs, missing.labels)
    infinite = read_frame(frame, **columns, label="state")
    infinite.inputs[1][2] = np.inf
    for fit in (lambda: Classifier(**QUICK).fit(infinite.inputs, infinite.labels),
                lambda: Classifier(**QUICK).plan(infinite.inputs, infinite.labels)):  # fmt: skip
        with pytest.raises(RowError, match=r"^machine m17: step 2, variable x is infinite"):
            fit()
    with pytest.raises(RowError, match=r"^validation machine m17: step 2, variable x is infinite"):
        Classifier(**QUICK).fit(rows.inputs, rows.labels, validation_data=(infinite.inputs, infinite.labels))


def test_the_only_missing_value_may_be_held_out():
    for number in range(20):
        rows, labels = waves(20)
        rows[number][3, 1] = np.nan
        model = Classifier(**QUICK | {"validation": 0.3}).fit(rows, labels)
        assert model.inputs_.missing.tolist() == [1]


def test_missing_values_can_carry_the_class():
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=(6, 2)) for _ in range(40)]
    for row in rows[::2]:
        row[generator.integers(0, 6), 1] = np.nan
    model = Classifier(**SMALL | {"epochs": 20}).fit(rows, ["gone", "there"] * 20)
    assert model.score(rows, ["gone", "there"] * 20) == 1


def test_a_variable_that_is_always_missing():
    rows, labels = waves(20)
    for row in rows:
        row[:, 1] = np.nan
    assert np.isfinite(Classifier(**QUICK).fit(rows, labels).predict_proba(rows)).all()


def test_bad_rows_at_prediction():
    rows, labels = waves(20)
    model = Classifier(**QUICK).fit(rows, labels)
    with pytest.raises(ValueError, match=r"row 1: expected steps of shape \[D\] = \[2\], as in training, got \[3\]"):
        model.predict([rows[0], np.zeros((4, 3))])
    with pytest.raises(ValueError, match="row 0: step 1, variable 0 is infinite"):
        model.predict([[[0.0, 0.0], [-np.inf, 0.0]]])
    with pytest.raises(ValueError, match="row 1: the logits are not finite"):
        model.predict([rows[0], rows[1] * 1e50])


# Training.


def test_a_run_resumed_after_an_interrupt_ends_with_the_same_bits(tmp_path):
    rows, labels = waves(40, missing=0.1)
    settings = {**SMALL, "epochs": 3, "noise": 0.1, "step_dropout": 0.1, "input_dropout": 0.1, "batch_steps": 200}

    def stop(event):
        if getattr(event, "update", 0) == 5:
            raise KeyboardInterrupt

    whole = Classifier(**settings).fit(rows, labels, run=tmp_path / "whole")
    with pytest.raises(Interrupted):
        Classifier(**settings).fit(rows, labels, run=Run(tmp_path / "cut", observers=[stop]))
    assert not elman.load(tmp_path / "cut").calibrated_
    cut = Classifier(**settings).fit(rows, labels, run=Run(tmp_path / "cut", resume=True))
    assert np.array_equal(cut.predict_proba(rows), whole.predict_proba(rows))
    for one, other in zip(whole.net_.parameters(), cut.net_.parameters(), strict=True):
        assert torch.equal(one, other)
    once_more = Classifier(**settings).fit(rows, labels, run=Run(tmp_path / "cut", resume=True))
    for again in (elman.load(tmp_path / "cut"), once_more):
        assert np.array_equal(again.predict_proba(rows), whole.predict_proba(rows))


def test_a_run_is_not_resumed_with_other_labels(tmp_path):
    rows, labels = waves(10)
    Classifier(**QUICK).fit(rows, labels, run=tmp_path / "run")
    with pytest.raises(ValueError, match="data"):
        Classifier(**QUICK).fit(rows, labels[::-1], run=Run(tmp_path / "run", resume=True))


def test_fitting_twice_gives_the_same_model():
    rows, labels = waves(20)
    model = Classifier(**QUICK | {"dropout": 0.5}, noise=0.1).fit(rows, labels)
    first = model.predict_proba(rows)
    assert np.array_equal(model.fit(rows, labels).predict_proba(rows), first)
    other = Classifier(**QUICK | {"dropout": 0.5}, noise=0.1, seed=1).fit(rows, labels)
    assert not np.array_equal(other.predict_proba(rows), first)


def test_the_global_generators_are_not_touched():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    Classifier(**QUICK | {"validation": 0.2}, noise=0.1).fit(*waves(20))
    after = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert torch.equal(after[0], torch.rand(3))
    assert np.array_equal(after[1], np.random.rand(3))  # noqa: NPY002


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_pooling_learns(pooling, bidirectional):
    rows, labels = waves(32)
    settings = {**SMALL, "epochs": 10, "learning_rate": 4e-2, "dropout": 0, "validation": 0}
    model = Classifier(**settings, pooling=pooling, bidirectional=bidirectional).fit(rows, labels)
    assert model.score(rows, labels) > 0.9


def check_long_row(steps, largest_tensor):
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=5) for _ in range(60)] + [generator.normal(size=steps)]
    model = Classifier(**QUICK | {"hidden_size": 2})
    with largest_tensor:
        model.fit(rows, [*["a", "b"] * 30, "b"])
        assert model.predict(rows).shape == (61,)
    assert largest_tensor.elements < 20 * steps  # padded, one value a step would be 61 times the steps


def test_memory_follows_the_real_steps(largest_tensor):
    check_long_row(100_000, largest_tensor)


@pytest.mark.slow
def test_a_row_of_a_million_steps(largest_tensor):
    check_long_row(1_000_000, largest_tensor)


def test_swapped_rows_and_labels_are_named(caplog):
    texts, labels = [f"film number {number}" for number in range(30)], ["good", "bad", "fair"] * 10
    model = Classifier(hidden_size=4, embedding_size=4, epochs=1)
    with pytest.raises(ValueError, match=r"each of the 30 rows has a class .* swap X and y if these are not labels"):
        model.fit(labels, texts)
    model.fit(labels, [*texts[:24], *texts[:6]])  # some texts occur twice
    [warning] = [record.getMessage() for record in caplog.records if "swap" in record.getMessage()]
    assert warning.startswith("Classifier.fit: 24 classes for 2")
    caplog.clear()
    model.fit(texts, labels)
    model.set_params(validation=0).fit(texts[:6], texts[:6])  # few rows
    assert "swap" not in caplog.text
