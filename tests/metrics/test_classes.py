"""Reports of classes, against scikit-learn."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score, log_loss

from elman.metrics import class_report

CLASSES = ["ant", "bee", "cat", "dog"]
labels = st.lists(st.tuples(st.sampled_from([*CLASSES, "eel"]), st.sampled_from(CLASSES)), min_size=1, max_size=30)


def probs(rows, classes=4, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), rows)


@settings(max_examples=30)
@given(labels)
def test_scores_are_scikit_learns(pairs):
    truth, predicted = (list(part) for part in zip(*pairs, strict=True))
    report = class_report(truth, predicted, CLASSES)
    names = CLASSES + ["eel"] * ("eel" in truth)
    assert report.classes == tuple(names)
    assert_array_equal(report.confusion, confusion_matrix(truth, predicted, labels=names))
    theirs = classification_report(truth, predicted, labels=names, output_dict=True, zero_division=0)
    for number, name in enumerate(names):
        ours = [part[number] for part in report.by_class]
        assert ours == pytest.approx(list(theirs[name].values()))
    assert report.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert report.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0))
    assert_array_equal(report.by_class, (report.precision, report.recall, report.f1, report.support))


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_nats_are_scikit_learns_log_loss(kind):
    chances = probs(50).astype(kind)
    truth = np.random.default_rng(1).choice(CLASSES, 50)
    report = class_report(truth, np.array(CLASSES)[chances.argmax(1)], np.array(CLASSES), chances)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # float32 sums to 1 within its own precision
        assert report.nats == pytest.approx(log_loss(truth, chances, labels=CLASSES), rel=1e-6)


def test_nats_of_an_impossible_row_are_finite():
    for kind in (np.float64, np.float32, np.int64):
        report = class_report(["a"], ["b"], ["a", "b"], np.array([[0, 1]], kind))
        assert 80 < report.nats < 800


def test_the_table():
    chances = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
    report = class_report(["happy", "sad", "sad", "sad"], ["happy", "sad", "happy", "sad"], ["happy", "sad"], chances)
    nats = -np.log([0.9, 0.8, 0.4, 0.7]).mean()
    error = (0.1 + 0.2 + 0.6 + 0.3) / 4  # each row is alone in its bin
    assert report.table().splitlines() == [
        "class  precision  recall      F1  support",
        "happy     0.5000  1.0000  0.6667        1",
        "sad       1.0000  0.6667  0.8000        3",
        "",
        "rows                             4",
        "accuracy                    0.7500",
        "macro F1                    0.7333",
        f"nats                        {nats:.4f}",
        f"expected calibration error  {error:.4f}",
        "probabilities: not calibrated: no temperature was chosen on held-out rows",
    ]


@pytest.mark.parametrize(
    ("chances", "calibrated", "message"),
    [
        ([[0.5, 0.5]], True, "probabilities: calibrated by temperature on held-out rows"),
        ([[0.5, 0.5]], False, "probabilities: not calibrated: no temperature was chosen on held-out rows"),
        (None, False, "probabilities: none were given"),
    ],
)
def test_one_line_reports_whether_probabilities_are_calibrated(chances, calibrated, message):
    table = class_report(["a"], ["a"], ["a", "b"], chances, calibrated).table()
    assert [line for line in table.splitlines() if line.startswith("probabilities")] == [message]
    assert ("nats" in table) == (chances is not None)


def test_rows_of_an_unknown_class_count_as_errors():
    truth, chances = ["x", "a", "w", "b", "x"], probs(5, 2)
    report = class_report(truth, ["a", "a", "b", "b", "b"], ["b", "a"], chances)
    assert (report.classes, report.unseen) == (("b", "a", "w", "x"), ("w", "x"))
    assert report.confusion.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    assert (report.recall.tolist(), report.support.tolist()) == ([1, 1, 0, 0], [1, 1, 1, 2])
    assert report.accuracy == 0.4
    assert report.nats == pytest.approx(-np.log([chances[1, 1], chances[3, 0]]).mean())
    assert report.table().splitlines()[-1] == (
        "note: 3 of 5 rows have classes that the model was not trained on (w, x): always wrong, and not counted in the "
        "nats"
    )


def test_rows_of_unknown_classes_only():
    report = class_report(["x", "x"], ["a", "a"], ["a"], [[1.0], [1.0]])
    assert (report.accuracy, report.macro_f1, report.nats, report.calibration_error) == (0, 0, None, 1)
    assert "probabilities: not calibrated" in report.table()
    assert "nats " not in report.table().split("note")[0]


def test_many_classes_are_all_printed_in_columns():
    names = [f"class {number}" for number in range(57)] + ["クラス", "", "tab\tbed"]
    lines = class_report(names * 3, names * 3, names).table().splitlines()
    assert [line[: len(f"class {number}")] for number, line in enumerate(lines[1:58])] == names[:57]
    assert len({len(line) for line in lines[:58]}) == 1
    assert [len(line) for line in lines[58:61]] == [len(lines[0]) - 3, len(lines[0]), len(lines[0])]  # wide letters
    assert [line.split("  ")[0] for line in lines[58:61]] == ["クラス", "''", "tab\\tbed"]


def test_classes_may_be_numbers_and_json_has_them_as_such():
    report = class_report(np.array([3, 7, 7, 9]), np.array([3, 7, 3, 3]), np.array([3, 7]), probs(4, 2), True)
    figures = json.loads(json.dumps(report.to_json()))
    assert [row["class"] for row in figures["classes"]] == [3, 7, 9]
    assert figures["classes"][1] == {
        "class": 7,
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "support": 2,
    }
    assert (figures["unseen"], figures["calibrated"], figures["rows"], figures["accuracy"]) == ([9], True, 4, 0.5)
    assert figures["confusion"] == report.confusion.tolist()
    assert_allclose((figures["nats"], figures["calibration_error"]), (report.nats, report.calibration_error))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], ["a"]), "expected at least one row, as many predicted as true, got 0 true and 0 predicted"),
        ((["a"], ["a", "a"], ["a"]), "got 1 true and 2 predicted"),
        ((["a"], ["b"], ["a"]), "row 0: class_report: expected one of the 1 classes of the model, got 'b'"),
        ((["a"], ["a"], ["a", "a"]), "expected different classes"),
        ((["a"], ["a"], ["a", "b"], [[1.0]]), r"expected probabilities of shape \[B=1, C=2\], got \[1, 1\]"),
        (
            (["a"], ["a"], ["a", "b"], [[2.0, -1.0]]),
            "row 0: calibration_error: expected probabilities that are not negative and sum to 1",
        ),
    ],
)
def test_rows_that_cannot_be_compared_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        class_report(*arguments)


def test_labels_of_different_types_are_errors():
    with pytest.raises(TypeError, match=r"expected truth of the type of the classes \(str\), got int 1"):
        class_report([1], ["1"], ["1"])
    with pytest.raises(TypeError, match=r"row 1: class_report: expected one label, got list \['b'\]"):
        class_report(["a", ["b"]], ["a", "b"], ["a", "b"])
