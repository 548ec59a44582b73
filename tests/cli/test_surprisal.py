import json
import math

import pytest

from elman import load


@pytest.fixture
def stimuli(tmp_path):
    path = tmp_path / "stimuli.txt"
    path.write_text("the cat sat\n\nthe €og\n")
    return path


def table(result):
    assert result.exit_code == 0, result.output
    header, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_line_per_word_whose_sum_is_that_of_evaluate(elman, run_folder, stimuli):
    rows = table(elman("surprisal", run_folder, stimuli, "--documents", "line"))
    assert [row["word"] for row in rows] == ["the", "cat", "sat", "</s>", "the", "€og", "</s>"]
    assert [row["place"] for row in rows] == [f"{stimuli}:1"] * 4 + [f"{stimuli}:3"] * 3
    assert [row["unknown"] for row in rows] == ["0"] * 5 + ["1", "0"]
    figures = json.loads(elman("evaluate", run_folder, stimuli, "--documents", "line", "--json").stdout)
    for column, model in ("surprisal", "LSTM"), ("ngram_surprisal", "3-gram"):
        bits = sum(float(row[column]) for row in rows)
        assert bits * math.log(2) == pytest.approx(figures[model]["nats"], rel=1e-5)


def test_json_and_standard_input(elman, run_folder, stimuli):
    words = ["surprisal", run_folder, "--documents", "line", "--jsonl"]
    piped = [json.loads(line) for line in elman(*words, stdin=stimuli.read_text()).stdout.splitlines()]
    assert piped[0].pop("place") == "standard input:1"
    named = [json.loads(line) for line in elman(*words, stimuli).stdout.splitlines()]
    assert list(named[0])[1:] == list(piped[0])
    assert [row["surprisal"] for row in piped] == pytest.approx([row["surprisal"] for row in named])


def test_sums_per_document_and_files_as_in_training(elman, run_folder, stimuli):
    (row,) = table(elman("surprisal", run_folder, stimuli, "--per-document"))
    figures = load(run_folder).evaluate(stimuli)
    assert (row["place"], row["words"], row["units"]) == (str(stimuli), "5", str(figures.units))
    assert float(row["perplexity"]) == pytest.approx(figures.perplexity, rel=1e-5)


def test_minimal_pairs(elman, run_folder, tmp_path):
    path = tmp_path / "pairs.jsonl"
    pairs = [("the cat sat", "cat the sat"), ("the dog", "dog the")]
    path.write_text("".join(json.dumps({"good": good, "bad": bad, "id": 1}) + "\n" for good, bad in pairs))
    columns = ["--good", "good", "--bad", "bad"]
    rows = table(elman("surprisal", run_folder, path, *columns))
    assert [(row["good"], row["bad"]) for row in rows] == pairs
    assert rows[0]["place"] == f"{path}:1"
    report = json.loads(elman("evaluate", run_folder, path, *columns, "--json").stdout)
    correct = [row["correct"] == "true" for row in rows]
    assert report["model"] == {"pairs": 2, "accuracy": sum(correct) / 2, "difference": pytest.approx(
        sum(float(row["bad_surprisal"]) - float(row["good_surprisal"]) for row in rows) / 2, abs=1e-5)}  # fmt: skip
    assert "accuracy" in elman("evaluate", run_folder, path, *columns).stdout
    useless = elman("surprisal", run_folder, path, *columns, "--per-document")
    assert (useless.exit_code, "--per-document: has no effect" in useless.stderr) == (2, True)
    half = elman("surprisal", run_folder, path, "--good", "good")
    assert half.exit_code == 2
    assert "--good and --bad: give both" in half.stderr


def test_models_of_other_tasks_are_refused(elman, classifier_run, stimuli):
    result = elman("surprisal", classifier_run, stimuli)
    assert result.exit_code == 1
    assert (
        "holds a model of the task classifier, which elman surprisal does not support; use elman predict"
        in result.stderr
    )
