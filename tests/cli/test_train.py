import json
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib

import pytest

RUN_FOLDER = {
    "config.toml",
    "model.safetensors",
    "log.jsonl",
    "last.safetensors",
    "best.safetensors",
    "ngram.safetensors",
}


def test_it_prints_the_data_the_baseline_the_network_and_which_model_is_better(trained, run_folder):
    result = trained[1]
    assert result.exit_code == 0, result.output
    printed = [
        r"training text: 969 units in 1 document; held out: 51 units in 1 document; a vocabulary of 16 units",
        r"network: 1 x lstm of 8 units, 624 parameters",
        r"3-gram on the held-out part: \d\.\d{4} nats, \d\.\d{4} bits",
        r"\d+ updates in \d+\.\d (seconds|minutes)",
        r"LSTM +[\d.,]+ +\d\.\d{4} +\d\.\d{4} +[\d.,]+\n3-gram +[\d.,]+ +\d\.\d{4} +\d\.\d{4} +[\d.,]+\n",
        r"The (3-gram|LSTM) is better: \d\.\d{4} bits per character, [\d.]+% fewer than the (LSTM|3-gram)'s \d\.\d{4}",
        re.escape(f"The run is in {run_folder}."),
        re.escape(f"elman evaluate {run_folder} FILE"),
        re.escape(f"elman generate {run_folder} --prompt TEXT"),
    ]
    places = [match.start() if (match := re.search(line, result.stdout)) else -1 for line in printed]
    assert places == sorted(places), result.output
    assert places[0] >= 0, result.output
    assert re.search(r"update 50 +epoch 2 .* loss \d\.\d+ +nats per unit \d\.\d{4}, best \d\.\d{4} ", result.stderr)


def test_the_better_one_is_the_one_with_fewer_bits(trained):
    figures = dict(re.findall(r"^(LSTM|3-gram) +[\d.,]+ +[\d.]+ +([\d.]+)", trained[1].stdout, re.MULTILINE))
    assert f"The {min(figures, key=figures.get)} is better" in trained[1].stdout


def test_the_run_folder_is_whole(run_folder, text_file):
    assert {file.name for file in run_folder.iterdir()} == RUN_FOLDER
    config = tomllib.loads((run_folder / "config.toml").read_text())
    assert config["data"] == [str(text_file)]
    assert config["settings"]["hidden_size"] == 8


def test_several_files_a_validation_file_and_a_folder(elman, text, text_file, small, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text(text)
    (folder / "b.txt").write_text(text)
    run, valid = tmp_path / "run", tmp_path / "valid.txt"
    valid.write_text(text[:200])
    result = elman("train", "language-model", folder, text_file, "--validation", valid, "--out", run, *small)
    assert "3,060 units in 3 documents; held out: 200 units in 1 document" in result.stdout, result.output
    assert tomllib.loads((run / "config.toml").read_text())["validation_data"] == [str(valid)]
    resumed = elman("train", "language-model", "--resume", "--out", run)
    assert "3,060 units in 3 documents; held out: 200 units in 1 document" in resumed.stdout, resumed.output


def test_a_dry_run_prints_a_plan_and_writes_nothing(elman, text_file, small, tmp_path):
    for out in [], ["--out", tmp_path / "run"]:
        result = elman("train", "language-model", text_file, *small, "--dry-run", *out)
        assert result.exit_code == 0, result.output
        assert re.search(r"969 units in 1 document", result.stdout)
        assert re.search(r"1 x lstm of 8 units, 624 parameters", result.stdout)
        assert re.search(r"50 updates, expected to take [\d.]+ (seconds|minutes)", result.stdout)
    assert not list(tmp_path.iterdir())
    bad = elman("train", "language-model", text_file, *small, "--dry-run", "--set", "cell.zoneout_c=2")
    assert bad.exit_code == 1
    assert "zoneout_c" in bad.stderr


def test_options_of_the_cell_are_kept_by_the_run(elman, text_file, small, tmp_path):
    words = ["train", "language-model", "--out", tmp_path / "run"]
    assert elman(*words, text_file, *small, "--set", "epochs=1", "--set", "cell.zoneout_c=0.1").exit_code == 0
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["settings"]["cell"]["zoneout_c"] == 0.1
    assert elman(*words, "--resume", "--set", "cell.zoneout_c=0.1").exit_code == 0
    result = elman(*words, "--resume", "--set", "cell.zoneout_c=0.2")
    assert result.exit_code == 1
    assert (
        "the run has cell=CellSettings('lstm', zoneout_c=0.1), got CellSettings('lstm', zoneout_c=0.2)" in result.stderr
    )


def test_more_epochs_extend_a_run(elman, text, small, tmp_path):
    run, file = tmp_path / "run", tmp_path / "text.txt"
    file.write_text(text)
    words = ["train", "language-model", "--out", run]
    assert elman(*words, file, *small, "--set", "epochs=1").exit_code == 0
    first = (run / "log.jsonl").read_text()
    extended = elman(*words, "--resume", "--set", "epochs=3", "--set", "patience=5")
    assert extended.exit_code == 0, extended.output
    assert "epochs changed from 1 to 3: the learning rate continues at" in extended.stderr
    assert (run / "log.jsonl").read_text().startswith(first)
    config = tomllib.loads((run / "config.toml").read_text())
    assert (config["settings"]["epochs"], config["settings"]["patience"], config["data"]) == (3, 5, [str(file)])
    again = elman(*words, "--resume")  # with the settings that it was extended with
    assert "(after 3 epochs, as set): nothing was trained" in again.stderr, again.output
    file.unlink()  # settings are checked before the data are read
    for setting, message in (("epochs=2", "expected epochs of at least 3, which the resumed run has begun, got 2"),
                             ("learning_rate=1", "the run has learning_rate=0.01, got 1.0; keep it, or train in a "),
                             ("epochs=x", "--set epochs: expected int, got 'x'")):  # fmt: skip
        bad = elman(*words, "--resume", "--set", setting)
        assert bad.exit_code == 1
        assert message in bad.stderr
        assert bad.stderr.count("\n") == 1
    assert tomllib.loads((run / "config.toml").read_text()) == config


def test_fine_tuning_keeps_settings_and_vocabulary(elman, text, run_folder, trained, tmp_path):
    other, run = tmp_path / "other.txt", tmp_path / "run"
    other.write_text("a cat and a dog; " * 40)
    words = ["train", "language-model", other, "--from", run_folder]
    tuned = elman(*words, "--out", run, "--set", "epochs=1")
    assert tuned.exit_code == 0, tuned.output
    assert f"weights from {run_folder}/model.safetensors: cells.0.weight, " in tuned.stdout
    assert "a vocabulary of 16 units" in tuned.stdout
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["pretrained"]["path"] == str(run_folder / "model.safetensors")
    assert (config["settings"]["hidden_size"], config["settings"]["epochs"]) == (8, 1)
    assert elman("train", "language-model", "--resume", "--out", run).exit_code == 0
    plan = elman(*words, "--dry-run")
    assert re.search(r"a vocabulary of 16 units\nnetwork: 1 x lstm of 8 units", plan.stdout), plan.output
    for options, code, message in (
        (["--set", "hidden_size=9"], 1, "the pretrained model has hidden_size=8, got 9; set hidden_size=8"),
        (["--resume"], 2, "leave FILE out (and --from)"),
    ):
        bad = elman(*words, "--out", tmp_path / "bad", *options)
        assert bad.exit_code == code
        assert message in bad.stderr
    bad = elman("train", "tagger", other, "--from", run_folder, "--out", tmp_path / "bad")
    assert "expected a pretrained tagger, got a language-model; name a run of this task" in bad.stderr
    assert not (tmp_path / "bad").exists()


def test_without_a_held_out_part_and_an_ngram_nothing_is_compared(elman, text_file, small, tmp_path):
    run = tmp_path / "run"
    result = elman("train", "language-model", text_file, "--out", run, *small,
                   "--set", "validation=0", "--set", "ngram_order=0")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "gram" not in result.stdout
    assert "better" not in result.stdout


def test_a_finished_run_resumed_prints_the_same_again(elman, trained, run_folder):
    model = (run_folder / "model.safetensors").read_bytes()
    result = elman("train", "language-model", "--resume", "--out", run_folder, "--set", "hidden_size=8")
    assert result.exit_code == 0, result.output
    assert (run_folder / "model.safetensors").read_bytes() == model
    assert re.search("LSTM .*", result.stdout)[0] == re.search("LSTM .*", trained[1].stdout)[0]


def test_a_run_with_observers_trains_to_the_same_bits(elman, text_file, trained, run_folder, small, tmp_path):
    run = tmp_path / "run"
    words = ["train", "language-model", text_file, "--out", run, *small, "--during", "--tensorboard"]
    result = elman(*words)
    assert result.exit_code == 0, result.output
    assert (run / "model.safetensors").read_bytes() == (run_folder / "model.safetensors").read_bytes()
    assert {file.name for file in run.iterdir()} == RUN_FOLDER | {"tensorboard"}
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    examined = [event["layers"] for event in events if "layers" in event]
    assert {name for layers in examined for found in layers.values() for name in found} >= {"horizon", "forget_mean"}
    assert [event for event in events if "layers" not in event][-1]["update"] == 50
    (board,) = (run / "tensorboard").iterdir()
    printed = board.read_bytes()
    assert all(
        word in printed for word in (b"update/gradient_norm", b"evaluation/best", b"/horizon", b"/forget_histogram")
    )
    again = elman("train", "language-model", "--resume", "--out", run, "--during", "--tensorboard")
    assert again.exit_code == 0, again.output


def test_a_missing_tensorboard_is_reported_before_anything_is_written(elman, text_file, small, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    result = elman("train", "language-model", text_file, "--out", tmp_path / "run", *small, "--tensorboard")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: TensorBoard needs the package tensorboard; install it with: pip install tensorboard"
    )
    assert not (tmp_path / "run").exists()


def test_a_run_that_fails_early_leaves_no_files_for_tensorboard(elman, text_file, small, tmp_path):
    result = elman("train", "language-model", text_file, "--out", tmp_path / "run", *small, "--during", "--tensorboard",
                   "--set", "learning_rate=1e30", "--set", "clip_norm=none")  # fmt: skip
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: update ")
    assert "lower learning_rate or set clip_norm=1.0" in last
    assert not (tmp_path / "run").exists()


def test_ctrl_c_stops_cleanly_and_prints_the_command_that_continues(elman, text_file, small, tmp_path):
    run, whole = tmp_path / "a run", tmp_path / "whole"
    settings = [*small, "--set", "epochs=12"]
    words = ["train", "language-model", str(text_file), "--out", str(run), *settings]
    process = subprocess.Popen([sys.executable, "-m", "elman.cli", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    log = run / "log.jsonl"
    while process.poll() is None and (not log.exists() or log.stat().st_size < 4000):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    line = errors.rstrip().split("\n")[-1]
    match = re.fullmatch(r"stopped at update (\d+); continue with: elman (.*)", line)
    assert match, errors
    assert int(match[1]) >= 1
    assert elman(*shlex.split(match[2])).exit_code == 0
    assert elman("train", "language-model", text_file, "--out", whole, *settings).exit_code == 0
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    updates = [event["update"] for line in log.read_text().splitlines() if "loss" in (event := json.loads(line))]
    assert updates == list(range(1, len(updates) + 1))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "RUN"], "name at least one FILE"),
        (["FILE"], "Missing option '--out'"),
        (["FILE", "--resume", "--out", "RUN"], "leave FILE out"),
        (
            ["FILE", "--out", "RUN", "--hidden-size", "8"],
            "No such option '--hidden-size'; did you mean --set hidden_size=8?",
        ),
        (["FILE", "--epochs=2", "--out", "RUN"], "No such option '--epochs'; did you mean --set epochs=2?"),
        (["FILE", "epochs=2", "--out", "RUN"], "epochs=2: expected a file, got a setting; write --set epochs=2."),
        (["FILE", "--out", "RUN", "--cell.zoneout_c=0.1"], "did you mean --set cell.zoneout_c=0.1?"),
        (["FILE", "--learning_rate", "--out", "RUN"], "did you mean --set learning_rate=VALUE?"),
        (["FILE", "--out", "RUN", "--step", "9"], "No such option '--step'; did you mean --set steps=9?"),
        (["FILE", "--out", "RUN", "--resum"], "No such option '--resum'; did you mean --resume?"),
        (["FILE", "--out", "RUN", "--zzz"], "settings are given as --set NAME=VALUE, elman list language-model shows"),
    ],
)
def test_wrong_usage_exits_with_2(elman, text_file, tmp_path, words, message):
    names = {"FILE": text_file, "RUN": tmp_path / "run"}
    result = elman("train", "language-model", *(names.get(word, word) for word in words))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()
