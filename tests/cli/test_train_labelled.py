"""`elman train classifier` and `elman train tagger`."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib

import numpy as np
import pytest
from PIL import Image

from elman import load

RUN_FOLDER = {"config.toml", "model.safetensors", "log.jsonl", "last.safetensors", "best.safetensors"}
COLUMNS = ["--text", "sentence", "--label", "label"]


@pytest.fixture
def config():
    return lambda run: tomllib.loads((run / "config.toml").read_text())


def in_order(printed, *patterns):
    places = [match.start() if (match := re.search(pattern, printed)) else -1 for pattern in patterns]
    assert places == sorted(places), printed
    assert places[0] >= 0, printed


def test_a_classifier_prints_the_data_the_network_its_figures_and_the_next_commands(classified):
    run, result = classified
    assert result.exit_code == 0, result.output
    in_order(
        result.stdout,
        r"72 rows of words, \d+ different, 288 steps; 8 rows held out; 2 classes",
        r"network: 1 x lstm of 8 units, in both directions, max pooling, [\d,]+ parameters",
        r"\d+ updates in \d+\.\d (seconds|minutes)",
        r"Update \d+ has the best weights on the held-out part\. Their figures there:",
        r"class +precision +recall +F1 +support\nneg .* 4\npos .* 4\n",
        r"accuracy +1\.0000",
        r"probabilities: calibrated by temperature on held-out rows",
        re.escape(f"The run is in {run}."),
        re.escape(f"elman evaluate {run} FILE"),
        re.escape(f"elman predict {run} FILE"),
    )
    assert re.search(r"update \d+ +epoch 4 +100% .*loss \d\.\d+ +calibrated cross-entropy \d", result.stderr)
    assert {file.name for file in run.iterdir()} == RUN_FOLDER


def test_a_tagger_prints_the_figures_of_entities(tagged):
    run, result = tagged
    assert result.exit_code == 0, result.output
    in_order(
        result.stdout,
        r"54 sentences of 270 words, .*; 6 held out; 9 tags, spans in BIO",
        r"entity +precision +recall +F1 +support\nLOC .* 6\nPER .* 6\nall .* 12\n",
        r"token accuracy",
        re.escape(f"elman predict {run} FILE"),
    )
    assert {file.name for file in run.iterdir()} == RUN_FOLDER


def test_the_run_keeps_the_files_and_how_they_are_read(config, classifier_run, reviews, elman, names, tiny, tmp_path):
    assert config(classifier_run)["data"] == [str(reviews)]
    assert config(classifier_run)["reading"] == {"text": "sentence", "label": "label"}
    run = tmp_path / "run"
    words = ["--word", 1, "--tag", 3, "--given", 2, "--validation", names, "--repair", "--set", "epochs=1"]
    assert elman("train", "tagger", names, "--out", run, *tiny, *words).exit_code == 0
    assert config(run)["validation_data"] == [str(names)]
    assert config(run)["reading"] == {"word": "1", "tag": "3", "given": ["2"]}
    assert config(run)["settings"]["repair"] is True
    assert load(run).words_.given == [["NNP", "TO", "VB"]]


def test_a_finished_run_resumed_reads_the_same_files_and_prints_the_same_again(elman, classified, tagged):
    for task, (run, printed) in {"classifier": classified, "tagger": tagged}.items():
        model = (run / "model.safetensors").read_bytes()
        result = elman("train", task, "--resume", "--out", run)
        assert result.exit_code == 0, result.output
        assert (run / "model.safetensors").read_bytes() == model
        assert result.stdout.partition("Their figures there:")[2] == printed.stdout.partition("Their figures there:")[2]


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_prints_the_command_that_continues(elman, reviews, tiny, tmp_path):
    run, whole = tmp_path / "a run", tmp_path / "whole"
    words = ["train", "classifier", str(reviews), *COLUMNS, *tiny, "--set", "epochs=30"]
    process = subprocess.Popen([sys.executable, "-m", "elman.cli", *words, "--out", str(run)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    log = run / "log.jsonl"
    while process.poll() is None and (not log.exists() or log.stat().st_size < 4000):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    match = re.fullmatch(r"stopped at update (\d+); continue with: elman (.*)", errors.rstrip().split("\n")[-1])
    assert match, errors
    assert elman(*shlex.split(match[2])).exit_code == 0
    assert elman(*words, "--out", whole).exit_code == 0
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    updates = [event["update"] for line in log.read_text().splitlines() if "loss" in (event := json.loads(line))]
    assert updates == list(range(1, len(updates) + 1))


def test_series_in_tables_arrays_and_images(elman, config, tiny, tmp_path):
    """Rising and falling series are classified, from every kind of file."""
    series = [[step * (1 if row % 2 else -1) for step in range(4)] for row in range(24)]
    labels = ["up" if row % 2 else "down" for row in range(24)]
    table, arrays, images = tmp_path / "s.csv", tmp_path / "s.npz", tmp_path / "images"
    lines = [f"{row},{x},{-x},{labels[row]}" for row, values in enumerate(series) for x in values]
    table.write_text("walk,x,y,label\n" + "\n".join(lines))
    np.savez(arrays, values=np.array(series, float).reshape(-1, 1), lengths=[4] * 24, labels=labels)
    for row, values in enumerate(series):
        (images / labels[row]).mkdir(parents=True, exist_ok=True)
        grey = np.repeat(20 * np.array(values)[:, None] + 100, 4, 1)
        Image.fromarray(grey.astype(np.uint8)).save(images / labels[row] / f"{row}.png")
    kinds = {table: ["--values", "x, y", "--group", "walk", "--label", "label"], arrays: [],
             images: ["--size", "3x2"]}  # fmt: skip
    reading = [{"values": ["x", "y"], "group": "walk", "label": "label"}, {}, {"size": [3, 2]}]
    for (file, options), kept in zip(kinds.items(), reading, strict=True):
        run = tmp_path / f"{file.name} run"
        result = elman("train", "classifier", file, "--out", run, *tiny, *options)
        assert result.exit_code == 0, result.output
        assert config(run).get("reading", {}) == kept
        figures = json.loads(elman("evaluate", run, file, "--json").stdout)
        assert figures["rows"] == 24
        assert [part["class"] for part in figures["classes"]] == ["down", "up"]
        printed = [line.split("\t") for line in elman("predict", run, file).stdout.splitlines()]
        assert len(printed) == 24
        assert printed[0][2] == "0" if file == table else str(file) in printed[0][2]


def test_without_a_held_out_part_nothing_is_evaluated(elman, reviews, tiny, tmp_path):
    result = elman("train", "classifier", reviews, *COLUMNS, "--out", tmp_path / "run", *tiny, "--set", "validation=0",
                   "--set", "epochs=1")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "held-out" not in result.stdout
    assert "precision" not in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "RUN"], "name at least one FILE"),
        (["FILE", "--resume", "--out", "RUN"], "leave FILE out"),
        (["--resume", "--text", "sentence", "--out", "RUN"], "leave FILE out"),
        (["FILE", "--size", "24", "--out", "RUN"], "expected HEIGHTxWIDTH, e.g. 24x36, got '24'"),
        (["FILE", "--word", "1", "--out", "RUN"], "No such option '--word'"),
    ],
)
def test_wrong_usage_exits_with_2(elman, reviews, tmp_path, words, message):
    names = {"FILE": reviews, "RUN": tmp_path / "run"}
    result = elman("train", "classifier", *(names.get(word, word) for word in words))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            [],
            "reviews.tsv: a table; name its columns, which a run folder keeps: --text COLUMN for texts, or --values "
            "COLUMN,COLUMN,... with --group COLUMN for series; and --label COLUMN.",
        ),
        (["--text", "sentence"], "reviews.tsv:2: has no label; name the column of labels (--label COLUMN)"),
        (["--text", "sentenc", "--label", "label"], "reviews.tsv: no column 'sentenc'; did you mean sentence?"),
        (["--values", "sentence", "--label", "label"], "reviews.tsv:2: expected a finite number in 'sentence'"),
        ([*COLUMNS, "--size", "2x2"], "reviews.tsv: size: has no effect on this file"),
        ([*COLUMNS, "--set", "inputs=series"], "reviews.tsv:2: expected numbers of shape [T, D]"),
        ([*COLUMNS, "--set", "pooling=maxi"], "did you mean max?"),
        ([*COLUMNS, "--set", "hiden_size=8"], "did you mean hidden_size?"),
        ([*COLUMNS, "--validation", "neutral.tsv"], "neutral.tsv:2: "),
    ],
)
def test_a_classifier_that_cannot_be_trained(elman, reviews, tiny, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "neutral.tsv").write_text("sentence\tlabel\nthe film\tneutral\n")
    result = elman("train", "classifier", reviews, "--out", "run", *tiny, *options)
    assert result.exit_code == 1, result.output
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_one_class_is_an_error(elman, tiny, tmp_path):
    (tmp_path / "one.tsv").write_text("sentence\tlabel\nthe film\tpos\na plot\tpos\n")
    result = elman("train", "classifier", tmp_path / "one.tsv", *COLUMNS, "--out", tmp_path / "run", *tiny)
    assert result.exit_code == 1
    assert "at least two classes" in result.stderr


def test_tags_that_break_their_scheme_are_an_error_with_file_and_line_or_repaired(elman, names, tiny, tmp_path):
    broken = tmp_path / "broken.txt"
    broken.write_text("Ann NNP B-PER\n\nLee NNP B-PER\nto TO I-LOC\n\n" + names.read_text())
    words = ["train", "tagger", broken, "--out", tmp_path / "run", *tiny, "--set", "epochs=1"]
    result = elman(*words)
    assert result.exit_code == 1, result.output
    assert re.search(r"broken\.txt:4: expected .* got I-LOC; .*--repair.*scheme=none", result.stderr), result.stderr
    assert not (tmp_path / "run").exists()
    assert elman(*words, "--repair").exit_code == 0
    result = elman("train", "tagger", names, "--validation", broken, "--out", tmp_path / "other", *tiny)
    assert "broken.txt:4: expected O, B-... or I-PER" in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.txt", "# id = 1\nAnn B-PER\nsees O\nRome 0\n\n", 4),
        ("a.conllu", "# id = 1\n1\tAnn\t_\tB-PER\t_\t_\t_\t_\t_\t_\n2-3\tgoes\t_\t_\t_\t_\t_\t_\t_\t_\n"
                     "2\tgo\t_\tO\t_\t_\t_\t_\t_\t_\n3\tes\t_\t0\t_\t_\t_\t_\t_\t_\n\n", 5),
        ("b.txt", "Ann B-PER\n\n\nBob B-PER\nLee 0\n", 5),
        ("-", "Ann B-PER\nLee 0\n\n", 2),
    ],
)  # fmt: skip
def test_an_odd_tag_is_named_with_its_line_and_a_way_out_that_works(elman, names, tiny, tmp_path, name, content, line):
    good = re.sub(" [A-Z-]+X?- | [A-Z]+ ", " ", names.read_text())
    if name.endswith("conllu"):
        good = "".join(f"1\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n" if word else "\n"
                       for word, _, tag in (text.partition(" ") for text in good.split("\n")))  # fmt: skip
    file = tmp_path / name
    file.write_text(content + good)
    stdin = file.read_text() if name == "-" else None
    words = ["train", "tagger", "-" if name == "-" else file, *tiny, "--set", "epochs=1"]
    result = elman(*words, "--out", tmp_path / "run", stdin=stdin)
    where = "standard input" if name == "-" else file
    assert f"Error: {where}:{line}: expected a tag of BIO (O, B-label or I-label), got '0'" in result.stderr, (
        result.output
    )
    assert "scheme=none (--set scheme=none) if the tags do not encode spans." in result.stderr
    none = elman(*words, "--set", "scheme=none", "--out", tmp_path / "run", stdin=stdin)
    assert none.exit_code == 0, none.output


def test_a_tag_that_training_lacks_is_named_with_its_line(elman, names, tiny, tmp_path):
    words = ["train", "tagger", names, *tiny, "--set", "epochs=1", "--set", "scheme=none"]
    other = tmp_path / "other.txt"
    other.write_text("Ann NNP B-PER\nLee NNP X\n")
    result = elman(*words, "--validation", other, "--out", tmp_path / "run")
    assert f"Error: {other}:2: the training rows do not have the tag 'X'" in result.stderr


def test_lines_of_another_number_of_columns(elman, names, tiny, tmp_path):
    file = tmp_path / "names.txt"
    file.write_text(names.read_text() + "\nAnn B-PER\n")
    result = elman("train", "tagger", file, "--out", tmp_path / "run", *tiny)
    assert result.exit_code == 1
    assert "expected 3 columns" in result.stderr


def test_a_run_of_another_task(elman, classifier_run, run_folder):
    for task, run, got in ("tagger", classifier_run, "classifier"), ("classifier", run_folder, "language-model"):
        result = elman("train", task, "--resume", "--out", run)
        assert result.exit_code == 1
        assert f"{run}: expected a run of {task}, got one of {got}; use elman train {got}." in result.stderr


def test_data_that_changed_since(elman, reviews, tiny, tmp_path):
    file, run = tmp_path / "reviews.tsv", tmp_path / "run"
    file.write_bytes(reviews.read_bytes())
    assert elman("train", "classifier", file, *COLUMNS, "--out", run, *tiny, "--set", "epochs=1").exit_code == 0
    file.write_text(file.read_text().replace("great", "grand"))
    result = elman("train", "classifier", "--resume", "--out", run)
    assert result.exit_code == 1
    assert "data" in result.stderr


def test_series_are_sorted_by_time_and_predictions_have_their_names(elman, config, tiny, tmp_path):
    rows = [(f"m{machine}", step, step * (1 if machine % 2 else -1), "up" if machine % 2 else "down")
            for step in range(4) for machine in range(12)]  # fmt: skip
    in_order, shuffled, odd = tmp_path / "in_order.csv", tmp_path / "shuffled.csv", tmp_path / "odd.csv"
    for path, lines in ((in_order, rows), (shuffled, rows[::-1]), (odd, [("m9", 0, "NA", "up")])):
        path.write_text("machine,time,x,state\n" + "".join(",".join(map(str, line)) + "\n" for line in lines))
    options = ["--values", "x", "--group", "machine", "--time", "time", "--label", "state"]
    run = tmp_path / "run"
    result = elman("train", "classifier", shuffled, *options, "--out", run, *tiny)
    assert result.exit_code == 0, result.output
    assert config(run)["reading"]["time"] == "time"
    predicted = {}
    for file, stdin in ((in_order, None), (shuffled, None), ("-", shuffled.read_text())):
        printed = [line.split("\t") for line in elman("predict", run, file, stdin=stdin).stdout.splitlines()]
        predicted[file] = {name: (label, probability) for label, probability, name in printed}
    assert predicted[in_order] == predicted[shuffled] == predicted["-"]
    assert predicted[in_order].keys() == {f"m{machine}" for machine in range(12)}
    row = json.loads(elman("predict", run, shuffled, "--jsonl").stdout.splitlines()[0])
    assert (row["place"], row["name"]) == (f"{shuffled}: machine m11", "m11")
    for words in (["predict", run, odd], ["evaluate", run, odd]):
        assert f"Error: {odd}: machine m9: " in elman(*words).stderr


@pytest.mark.parametrize("tag", ["S-PER", "E-PER", "M-PER", "U-PER"])
def test_tags_of_two_schemes_name_the_other_scheme(elman, names, tiny, tmp_path, tag):
    mixed = tmp_path / "mixed.txt"
    mixed.write_text(f"{names.read_text()}\n\nAnn NNP O\nLee NNP {tag}\n")
    result = elman("train", "tagger", mixed, "--out", tmp_path / "run", *tiny)
    line = len(mixed.read_text().splitlines())
    other = {"S": "IOBES or BMES", "E": "IOBES or BMES", "M": "BMES", "U": "BILOU"}[tag[0]]
    assert re.search(rf"mixed\.txt:{line}: expected a tag of BIO .*, got '{tag}', which belongs to {other}; .*"
                     "convert all rows to one scheme .*scheme=none", result.stderr), result.stderr  # fmt: skip
