"""ROUGE compared with counts by hand, and with the scorer called directly."""

import json
import logging
import sys

import pytest

from elman.metrics import summary_report

HYPOTHESES = ["meetings of monday", "the police killed the gunman", ""]
TRUE = ["the meeting on monday", "police kill the gunman", "nothing"]


def test_figures_by_hand():
    """`meetings` and `meeting` have one stem; so have `killed` and `kill`."""
    report = summary_report(HYPOTHESES, TRUE)
    assert report.rouge1 == pytest.approx(100 * (4 / 7 + 8 / 9) / 3)
    assert report.rouge2 == pytest.approx(100 * (6 / 7) / 3)  # police kill, kill the, the gunman
    assert report.rougeL == pytest.approx(100 * (4 / 7 + 8 / 9) / 3)
    assert (report.summaries, report.length, report.reference_length) == (3, 8 / 3, 3)


def test_figures_are_those_of_the_scorer_with_stems():
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import DefaultTokenizer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=DefaultTokenizer(True))
    theirs = [scorer.score(true, hypotheses) for true, hypotheses in zip(TRUE, HYPOTHESES, strict=True)]
    report = summary_report(HYPOTHESES, TRUE)
    for name in ("rouge1", "rouge2", "rougeL"):
        assert getattr(report, name) == pytest.approx(100 * sum(row[name].fmeasure for row in theirs) / 3)


def test_the_best_of_several_references_counts():
    report = summary_report(HYPOTHESES[:1], [["nothing at all", "monday meetings"]])
    assert report.rouge1 == pytest.approx(80)
    assert report.rougeL == pytest.approx(40)
    assert report.reference_length == 2.5


def test_a_table_and_json_and_no_handler_on_the_root():
    handlers = list(logging.root.handlers)
    report = summary_report(HYPOTHESES, TRUE)
    assert logging.root.handlers == handlers
    assert report.table().splitlines() == [
        "summaries      3",
        "ROUGE-1    48.68",
        "ROUGE-2    28.57",
        "ROUGE-L    48.68",
        "",
        "ROUGE: F1 of stems, by rouge-score",
        "length: 2.7 words on average, references 3.0",
    ]
    assert json.loads(json.dumps(report.to_json()))["rouge1"] == report.rouge1


def test_rows_that_cannot_be_compared_are_errors(monkeypatch):
    with pytest.raises(ValueError, match=r"^summary_report: expected at least one row"):
        summary_report([], [])
    with pytest.raises(TypeError, match=r"^row 0: summary_report: expected text, got int 1"):
        summary_report([1], ["a"])
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    with pytest.raises(ModuleNotFoundError, match="ROUGE needs the package rouge-score"):
        summary_report(["a"], ["a"])
