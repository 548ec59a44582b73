"""`elman evaluate` on a classifier and on a tagger."""

import json
import re

import numpy as np
import pytest

from elman import Classifier, load

SKLEARN = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def some_wrong(reviews, tmp_path):
    """Write the reviews with a wrong label in every tenth row."""
    head, *lines = reviews.read_text().splitlines()
    other = {"pos": "neg", "neg": "pos"}
    for number in range(0, len(lines), 10):
        text, label = lines[number].split("\t")
        lines[number] = f"{text}\t{other[label]}"
    path = tmp_path / "wrong.tsv"
    path.write_text("\n".join([head, *lines]))
    return path


def test_a_table_and_the_same_figures_as_json(elman, classifier_run, some_wrong):
    result = elman("evaluate", classifier_run, some_wrong)
    assert result.exit_code == 0, result.output
    truth = [line.split("\t")[1] for line in some_wrong.read_text().splitlines()[1:]]
    predicted = [line.split("\t")[0] for line in elman("predict", classifier_run, some_wrong).stdout.splitlines()]
    figures = json.loads(elman("evaluate", classifier_run, some_wrong, "--json").stdout)
    assert figures["accuracy"] == SKLEARN.accuracy_score(truth, predicted) == 0.9
    assert figures["macro_f1"] == pytest.approx(SKLEARN.f1_score(truth, predicted, average="macro"))
    assert figures["confusion"] == SKLEARN.confusion_matrix(truth, predicted).tolist()
    printed = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line}
    expected = SKLEARN.classification_report(truth, predicted, output_dict=True)["neg"]
    assert printed["neg"] == [*(f"{expected[name]:.4f}" for name in ("precision", "recall", "f1-score")), "32"]
    assert printed["accuracy"] == ["0.9000"]
    assert "probabilities: calibrated by temperature on held-out rows" in result.stdout


def test_an_unknown_label_is_a_note(elman, classifier_run, tmp_path):
    file = tmp_path / "neutral.tsv"
    file.write_text("sentence\tlabel\nthe good film\tpos\nthe film\tneutral\n")
    result = elman("evaluate", classifier_run, file)
    assert result.exit_code == 0, result.output
    assert "note: 1 of 2 rows have classes that the model was not trained on (neutral)" in result.stdout


def test_a_file_with_other_columns(elman, classifier_run, reviews, tmp_path):
    file = tmp_path / "other.csv"
    file.write_text("gold,review\n" + "".join(
        "{1},{0}\n".format(*line.split("\t")) for line in reviews.read_text().splitlines()[1:]))  # fmt: skip
    words = ["evaluate", classifier_run, file, "--text", "review", "--label", "gold", "--json"]
    assert json.loads(elman(*words).stdout) == json.loads(elman("evaluate", classifier_run, reviews, "--json").stdout)
    result = elman("evaluate", classifier_run, file)
    assert result.exit_code == 1
    assert "other.csv: no column 'sentence'" in result.stderr


def test_a_picture_of_the_confusion_matrix(elman, classifier_run, reviews, tmp_path):
    picture = tmp_path / "confusion.png"
    result = elman("evaluate", classifier_run, reviews, "--picture", picture)
    assert result.exit_code == 0, result.output
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_model_that_python_trained_on_numbers_and_labels_of_integers(elman, tmp_path):
    series = [np.full((3, 1), float(row % 3)) for row in range(30)]
    model = Classifier(hidden_size=8, epochs=1).fit(series, [(2, 10, 1)[row % 3] for row in range(30)])
    model.save(tmp_path / "model.safetensors")
    np.savez(tmp_path / "series.npz", values=np.concatenate(series), lengths=[3] * 30, labels=[2, 10, 1] * 10)
    result = elman("evaluate", tmp_path / "model.safetensors", tmp_path / "series.npz", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["unseen"] == []
    assert json.loads(result.stdout)["accuracy"] == model.score(series, [2, 10, 1] * 10)


def test_the_entities_of_a_tagger(elman, tagger_run, names):
    result = elman("evaluate", tagger_run, names)
    assert result.exit_code == 0, result.output
    figures = json.loads(elman("evaluate", tagger_run, names, "--json").stdout)
    model = load(tagger_run)
    sentences = [[line.split() for line in part.splitlines()] for part in names.read_text().split("\n\n")[1:]]
    rows, tags = ([[line[column] for line in part] for part in sentences] for column in (0, 2))
    assert figures["f1"] == model.score(rows, tags)
    assert figures["tokens"] == 300
    assert [part["label"] for part in figures["labels"]] == ["LOC", "PER"]
    assert f"{figures['f1']:.4f}" in next(line for line in result.stdout.splitlines() if line.startswith("all "))


def test_another_column_of_tags_has_no_entities_and_a_picture(elman, names, tiny, tmp_path):
    run = tmp_path / "run"
    result = elman("train", "tagger", names, "--tag", 2, "--out", run, *tiny)
    assert "class  precision" in result.stdout, result.output
    result = elman("evaluate", run, names, "--picture", tmp_path / "tags.png")
    assert result.exit_code == 0, result.output
    assert "probabilities" not in result.stdout or "none were given" in result.stdout
    assert (tmp_path / "tags.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CLASSIFIER", "FILE", "--streams", "2"], "--streams: not supported for a classifier; leave it out."),
        (["CLASSIFIER", "FILE", "--word", "1"], "--word: not supported for a classifier; leave it out."),
        (["TAGGER", "FILE", "--text", "x"], "--text: not supported for a tagger; leave it out."),
        (
            ["TAGGER", "FILE", "--picture", "x.png"],
            "--picture: draws a confusion matrix, and this model finds entities",
        ),
        (["LANGUAGE", "FILE", "--picture", "x.png"], "--picture: not supported for a language-model; leave it out."),
    ],
)
def test_unsupported_options_are_wrong_usage(elman, classifier_run, tagger_run, run_folder, reviews, words, message):
    names = {"CLASSIFIER": classifier_run, "TAGGER": tagger_run, "LANGUAGE": run_folder, "FILE": reviews}
    result = elman("evaluate", *(names.get(word, word) for word in words))
    assert result.exit_code == 2
    assert message in result.stderr


def test_rows_that_the_model_cannot_read(elman, classifier_run, tmp_path):
    file = tmp_path / "series.npz"
    np.savez(file, values=np.zeros((2, 1)), lengths=[1, 1], labels=["pos", "neg"])
    model = tmp_path / "model.safetensors"
    model.write_bytes((classifier_run / "model.safetensors").read_bytes())
    result = elman("evaluate", model, file)
    assert result.exit_code == 1
    assert f"{file}:case 0: expected text" in result.stderr


def test_an_odd_tag_is_named_with_its_line_before_the_model_runs(elman, tagger_run, names, tmp_path, monkeypatch):
    monkeypatch.setattr("elman.tasks.tagger.Tagger.predict", None)
    mixed = r"'S-PER', which belongs to IOBES or BMES; .* one scheme .*: BIO, that of the model"
    for tag, message in (("S-PER", mixed), ("B-", "'B-'; correct it"), ("0", "'0'; correct it"), ("PER", "'PER'; ")):
        odd = tmp_path / "odd.txt"
        odd.write_text(f"{names.read_text()}\n\nAnn NNP O\nLee NNP {tag}\n")
        result = elman("evaluate", tagger_run, odd)
        line = len(odd.read_text().splitlines())
        assert re.search(rf"odd\.txt:{line}: expected a tag of BIO .*, got {message}", result.stderr), result.stderr
