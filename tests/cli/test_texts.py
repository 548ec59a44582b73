"""`elman` with translators and summarizers."""

import json
import random
import re
import subprocess
import sys
import tomllib

import pytest
import sacrebleu

from elman import load, pictures
from elman.metrics import summary_report
from elman.pictures import alignment

WORDS = {"a": "ein", "dog": "Hund", "cat": "Katze", "runs": "rennt", "sleeps": "schläft", "big": "groß"}
SIZES = [f"--set={setting}" for setting in ("units=words", "hidden_size=24", "encoder_size=12", "embedding_size=16",
                                            "learning_rate=0.03", "dropout=0", "embedding_dropout=0",
                                            "output_dropout=0")]  # fmt: skip


def of_words(words):
    return " ".join(words), " ".join(WORDS[word] for word in words)


@pytest.fixture(scope="session")
def pairs():
    draw = random.Random(0)
    return [of_words(draw.choices(list(WORDS), k=draw.randint(1, 4))) for _ in range(120)]


@pytest.fixture(scope="session")
def files(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    names = [folder / "train.en", folder / "train.de"]
    for name, texts in zip(names, zip(*pairs, strict=True), strict=True):
        name.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return names


@pytest.fixture(scope="session")
def translated(elman, files, tmp_path_factory):
    """Return the run folder of a translator, and the result of the command that trained it."""
    run = tmp_path_factory.mktemp("runs") / "en-de"
    return run, elman("train", "translator", *files, "--out", run, *SIZES, "--set", "epochs=16")


@pytest.fixture(scope="session")
def run(translated):
    return translated[0]


@pytest.fixture
def table(pairs, tmp_path):
    path = tmp_path / "mails.jsonl"
    path.write_text("".join(json.dumps({"body": source, "subject": target}) + "\n" for source, target in pairs[:40]))
    return path


COLUMNS = ["--source", "body", "--target", "subject"]


@pytest.fixture
def summarized(elman, table, tmp_path):
    run = tmp_path / "subjects"
    return run, elman("train", "summarizer", table, *COLUMNS, "--out", run, *SIZES, "--set", "epochs=1")


def config(run):
    return tomllib.loads((run / "config.toml").read_text())


def test_training_prints_the_data_the_held_out_figures_and_the_next_commands(translated, files):
    run, result = translated
    assert result.exit_code == 0, result.output
    parts = [
        r"116 pairs",
        r"\d+ updates in \d+\.\d (seconds|minutes)",
        r"has the best weights on the held-out part. Their figures there:",
        r"sentences +4\nBLEU +[\d.]+  nrefs:1\|case:mixed\|eff:no\|tok:13a\|smooth:exp\|version:",
        r"chrF +[\d.]+  nrefs:1",
        re.escape(f"elman evaluate {run} FILE FILE"),
        re.escape(f"elman predict {run} < FILE"),
    ]
    places = [match.start() if (match := re.search(part, result.stdout)) else -1 for part in parts]
    assert places[0] >= 0, result.stdout
    assert places == sorted(places), result.stdout
    assert config(run)["data"] == [str(file) for file in files]
    assert "reading" not in config(run)


def test_a_finished_run_resumed_prints_the_same_again(elman, translated):
    run, printed = translated
    model = (run / "model.safetensors").read_bytes()
    result = elman("train", "translator", "--resume", "--out", run)
    assert result.exit_code == 0, result.output
    assert (run / "model.safetensors").read_bytes() == model
    assert result.stdout.partition("Their figures there:")[2] == printed.stdout.partition("Their figures there:")[2]
    result = elman("train", "summarizer", "--resume", "--out", run)
    assert "expected a run of summarizer, got one of translator; use elman train translator." in result.stderr


def test_files_to_validate_on(elman, files, tmp_path):
    words = ["--validation", files[0], "--validation", files[1], "--set", "epochs=1", "--set", "units=characters"]
    result = elman("train", "translator", *files, "--out", tmp_path / "run", *SIZES[1:], *words)
    assert result.exit_code == 0, result.output
    assert config(tmp_path / "run")["validation_data"] == [str(file) for file in files]
    assert re.search(r"sentences +120\n", result.stdout)


def test_a_line_for_each_line(elman, run, pairs, tmp_path):
    file = tmp_path / "new.txt"
    file.write_text("\ufeffa big dog\r\n\r\n  \nthe cat sleeps", encoding="utf-8")
    texts = ["a big dog", "", "  ", "the cat sleeps"]
    result = elman("predict", run, stdin=file.read_bytes())
    assert (result.exit_code, result.stderr) == (0, "")
    printed = result.stdout.split("\n")
    assert printed[1:3] == ["", ""]
    assert [printed[0], printed[3]] == load(run).predict([texts[0], texts[3]])
    assert printed[4:] == [""]
    assert elman("predict", run, file).stdout == result.stdout
    assert elman("predict", run, stdin="").output == ""


def test_most_training_texts_are_translated_correctly(elman, run, pairs):
    printed = elman("predict", run, stdin="\n".join(source for source, _ in pairs)).stdout.splitlines()
    assert sum(text == target for text, (_, target) in zip(printed, pairs, strict=True)) > 80


@pytest.mark.slow
def test_each_line_is_translated_before_the_next_one_arrives(run):
    command = [sys.executable, "-m", "elman.cli", "predict", str(run), "--beam", "1"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, encoding="utf-8", **pipes) as process:
        for text in "a dog", "", "cat":
            process.stdin.write(text + "\n")
            process.stdin.flush()
            assert bool(process.stdout.readline().strip()) == bool(text)
        process.stdin.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 0


def test_the_n_best_texts_with_their_scores(elman, run):
    printed = elman("predict", run, "--n-best", 3, "--beam", 4, stdin="a dog\n\ncat").stdout
    first, none, second = (
        part.splitlines() for part in re.fullmatch(r"(.*?\n)\n(\n)(.*\n)\n", printed, re.DOTALL).groups()
    )
    assert none == [""]
    expected = load(run).n_best(["a dog", "cat"], 3, beam=4)
    for lines, best in zip((first, second), expected, strict=True):
        assert [line.split("\t") for line in lines] == [[f"{score:.4f}", text] for text, score in best]
        assert len(best) == 3


def test_json(elman, run):
    printed = elman("predict", run, "--jsonl", stdin="a dog\n\n").stdout
    first, empty = map(json.loads, printed.splitlines())
    ((text, score),) = load(run).n_best(["a dog"], 1)[0]
    assert first == {
        "place": "standard input:1",
        "source": "a dog",
        "target": text,
        "score": pytest.approx(score, 1e-5),
    }
    assert empty == {"place": "standard input:2", "source": "", "target": "", "score": None}
    printed = elman("predict", run, "--jsonl", "--n-best", 2, stdin="a dog\n\n").stdout
    first, empty = map(json.loads, printed.splitlines())
    assert (first["best"][0]["target"], len(first["best"]), empty["best"]) == (text, 2, [])


def test_options_of_the_search(elman, run):
    def printed(*words):
        return elman("predict", run, *words, stdin="a a big dog").stdout.split()

    first, *_, last = printed()
    assert not {first, last} & set(printed("--forbid", first, "--forbid", last))
    assert len(printed("--max-length", 2)) <= 2
    assert len(printed("--min-length", 7)) >= 7
    repeated = printed("--min-length", 5, "--no-repeat-ngram", 1)
    assert len(repeated) == len(set(repeated))
    assert len(printed("--length-penalty", 0)) <= len(printed("--length-penalty", 3))
    assert printed("--beam", 500)


def test_pictures_of_attention(elman, run, tmp_path, monkeypatch):
    drawn = []

    def draw(source, target, weights):
        drawn.append((source, target))
        return alignment(source, target, weights)

    monkeypatch.setattr(pictures, "alignment", draw)
    picture = tmp_path / "look.png"
    result = elman("predict", run, "--show-attention", picture, stdin="a big dog sleeps\n\na cat\n")
    assert result.exit_code == 0, result.output
    assert [" ".join(source).strip() for source, _ in drawn] == ["a big dog sleeps", "a cat"]
    printed = [line for line in result.stdout.splitlines() if line]
    assert [" ".join(target).strip() for _, target in drawn] == printed
    assert sorted(file.name for file in tmp_path.iterdir()) == ["look-2.png", "look.png"]
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_letters_that_no_font_has_raise_no_warning(elman, run, tmp_path, recwarn):
    assert elman("predict", run, "--show-attention", tmp_path / "a.png", stdin="a \x01\U000e0001 dog\n").exit_code == 0
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_no_pictures_without_attention(elman, files, tmp_path):
    run = tmp_path / "run"
    assert elman("train", "translator", *files, "--out", run, *SIZES, "--set", "epochs=1", "--set",
                 "attention=none").exit_code == 0  # fmt: skip
    result = elman("predict", run, "--show-attention", tmp_path / "a.png", stdin="a dog\n")
    assert result.exit_code == 1
    assert "--show-attention: expected a model with attention, got one without; leave it" in result.stderr


def test_figures_equal_those_of_sacrebleu_on_the_predictions(elman, run, files, pairs):
    printed = elman("predict", run, files[0], "--beam", 2).stdout.splitlines()
    references = [[target for _, target in pairs]]
    result = elman("evaluate", run, *files, "--beam", 2, "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["bleu"] == pytest.approx(sacrebleu.corpus_bleu(printed, references).score)
    assert figures["chrf"] == pytest.approx(sacrebleu.corpus_chrf(printed, references).score)
    assert figures["exact"] == sum(text == target for text, target in zip(printed, references[0], strict=True)) / 120
    table = elman("evaluate", run, *files, "--beam", 2, "--lowercase").stdout
    assert re.search(r"BLEU +[\d.]+  nrefs:1\|case:lc", table)


def test_summaries_of_a_table_whose_columns_are_kept(elman, summarized, table, pairs, files):
    run, result = summarized
    assert f"elman predict {run} FILE\n" in result.stdout
    assert result.exit_code == 0, result.output
    assert re.search(r"ROUGE-1 +\d", result.stdout)
    assert config(run)["task"] == "summarizer"
    assert config(run)["reading"] == {"source": "body", "target": "subject"}
    printed = elman("predict", run, table).stdout.splitlines()
    assert printed == elman("predict", run, stdin="\n".join(source for source, _ in pairs[:40])).stdout.splitlines()
    piped = table.read_text()
    assert elman("predict", run, "--source", "body", stdin=piped).stdout.splitlines() == printed
    message = "expected text, got a table with the column body; use --source body to read the table."
    assert message in elman("predict", run, stdin=piped).stderr
    figures = json.loads(elman("evaluate", run, table, "--json").stdout)
    assert figures == summary_report(printed, [target for _, target in pairs[:40]]).to_json()
    assert json.loads(elman("evaluate", run, *files, "--json").stdout)["summaries"] == 120


def test_a_table_of_other_columns(elman, run, table, tmp_path):
    for words in (["evaluate", run, table], ["evaluate", run, table, "--source", "body"], ["predict", run, table]):
        result = elman(*words)
        assert result.exit_code == 1
        assert "mails.jsonl: a table; name " in result.stderr
    assert elman("evaluate", run, table, *COLUMNS).exit_code == 0
    assert len(elman("predict", run, table, "--source", "body").stdout.splitlines()) == 40
    result = elman("predict", run, table, "--source", "boddy")
    assert "no column 'boddy'; did you mean body?" in result.stderr


def test_pairs_with_an_empty_side_are_skipped_in_training_and_evaluation(elman, files, tmp_path):
    holes = [tmp_path / "holes.en", tmp_path / "holes.de"]
    for name, file, first in zip(holes, files, ("\na dog\n", "ein\n\n"), strict=True):
        name.write_text(first + file.read_text(encoding="utf-8"), encoding="utf-8")
    run = tmp_path / "run"
    words = ["train", "translator", *holes, "--out", run, *SIZES, "--set", "epochs=1"]
    assert "or skip them: skip_empty=True, --skip-empty." in elman(*words).stderr
    result = elman(*words, "--skip-empty")
    assert result.exit_code == 0, result.output
    assert (
        f"skipped 2 of 122 pairs, in which a side is empty: {holes[0]}:1 (source), {holes[0]}:2 (target)\n"
        in result.stderr
    )
    assert tomllib.loads((run / "config.toml").read_text())["reading"] == {"skip_empty": True}
    evaluated = elman("evaluate", run, *holes, "--json")
    assert evaluated.exit_code == 0, evaluated.output
    assert len(elman("predict", run, holes[0]).stdout.splitlines()) == 122  # a line for every line


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["A", "SHORT"], "/a:3: has no line in the other file: "),
        (["A", "HOLE"], "/a:2: the target is empty, the first of 2 such pairs of 3; "),
        (["A"], "/a: expected two files, one of sources and one of targets, got one; name the other one"),
        (["A", "A", "A"], "expected pairs of files (sources, then targets)"),
        (["A", "nowhere"], "nowhere: cannot be read: No such file or directory."),
        (["A", "A", "--source", "1", "--target", "2"], "/a: a text file has no columns; name a table"),
        (["TABLE"], "/a.tsv: a table; name its columns: --source COLUMN and --target COLUMN."),
        (["A", "A", "--set", "attention=aditive"], "did you mean additive?"),
        (["A", "A", "--validation", "A"], "/a: expected two files, one of sources and one of targets, got one"),
    ],
)
def test_bad_training_files(elman, tmp_path, names, message):
    for name, text in {"a": "x\ny\nz\n", "short": "x\ny\n", "hole": "x\n\n \n", "a.tsv": "x\ty\n"}.items():
        (tmp_path / name).write_text(text)
    known = {"A": "a", "SHORT": "short", "HOLE": "hole", "TABLE": "a.tsv"}
    words = [tmp_path / known[name] if name in known else name for name in names]
    result = elman("train", "translator", *words, "--out", tmp_path / "run", *SIZES)
    assert result.exit_code == 1, result.output
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "RUN", "FILE", "--picture", "a.png"], "--picture: not supported for a translator; leave it out."),
        (["evaluate", "RUN", "FILE", "--n-best", "2"], "No such option '--n-best'"),
        (["predict", "RUN", "--text", "x"], "--text: not supported for a translator; leave it out."),
        (["predict", "RUN", "--beam", "0"], "0 is not in the range 1<=x<=10000"),
        (["predict", "RUN", "--beam", "9" * 30], "is not in the range 1<=x<=10000"),
        (["predict", "RUN", "--n-best", "0"], "0 is not in the range 1<=x<=10000"),
        (["predict", "RUN", "--max-length", "9" * 30], "is not in the range 1<=x<=2147483647"),
        (["predict", "RUN", "--min-length", "9" * 30], "is not in the range 0<=x<=2147483647"),
        (["predict", "RUN", "--show-attention", "a.xyz"], "a.xyz: expected a name that ends in .png"),
        (["predict", "RUN", "--show-attention", "nowhere/a.png"], "nowhere/a.png: the folder nowhere is missing"),
    ],
)
def test_unsupported_options_are_wrong_usage(elman, run, files, words, message):
    known = {"RUN": run, "FILE": files[0]}
    result = elman(*(known.get(word, word) for word in words), stdin="")
    assert result.exit_code == 2
    assert message in result.stderr


def test_options_and_verbs_of_other_models(elman, classifier_run, summarized, table):
    result = elman("predict", classifier_run, "--beam", 2, stdin="")
    assert result.exit_code == 2
    assert "--beam: not supported for a classifier; leave it out." in result.stderr
    result = elman("evaluate", summarized[0], table, "--lowercase")
    assert result.exit_code == 2
    assert "--lowercase: not supported for a summarizer; leave it out." in result.stderr
    result = elman("generate", summarized[0])
    assert "the task summarizer, which elman generate does not support; use elman predict." in result.stderr


def test_a_word_to_forbid_that_is_several_units(elman, run):
    result = elman("predict", run, "--forbid", "Hund Katze", stdin="a dog\n")
    assert result.exit_code == 1
    assert "'Hund Katze'" in result.stderr
