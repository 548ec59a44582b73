"""Entity counts equal those of seqeval by default, and in well-formed rows those of its strict mode too."""

import json
import warnings

import numpy as np
import pytest
import seqeval.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support as strictly
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES

from elman.classical.tag_schemes import SCHEMES, all_tags, convert
from elman.metrics import entity_report

LABELS = ["A", "B-C", "_"]  # a hyphen in a label, and seqeval's own word for none
STRICT = {"BIO": IOB2, "IOB1": IOB1, "IOBES": IOBES, "BILOU": BILOU, "BMES": IOBES}


@st.composite
def pairs(draw, scheme):
    """Draw true and predicted rows of arbitrary tags, some of them empty."""
    tag = st.sampled_from(all_tags(LABELS, scheme))
    truth = draw(st.lists(st.lists(tag, max_size=8), min_size=1, max_size=4))
    predicted = [
        draw(st.lists(st.one_of(tag, st.sampled_from(row or ["O"])), min_size=len(row), max_size=len(row)))
        for row in truth
    ]
    copied = draw(st.booleans())  # often nothing is right otherwise
    return truth, [
        row if copied and number else other for number, (row, other) in enumerate(zip(truth, predicted, strict=True))
    ]


def as_seqeval_reads(rows, scheme):
    """Convert BILOU and BMES to IOBES: by default, seqeval does not support the letters L, U and M."""
    letters = {"BILOU": {"L": "E", "U": "S"}, "BMES": {"M": "I"}}.get(scheme, {})
    return [[letters.get(tag[0], tag[0]) + tag[1:] for tag in row] for row in rows]


def of_oracle(function, *arguments, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about ratios with a zero denominator
        return function(*arguments, **settings)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
def test_any_rows_count_as_for_seqeval(scheme, data):
    truth, predicted = data.draw(pairs(scheme))
    report = entity_report(truth, predicted, scheme)
    read = as_seqeval_reads(truth, scheme), as_seqeval_reads(predicted, scheme)
    for average, ours in (("micro", report.micro), (None, report.by_label)):
        theirs = of_oracle(oracle.sequence_labeling.precision_recall_fscore_support, *read, average=average)
        if report.labels:
            for mine, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(mine, other, rtol=1e-12)
    assert (report.precision, report.recall, report.f1) == report.micro[:3]
    if report.tokens:
        assert report.token_accuracy == pytest.approx(oracle.accuracy_score(truth, predicted), rel=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=30)  # the strict reader is slow
@given(data=st.data())
def test_well_formed_rows_count_as_for_seqeval_when_it_is_strict(scheme, data):
    source = data.draw(st.sampled_from(list(SCHEMES)))
    truth, predicted = (
        [convert(row, source, scheme, strict=False) for row in rows] for rows in data.draw(pairs(source))
    )
    report = entity_report(truth, predicted, scheme)
    if scheme == "BMES":  # seqeval has no such scheme
        truth, predicted = as_seqeval_reads(truth, scheme), as_seqeval_reads(predicted, scheme)
    if report.labels:
        theirs = of_oracle(strictly, truth, predicted, average="micro", scheme=STRICT[scheme])
        assert report.micro == pytest.approx(theirs)
        by_label = of_oracle(strictly, truth, predicted, average=None, scheme=STRICT[scheme])
        for mine, other in zip(report.by_label, by_label, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-12)


def test_counts_of_a_small_example():
    truth = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O"], []]
    predicted = [["B-PER", "I-PER", "O", "B-PER"], ["B-LOC", "I-LOC"], []]
    report = entity_report(truth, predicted, "BIO")
    assert report.labels == ("LOC", "PER")
    assert (report.found.tolist(), report.true.tolist(), report.right.tolist()) == ([1, 2], [2, 1], [0, 1])
    assert (report.tokens, report.right_tokens) == (6, 4)
    assert (report.precision, report.recall, report.f1) == (pytest.approx(1 / 3),) * 3
    assert report.table().splitlines() == [
        "entity  precision  recall      F1  support",
        "LOC        0.0000  0.0000  0.0000        2",
        "PER        0.5000  1.0000  0.6667        1",
        "all        0.3333  0.3333  0.3333        3",
        "",
        "token accuracy  0.6667 of 6 tokens",
    ]


def test_json_holds_the_same_figures():
    report = entity_report([["B-A", "O"]], [["B-A", "B-B"]], "BIO")
    assert json.loads(json.dumps(report.to_json())) == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
        "tokens": 2,
        "token_accuracy": 0.5,
        "labels": [
            {"label": "A", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1},
            {"label": "B", "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
        ],
    }


def test_rows_without_entities_or_words():
    report = entity_report([["O"], []], [["O"], []], "BIO")
    assert (report.f1, report.token_accuracy, report.labels) == (0, 1, ())
    assert report.table().splitlines()[1].split() == ["all", "0.0000", "0.0000", "0.0000", "0"]
    assert entity_report([[]], [[]], "IOBES").token_accuracy == 0


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([], [], "expected at least one row, as many predicted as true, got 0 true and 0 predicted"),
        ([["O"]], [["O"], ["O"]], "got 1 true and 2 predicted"),
        ([["O"], ["O", "O"]], [["O"], ["O"]], "row 1: entity_report: expected 2 predicted tags, got 1"),
        (
            [["O"]],
            [["S-A"]],
            r"row 0, step 0: entity_report: predicted tags: expected a tag of BIO \(O, .*, got 'S-A', "
            "which belongs to IOBES or BMES",
        ),
        ([["O"], ["B-"]], [["O"], ["O"]], "row 1, step 0: entity_report: true tags: expected a tag of BIO"),
    ],
)
def test_rows_that_cannot_be_compared_are_errors(truth, predicted, message):
    with pytest.raises(ValueError, match=rf"{message}"):
        entity_report(truth, predicted, "BIO")


def test_tags_are_lists_of_text_in_a_scheme():
    with pytest.raises(
        TypeError, match="row 0: entity_report: true tags: spans: expected a list of tags, got the string 'O'"
    ):
        entity_report(["O"], ["O"], "BIO")
    with pytest.raises(ValueError, match=r"expected a scheme of BIO, .* got 'BIOSE'"):
        entity_report([["O"]], [["O"]], "BIOSE")
