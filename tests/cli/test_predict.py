import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elman import Classifier, load
from elman.cli.console import row_counter
from elman.cli.row_stream import results
from elman.data.readers import read_labelled
from elman.data.readers.labelled import Row
from elman.errors import RowError

LINES = ["the good film", "", "a\tdull  plot \x1b[2J", "good " * 30]


@pytest.fixture
def start():
    """Start the command in another process, with pipes."""
    processes = []

    def start(*words, **streams):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | streams
        command = [sys.executable, "-m", "elman.cli", "predict", *map(str, words)]
        processes.append(subprocess.Popen(command, text=True, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        for pipe in process.stdin, process.stdout, process.stderr:
            if pipe is not None:
                pipe.close()


def test_a_line_of_the_table_for_each_text(elman, classifier_run, tmp_path):
    file = tmp_path / "new.txt"
    file.write_text("\n".join(LINES))
    result = elman("predict", classifier_run, file)
    assert (result.exit_code, result.stderr) == (0, "")
    probabilities = load(classifier_run).predict_proba(LINES)
    printed = [line.split("\t") for line in result.stdout.splitlines()]
    assert [label for label, _, _ in printed] == [("neg", "pos")[best] for best in probabilities.argmax(1)]
    assert [float(part) for _, part, _ in printed] == pytest.approx(probabilities.max(1), abs=1e-4)
    assert [text for _, _, text in printed] == ["the good film", "", "a dull  plot  [2J", "good " * 12 + "..."]


def test_json_has_all_probabilities_and_the_whole_text(elman, classifier_run):
    result = elman("predict", classifier_run, "--jsonl", stdin="\n".join(LINES).encode())
    probabilities = load(classifier_run).predict_proba(LINES)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["text"] for row in rows] == LINES
    assert [row["place"] for row in rows] == [f"standard input:{number}" for number in (1, 2, 3, 4)]
    for row, expected in zip(rows, probabilities, strict=True):
        assert list(row["probabilities"].values()) == pytest.approx(expected, rel=1e-5)
        assert row["probability"] == row["probabilities"][row["label"]] == max(row["probabilities"].values())


def test_standard_input_files_and_tables_give_the_same_predictions(elman, classifier_run, reviews, tmp_path):
    texts = [line.split("\t")[0] for line in reviews.read_text().splitlines()[1:]]
    plain, unlabelled = tmp_path / "plain.txt", tmp_path / "unlabelled.csv"
    plain.write_bytes("\ufeff".encode() + "\r\n".join(texts).encode())
    unlabelled.write_text("sentence\n" + "\n".join(texts) + "\n")
    expected = elman("predict", classifier_run, reviews).stdout
    assert len(expected.splitlines()) == 80
    for words, stdin in (
        ([plain], None), ([unlabelled], None), (["-"], "\n".join(texts)), ([], "\n".join(texts) + "\n"),
    ):  # fmt: skip
        result = elman("predict", classifier_run, *words, stdin=stdin)
        assert result.stdout == expected, result.output
    assert (
        elman("predict", classifier_run, plain, "-", stdin=texts[0]).stdout == expected + expected.split("\n")[0] + "\n"
    )


def test_no_lines_no_predictions(elman, classifier_run, tagger_run):
    for run in classifier_run, tagger_run:
        result = elman("predict", run, stdin="")
        assert (result.exit_code, result.output) == (0, "")


def test_more_rows_than_a_batch_holds(elman, classifier_run):
    texts = [f"film {number}" for number in range(1500)]
    printed = elman("predict", classifier_run, stdin="\n".join(texts)).stdout.splitlines()
    assert [line.split("\t")[2] for line in printed] == texts


def test_each_line_is_predicted_before_the_next_one_arrives(start, classifier_run):
    """Write each line after reading the prediction of the previous one, as with `tail -f`."""
    process = start(classifier_run)
    for text in "the good film", "", "a dull plot":
        process.stdin.write(text + "\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(f"\t{text}\n")
    process.stdin.close()
    assert process.stdout.read() == ""
    assert process.stderr.read() == ""
    assert process.wait(60) == 0


@pytest.mark.slow
def test_each_sentence_in_columns_is_predicted_before_the_next_one_arrives(start, tagger_run):
    process = start(tagger_run, "--layout", "columns")
    for word in "Ann", "Bob":
        process.stdin.write(f"{word}\n\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(f"{word}\t")
        assert process.stdout.readline() == "\n"


@pytest.mark.slow
def test_a_closed_pipe_is_no_error(start, classifier_run, tmp_path):
    file = tmp_path / "many.txt"
    file.write_text("the good film\n" * 20_000)
    process = start(classifier_run, file)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 141  # 128 + SIGPIPE, as for programs of Unix


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no pseudo-terminals")
def test_a_terminal_gets_a_hint_that_its_lines_are_read(start, classifier_run):
    ours, theirs = os.openpty()
    process = start(classifier_run, stdin=theirs)
    os.write(ours, b"the good film\n\x04")
    assert process.stdout.readline().startswith("pos\t")
    assert process.wait(60) == 0
    assert process.stderr.read() == "Reading what you type; Ctrl-D ends it.\n"
    os.close(ours)
    os.close(theirs)


def test_a_line_that_is_not_utf8(elman, classifier_run):
    result = elman("predict", classifier_run, stdin=b"the film\r\n\r\ncaf\xe9\nthe plot\n")
    assert result.exit_code == 1
    assert "Error: standard input:3: byte 4 of the line is not UTF-8 (0xe9)" in result.stderr
    assert result.stdout == elman("predict", classifier_run, stdin="the film\n\n").stdout  # the lines before it


def test_rows_before_an_error_are_printed(elman, classifier_run, tagger_run, run_folder, tmp_path):
    columns = tmp_path / "a.txt"
    columns.write_text("Ann\tO\n\nLee\tO\nOslo\n")
    for run, words, stdin, error in (
        (classifier_run, [], b"the film\ncaf\xe9\n", "standard input:2: byte 4"),
        (tagger_run, [columns], None, f"{columns}:4: expected 2 columns"),
        (tagger_run, ["--layout", "columns"], "Ann\tO\n\nLee\tO\nOslo\n", "standard input:4: expected 2 columns"),
    ):
        result = elman("predict", run, *words, stdin=stdin)
        assert result.exit_code == 1
        assert f"Error: {error}" in result.stderr
        assert len(result.stdout.strip().split("\n")) == 1
    result = elman("surprisal", run_folder, "--documents", "line", stdin=b"the cat\ncaf\xe9\n")
    assert [line.split("\t")[0] for line in result.stdout.splitlines()[1:]] == ["standard input:1"] * 3
    assert "Error: standard input:2: byte 4" in result.stderr


def test_a_table_in_a_pipe_needs_the_option_of_its_column(elman, classifier_run, reviews):
    """Plain lines are the default; the header or the first record of a table is not predicted as text."""
    expected = elman("predict", classifier_run, reviews).stdout
    table = reviews.read_text()
    rows = [line.split("\t") for line in table.splitlines()[1:]]
    jsonl = "".join(json.dumps({"sentence": text, "label": label}) + "\n" for text, label in rows)
    for data in (table, table.replace("\t", ","), jsonl):
        result = elman("predict", classifier_run, stdin=data)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == ("Error: standard input:1: expected text, got a table with the column sentence; "
                                 "use --text sentence to read the table.\n")  # fmt: skip
        assert elman("predict", classifier_run, "--text", "sentence", stdin=data).stdout == expected
        assert elman("predict", classifier_run, "-", "--label", "label", stdin=data).stdout == expected
    text = '{"text": "a film"}\na sentence, or two\n{"sentence": 1}\n'
    assert elman("predict", classifier_run, stdin=text).stdout.count("\n") == 3


def test_columns_of_words_in_a_pipe_need_an_option_or_a_layout(elman, tagger_run):
    column = "Ann\nLee\n\nBob\n"
    expected = elman("predict", tagger_run, "--layout", "columns", stdin=column).stdout
    assert elman("predict", tagger_run, "--word", "1", stdin=column).stdout == expected
    assert elman("predict", tagger_run, stdin=column).stdout != expected


@pytest.mark.parametrize(
    ("data", "got"),
    [(b"\x89PNG\r\n\x1a\n\0", "a PNG picture."), (b"\x1f\x8b\x08\0", "gzip data; unpack them: zcat.")],
)
def test_other_data_than_text_in_a_pipe(elman, tagger_run, data, got):
    assert elman("predict", tagger_run, stdin=data).stderr == f"Error: standard input:1: expected text, got {got}\n"


def test_results_before_a_row_that_fails():
    def compute(rows):
        for number, row in enumerate(rows):
            if row.input < 0:
                raise RowError(number, "negative")
        if len(rows) > 2:
            raise RowError(2, "too many")  # a later check finds an earlier row
        return [row.input for row in rows]

    batch = [Row(value, None, f"a:{value}") for value in (0, 1, 2, 3, -4, 5)]
    found = results(batch, compute)
    assert next(found) == [0, 1]
    with pytest.raises(ValueError, match="a:2: too many"):
        next(found)
    assert list(results(batch[:2], compute)) == [[0, 1]]


def test_sentences_are_lines_or_columns(elman, tagger_run, names, tmp_path):
    sentence, tags = "Ann Lee went to Oslo", ["B-PER", "I-PER", "O", "O", "B-LOC"]
    expected = "".join(f"{word}\t{tag}\n" for word, tag in zip(sentence.split(), tags, strict=True)) + "\n"
    assert elman("predict", tagger_run, stdin=sentence).stdout == expected
    column = sentence.replace(" ", "\n")
    assert elman("predict", tagger_run, "--layout", "columns", stdin=f"{column}\n\n{column}").stdout == 2 * expected
    letter, words = tmp_path / "letter.txt", tmp_path / "words.txt"
    letter.write_text(f"{sentence}\n\n{sentence}\n")
    words.write_text(column)
    for layout in "lines", "plain":
        assert elman("predict", tagger_run, letter, "--layout", layout).stdout == f"{expected}\n{expected}"
    assert elman("predict", tagger_run, words).stdout == expected
    assert elman("predict", tagger_run, names).stdout.count("\n\n") == 60


def test_sentences_as_json_with_their_spans(elman, tagger_run):
    printed = elman("predict", tagger_run, "--jsonl", stdin="Ann Lee went to Oslo\n\n").stdout
    first, empty = map(json.loads, printed.splitlines())
    assert first == {
        "place": "standard input:1",
        "words": ["Ann", "Lee", "went", "to", "Oslo"],
        "tags": ["B-PER", "I-PER", "O", "O", "B-LOC"],
        "offsets": [[0, 3], [4, 7], [8, 12], [13, 15], [16, 20]],
        "spans": [
            {"label": "PER", "start": 0, "stop": 2, "text": "Ann Lee"},
            {"label": "LOC", "start": 4, "stop": 5, "text": "Oslo"},
        ],
    }
    assert (empty["words"], empty["tags"], empty["spans"], empty["offsets"]) == ([], [], [], [])
    words = json.loads(
        elman("predict", tagger_run, "--jsonl", "--layout", "lines", stdin="Ann Lee went to Oslo").stdout
    )
    assert words == {name: value for name, value in first.items() if name != "offsets"}


def test_a_tagger_splits_plain_text_from_standard_input_and_files(elman, tagger_run, tmp_path):
    text, words = "Ann  Lee didn't go to Oslo.", ["Ann", "Lee", "did", "n't", "go", "to", "Oslo", "."]
    letter = tmp_path / "letter.txt"
    letter.write_text(text + "\n")
    for printed in elman("predict", tagger_run, stdin=text), elman("predict", tagger_run, letter, "--layout", "plain"):
        assert [line.split("\t")[0] for line in printed.stdout.splitlines()] == [*words, ""]
    found = json.loads(elman("predict", tagger_run, "--layout", "plain", "--jsonl", letter).stdout)
    assert [text[start:stop] for start, stop in found["offsets"]] == found["words"] == words
    ends = [(found["offsets"][span["start"]][0], found["offsets"][span["stop"] - 1][1]) for span in found["spans"]]
    assert [text[start:stop] for start, stop in ends] == [span["text"] for span in found["spans"]]
    assert elman("predict", tagger_run, "--layout", "lines", stdin="Oslo.").stdout.startswith("Oslo.\t")


def test_a_tagger_that_reads_another_column(elman, names, tiny, tmp_path):
    run = tmp_path / "run"
    assert elman("train", "tagger", names, "--given", 2, "--out", run, *tiny).exit_code == 0
    printed = elman("predict", run, "--layout", "columns", stdin="Ann NNP\nwent VB\n").stdout
    assert re.fullmatch(r"Ann\tNNP\t[\w-]+\nwent\tVB\t[\w-]+\n\n", printed)
    result = elman("predict", run, stdin="Ann went")
    assert result.exit_code == 1
    assert "expected 2 columns per word, as in training, got plain text; use --layout columns." in result.stderr
    result = elman("predict", run, "--layout", "lines", stdin="Ann went")
    assert "expected 2 columns per word, as in training, got lines of words; use --layout columns." in result.stderr


@pytest.mark.parametrize(
    ("verb", "run", "way"),
    [
        ("predict", "language-model", "generate"),
        ("generate", "classifier", "predict"),
        ("generate", "tagger", "predict"),
    ],
)
def test_a_verb_for_other_models_names_the_right_verb(elman, classifier_run, tagger_run, run_folder, verb, run, way):
    folder = {"language-model": run_folder, "classifier": classifier_run, "tagger": tagger_run}[run]
    result = elman(verb, folder)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {folder}: holds a model of the task {run}, which elman {verb} does not support; use elman {way}.\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CLASSIFIER", "no.tsv"], "no.tsv: cannot be read: No such file or directory."),
        (["CLASSIFIER", "no.txt"], "no.txt: cannot be read: No such file or directory."),
        (["TAGGER", "no.txt"], "no.txt: cannot be read: No such file or directory."),
        (["CLASSIFIER", "REVIEWS", "--text", "sentenc"], "did you mean sentence?"),
        (["TAGGER", "NAMES", "--word", "9"], "expected a column from 1 to 3"),
        (["no-run", "REVIEWS"], "no-run"),
    ],
)
def test_missing_files_and_columns(elman, classifier_run, tagger_run, reviews, names, words, message):
    known = {"CLASSIFIER": classifier_run, "TAGGER": tagger_run, "REVIEWS": reviews, "NAMES": names}
    result = elman("predict", *(known.get(word, word) for word in words), stdin="")
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


def test_lines_for_a_model_of_series(elman, tiny, tmp_path):
    file, run = tmp_path / "series.npz", tmp_path / "run"
    np.savez(file, values=np.arange(40.0)[:, None], lengths=[2] * 20, labels=["a", "b"] * 10)
    assert elman("train", "classifier", file, "--out", run, *tiny, "--set", "epochs=1").exit_code == 0
    result = elman("predict", run, stdin="1 2 3\n")
    assert result.exit_code == 1
    assert (
        "standard input: expected series, which this model reads, got lines of text; name another FILE, or the "
        "columns of a table (--values)." in result.stderr
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CLASSIFIER", "--layout", "lines"], "--layout: not supported for a classifier"),
        (["CLASSIFIER", "--tag", "2"], "--tag: not supported for a classifier"),
        (["TAGGER", "--size", "2x2"], "--size: not supported for a tagger"),
        (["TAGGER", "--n-best", "2"], "--n-best: not supported for a tagger"),
        (["CLASSIFIER", "--show-attention", "a.png"], "--show-attention: not supported for a classifier"),
    ],
)
def test_unsupported_options_are_wrong_usage(elman, classifier_run, tagger_run, words, message):
    known = {"CLASSIFIER": classifier_run, "TAGGER": tagger_run}
    result = elman("predict", *(known.get(word, word) for word in words), stdin="")
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_row_counter_prints_the_number_of_rows(capsys):
    with row_counter(delay=0.0, every=0.0) as done:
        done(400)
        done(800)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(r"400 rows, [\d,]+ a second\n1,200 rows, [\d,]+ a second\n", printed.err)
    with row_counter() as done:
        done(400)
    assert capsys.readouterr().err == ""


def test_the_row_counter_is_quiet_if_rows_appear_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with row_counter(delay=0.0, every=0.0) as done:
        done(400)
    assert capsys.readouterr().err == ""


def test_the_folder_of_a_run_may_be_named_by_its_model_file(elman, classifier_run, reviews):
    model = Path(classifier_run) / "model.safetensors"
    assert elman("predict", model, reviews).stdout == elman("predict", classifier_run, reviews).stdout


def test_plain_text_in_place_of_columns_names_the_layout(elman, tagger_run, tmp_path):
    plain = tmp_path / "plain.txt"
    plain.write_text("Ann Lee went to Oslo\nTwo men talk\n")
    result = elman("predict", tagger_run, plain)
    assert (f"{plain}:2: expected 5 columns as in line 1, got 3: 'Two men talk'; a FILE has words in columns "
            "by default; for plain text, use --layout plain") in result.stderr  # fmt: skip
    assert elman("predict", tagger_run, plain, "--layout", "plain").exit_code == 0  # the advice works
    for verb in (["evaluate", tagger_run], ["train", "tagger", "--out", tmp_path / "run"]):
        result = elman(*verb, plain)
        assert (
            f"{plain}:2: expected 5 columns as in line 1, got 3: 'Two men talk'; write a word per line" in result.stderr
        )
        plain.write_text("Ann\nLee\n")
        message = (
            f"{plain}:1: expected a word and a tag, got column 1 of 1 for both; write a tag in a column after each word"
        )
        assert message in elman(*verb, plain).stderr
        plain.write_text("Ann Lee went to Oslo\nTwo men talk\n")


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Return a table of four series, and the run of a model that was trained on it in Python."""
    folder = tmp_path_factory.mktemp("machines")
    lines = [f"m{number},{step},{number % 2},{step}" for number in range(4) for step in range(3)]
    (folder / "new.csv").write_text("\n".join(["machine,hour,temp,vib", *lines]) + "\n")
    rows = read_labelled(folder / "new.csv", values=["temp", "vib"], group="machine", time="hour")
    model = Classifier(hidden_size=4, epochs=3, learning_rate=0.05, validation=0)
    model.fit(rows.inputs, ["a", "b", "a", "b"], run=folder / "run")
    return folder / "new.csv", folder / "run"


def test_a_run_of_python_needs_the_columns_of_a_table_and_no_labels(elman, machines):
    table, run = machines
    result = elman("predict", run, table)
    assert result.stderr == (
        f"Error: {table}: a table; name its columns, which a run folder keeps: --text COLUMN for texts, or --values "
        "COLUMN,COLUMN,... with --group COLUMN for series.\n"
    )
    assert "--label" not in result.stderr
    assert " for series; and --label COLUMN.\n" in elman("evaluate", run, table).stderr
    result = elman("predict", run, table, "--values", "temp,vib", "--group", "machine", "--time", "hour")
    assert [line.split("\t")[::2] for line in result.stdout.splitlines()] == [["a", "m0"], ["b", "m1"], ["a", "m2"],
                                                                              ["b", "m3"]]  # fmt: skip


def test_columns_are_read_by_name_in_any_order(elman, machines):
    table, run = machines
    options = ("--group", "machine", "--time", "hour")
    one, two = (elman("predict", run, table, "--values", values, *options) for values in ("temp,vib", "vib,temp"))
    assert one.stdout == two.stdout != ""
    result = elman("predict", run, table, "--values", "temp,hour", *options)
    assert "machine m0: expected the variables temp, vib, as in training, got temp, hour; select these" in result.stderr


@pytest.mark.parametrize(("verb", "words"), [("predict", ["RUN"]), ("evaluate", ["RUN", "FILE"]),
                                             ("train", ["classifier", "FILE", "--out", "x"])])  # fmt: skip
def test_columns_after_a_blank_are_not_files(elman, machines, verb, words):
    names = dict(zip(("FILE", "RUN"), machines, strict=True))
    result = elman(verb, *(names.get(word, word) for word in words), "--values", "temp", "vib")
    assert "vib: no such file; if it is a column, separate columns with commas: --values temp,vib.\n" in result.stderr
    result = elman(verb, *(names.get(word, word) for word in words), "vib.csv", "--values", "temp")
    assert "vib.csv: cannot be read: No such file or directory" in result.stderr
