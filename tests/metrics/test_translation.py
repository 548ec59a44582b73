"""BLEU and chrF are those of sacrebleu's own command; the rest is counted by hand."""

import json
import subprocess
import sys

import jiwer
import pytest

from elman.metrics import translation_report

HYPOTHESES = ["The cat sat on the mat .", "a dog", "", "Two men walk along the river today."]
ONE = ["the cat sat on the mat .", "a big dog barks", "nobody", "Two men are walking along a river today."]
TWO = ["A cat sat on a mat .", "a dog", "no one", "Along the river walk two men."]


@pytest.mark.parametrize("lowercase", [False, True])
def test_figures_and_signatures_are_those_of_the_command_sacrebleu(lowercase, tmp_path):
    files = []
    for name, texts in (("one", ONE), ("two", TWO), ("hypotheses", HYPOTHESES)):
        files.append(tmp_path / name)
        files[-1].write_text("\n".join(texts) + "\n")
    words = [*files[:2], "--input", files[2], "-m", "bleu", "chrf", "-w", "6", "-f", "json"]
    command = [sys.executable, "-m", "sacrebleu", *map(str, words), *(["-lc", "--chrf-lowercase"] if lowercase else [])]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    report = translation_report(HYPOTHESES, list(zip(ONE, TWO, strict=True)), lowercase=lowercase)
    assert [report.bleu, report.chrf] == pytest.approx([figure["score"] for figure in figures], abs=1e-6)
    assert [report.bleu_signature, report.chrf_signature] == [figure["signature"] for figure in figures]


def test_words_and_whole_sentences():
    report = translation_report(HYPOTHESES, ONE)
    assert (report.sentences, report.exact) == (4, 0)
    assert report.unit_error_rate == pytest.approx(jiwer.wer(ONE, HYPOTHESES))
    report = translation_report(HYPOTHESES, ONE, lowercase=True)
    assert report.exact == 0.25
    assert report.unit_error_rate == pytest.approx(
        jiwer.wer(list(map(str.lower, ONE)), list(map(str.lower, HYPOTHESES)))
    )


def test_rows_may_have_different_numbers_of_references():
    rows = [list(row) for row in zip(ONE, TWO, strict=True)]
    report = translation_report(HYPOTHESES, [rows[0][:1], *rows[1:]])
    assert "nrefs:var" in report.bleu_signature
    assert report.exact == 0.25
    assert report.unit_error_rate == (1 + 0 + 1 + 3) / (7 + 2 + 1 + 8)


def test_phonemes_are_words_between_blanks():
    report = translation_report(["K AE T", "D AA G"], [["K AE T", "K AE D"], ["D AO G"]])
    assert (report.exact, report.unit_error_rate) == (0.5, 1 / 6)


def test_a_table_and_json():
    report = translation_report(HYPOTHESES, ONE)
    lines = report.table().splitlines()
    assert lines[0].split() == ["sentences", "4"]
    assert lines[1].split() == ["BLEU", f"{report.bleu:.2f}", report.bleu_signature]
    assert lines[2].split() == ["chrF", f"{report.chrf:.2f}", report.chrf_signature]
    assert [line.split()[-1] for line in lines[3:]] == ["0.0000", f"{report.unit_error_rate:.4f}"]
    figures = json.loads(json.dumps(report.to_json()))
    assert figures["bleu"] == report.bleu
    assert figures["lowercase"] is False
    nothing = translation_report(["", "a"], ["", ""])
    assert (nothing.exact, nothing.unit_error_rate, nothing.bleu) == (0.5, None, 0)
    assert nothing.table().endswith("-")


@pytest.mark.parametrize(
    ("hypotheses", "true", "kind", "message"),
    [
        ([], [], ValueError, "expected at least one row, as many of references .* got 0 hypotheses and 0 rows"),
        (["a"], ["a", "b"], ValueError, "got 1 hypotheses and 2 rows of references"),
        (["a", "b"], ["a", []], ValueError, "row 1: .*expected at least one reference, got none"),
        (["a", 3], ["a", "b"], TypeError, "row 1: translation_report: expected text, got int 3"),
        (["a"], [["a", None]], TypeError, "row 0: translation_report: expected text, got NoneType None"),
        ("a", ["a"], TypeError, r"expected a list of hypotheses, got one text; put it in a list: \[text\]"),
    ],
)
def test_rows_that_cannot_be_compared_are_errors(hypotheses, true, kind, message):
    with pytest.raises(kind, match=message):
        translation_report(hypotheses, true)


def test_without_sacrebleu_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ModuleNotFoundError, match="BLEU needs the package sacrebleu"):
        translation_report(["a"], ["a"])
