"""`-` is standard input, for every verb that reads data."""

import json
import tomllib
from hashlib import sha256

import pytest

TAGGED = "Ann B-PER\nsees O\nRome B-LOC\n\nBob B-PER\nsleeps O\n\n" * 6
TINY = ["--set=epochs=1", "--set=hidden_size=4", "--set=embedding_size=4"]


def error_line(result) -> str:
    assert result.exit_code == 1, result.output
    return result.stderr.rstrip("\n").split("\n")[-1]


@pytest.mark.parametrize(
    ("task", "data", "options"),
    [
        ("language-model", "to be or not to be, that is the question\n" * 20, ["--set=steps=20"]),
        ("classifier", "good\t1\nbad\t0\n" * 8, ["--text", "1", "--label", "2"]),
        ("classifier", "text,label\n" + "good,1\nbad,0\n" * 8, ["--text", "text", "--label", "label"]),
        ("classifier", '{"text": "good", "label": 1}\n{"text": "bad", "label": 0}\n' * 8,
         ["--text", "text", "--label", "label"]),
        ("tagger", TAGGED, []),
        ("translator", "cat\tK AE T\ndog\tD AO G\n" * 8, ["--source", "1", "--target", "2", "--set=units=characters"]),
    ],
)  # fmt: skip
def test_a_model_is_trained_evaluated_and_examined_on_standard_input(elman, tmp_path, task, data, options):
    run = tmp_path / "run"
    result = elman("train", task, "-", "--out", run, *TINY, *options, stdin=data)
    assert result.exit_code == 0, result.output
    assert tomllib.loads((run / "config.toml").read_text())["data"] == ["-"]
    evaluated = elman("evaluate", run, "-", "--json", stdin=data)
    assert evaluated.exit_code == 0, evaluated.output
    assert json.loads(evaluated.stdout)
    examined = elman("doctor", run, "-", "--json", stdin=data)
    assert examined.exit_code == 0, examined.output
    assert "was trained on standard input, which is not stored" in error_line(elman("doctor", run))


def test_a_run_keeps_the_digest_and_is_resumed_with_the_same_data_only(elman, text, small, tmp_path):
    run = tmp_path / "run"
    trained = elman("train", "language-model", "-", "--out", run, *small, stdin=text)
    assert trained.exit_code == 0, trained.output
    config = tomllib.loads((run / "config.toml").read_text())
    assert (config["data"], config["standard_input"]) == (["-"], sha256(text.encode()).hexdigest())
    resume = "train", "language-model", "--resume", "--out", run
    assert elman(*resume, stdin=text).exit_code == 0
    for other, got in (("other text " * 50, "other data"), ("", "nothing")):
        line = error_line(elman(*resume, stdin=other))
        assert f"standard input: expected the data that {run} was trained on" in line
        assert f"got {got}; pipe the same data in." in line


@pytest.mark.parametrize("verb", ["evaluate", "surprisal"])
def test_standard_input_is_read_without_a_file(elman, run_folder, text, verb):
    found = elman(verb, run_folder, stdin=text)
    assert found.exit_code == 0, found.output
    assert found.stdout == elman(verb, run_folder, "-", stdin=text).stdout


def test_standard_input_is_read_only_once(elman, run_folder, text):
    for words in (["evaluate", run_folder, "-", "-"], ["train", "language-model", "-", "--validation", "-"]):
        result = elman(*words, stdin=text)
        assert result.exit_code == 2
        assert "standard input can be read only once" in result.stderr


def test_a_closed_or_empty_standard_input_is_one_line(elman, run_folder, text_file, monkeypatch):
    assert "standard input: empty; expected a file with text." in error_line(elman("evaluate", run_folder, "-"))
    from elman.data.raw_files import STDIN, lines, read_bytes

    monkeypatch.setattr("sys.stdin", None)
    for read in (read_bytes, lambda file: list(lines(file))):
        with pytest.raises(ValueError, match=r"standard input: is closed; name a file, or pipe the data in\."):
            read(STDIN)


@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_an_error_names_the_line(elman, tmp_path, run_folder, verb):
    words = ["train", "tagger", "-", "--out", tmp_path / "run"] if verb == "train" else ["evaluate", run_folder, "-"]
    data = "Ann B-PER\nsees\n" if verb == "train" else b"abc\xff"
    assert error_line(elman(*words, stdin=data)).startswith("Error: standard input:")


def test_documents_are_files_lines_or_paragraphs(elman, small, tmp_path):
    text = "one line\nand one more\n\nthe next paragraph has the letters of all of them\n\n" * 8
    run, file = tmp_path / "run", tmp_path / "text.txt"
    file.write_text(text)
    result = elman("train", "language-model", file, "--documents", "line", "--out", run, *small, "--validation", file)
    assert "in 24 documents; held out: 552 units in 24 documents" in result.stdout, result.output

    def units(*options: str) -> int:
        evaluated = elman("evaluate", run, "-", "--json", *options, stdin=text)
        assert evaluated.exit_code == 0, evaluated.output
        return next(iter(json.loads(evaluated.stdout).values()))["units"]

    characters = len(text.replace("\n", ""))  # and the end of each document is a unit
    assert units() == units("--documents", "line") == characters + 24
    assert units("--documents", "blank") == characters + 8 + 16
    assert units("--documents", "file") == len(text) + 1
