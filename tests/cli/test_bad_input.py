"""Bad input ends with one clear line, exit code 1, and nothing half-written."""

import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from elman.files import read_tensors, write_tensors
from elman.training import run_lock


def error_line(result) -> str:
    """Return the line of an error, and check that it is the only one."""
    *before, last = result.stderr.rstrip("\n").split("\n")
    assert result.exit_code == 1, result.stderr
    assert last.startswith("Error: ")
    assert not any("Error" in line or "Traceback" in line for line in before)
    return last.removeprefix("Error: ")


@pytest.fixture
def run(tmp_path):
    """Yield a run folder that must not exist after training failed."""
    yield tmp_path / "run"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "text.txt: empty; expected a file with text."),
        (
            b"to be",
            "text: 5 characters to train on, less than one window of 20; give more text, or a lower setting",
        ),
        (b"caf\xe9 au lait, " * 100, "text.txt: byte 4 of the file is not UTF-8 (0xe9); convert the file"),
        (b"\xef\xbb\xbf", "text.txt: empty; expected a file with text."),
        (b"a" * 10_000, "all of them 'a'; expected at least two different ones."),
    ],
)
def test_a_text_that_cannot_be_trained_on(elman, small, tmp_path, run, content, message):
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    assert message in error_line(elman("train", "language-model", text, "--out", run, *small, "--set", "validation=0"))


@pytest.mark.parametrize("content", [b"", b"caf\xe9"])
def test_a_text_that_cannot_be_evaluated(elman, run_folder, tmp_path, content):
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    assert f"{text}: " in error_line(elman("evaluate", run_folder, text))


def test_a_missing_file(elman, small, tmp_path, run, run_folder):
    missing = tmp_path / "no.txt"
    line = f"{missing}: cannot be read: No such file or directory."
    assert error_line(elman("train", "language-model", missing, "--out", run, *small)) == line
    assert error_line(elman("evaluate", run_folder, missing)) == line


def test_a_folder_that_cannot_be_made(elman, small, text_file):
    line = error_line(elman("train", "language-model", text_file, "--out", text_file / "run", *small))
    assert line == f"{text_file / 'run'}: cannot be made: Not a directory; name another folder."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(elman, small, text_file, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    line = error_line(elman("train", "language-model", text_file, "--out", closed / "run", *small))
    assert line == f"{closed / 'run'}: cannot be made: Permission denied; name another folder."
    assert "Permission denied" in error_line(elman("train", "language-model", text_file, "--out", closed, *small))


def test_a_run_that_is_there_already(elman, small, text_file, run_folder):
    before = {file.name: file.read_bytes() for file in run_folder.iterdir()}
    line = error_line(elman("train", "language-model", text_file, "--out", run_folder, *small))
    assert line == f"{run_folder}: exists already; resume the run in it (--resume), or name another folder."
    assert {file.name: file.read_bytes() for file in run_folder.iterdir()} == before
    assert error_line(elman("train", "language-model", text_file, "--out", run_folder, *small, "--dry-run")) == line


def test_a_run_that_is_still_training(elman, small, text_file, run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "_WAIT", 0.0)
    empty = tmp_path / "empty"
    for folder, words in ((empty, [text_file, *small]), (run_folder, [text_file, *small]), (run_folder, ["--resume"])):
        with run_lock.RunLock(folder):
            for last in ([], ["--dry-run"]):
                line = error_line(elman("train", "language-model", *words, "--out", folder, *last))
                assert line.startswith(f"{folder}: in use: this process has been training there since ")
                assert line.endswith("; wait until it ends, stop it, or name another folder.")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("hiden_size=8", "--set hiden_size: unknown; did you mean hidden_size?"),
        ("size=8", "--set size: unknown; "),
        ("hidden_size=big", "--set hidden_size: expected int, got 'big'."),
        ("hidden_size", "--set hidden_size: expected NAME=VALUE, e.g. --set hidden_size=256."),
        ("hidden_size=0", "hidden_size: expected at least 1, got 0."),
        ("streams=0", "streams: expected at least 1, got 0."),
        ("steps=0", "steps: expected at least 1, got 0."),
        ("ngram_order=-1", "ngram_order: expected at least 0 and less than 1000, got -1."),
        ("dropout=1", "dropout: expected at least 0 and less than 1, got 1.0."),
        ("epochs=0", "expected epochs of at least 1, got 0, which leaves a new network untrained"),
        ("epochs=-1", "expected epochs of at least 0, got -1."),
        ("cell=lstn", "did you mean lstm?"),
        ("units=charcters", "did you mean characters?"),
        ("reduction=means", "reduction: expected one of "),
        ("residual=true", "has no effect"),
        ("cell.zoneut_c=0.1", "did you mean zoneout_c?"),
        ("cell.zoneout_c=big", "--set cell.zoneout_c: expected float, got 'big'."),
    ],
)
def test_a_setting_that_is_unknown_or_out_of_range(elman, small, text_file, run, option, message):
    assert message in error_line(elman("train", "language-model", text_file, "--out", run, *small, "--set", option))


def test_a_resumed_run_keeps_its_settings(elman, run_folder):
    resume = "train", "language-model", "--resume", "--out", run_folder
    assert error_line(elman(*resume, "--set", "hidden_size=9")) == (
        f"{run_folder}: the run has hidden_size=8, got 9; keep it, or train in a new folder (a resumed run may change "
        "epochs, patience, until, evaluate_every)."
    )
    assert "did you mean epochs?" in error_line(elman(*resume, "--set", "epoch=9"))


def test_nothing_to_resume(elman, tmp_path, run):
    assert "config.toml is missing" in error_line(elman("train", "language-model", "--resume", "--out", run))


TASK = 'task = "language-model"\n'


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "config.toml: expected task, which is missing; restore it or train again."),
        (TASK, "config.toml: expected settings, which is missing; restore it or train again."),
        ("task = ", "config.toml: not TOML: "),
        ("a = " + "[" * 5000, "config.toml: not TOML: "),
        ("a = " + "9" * 5000, "config.toml: not TOML: "),
        (f"{TASK}settings = 3\n", "config.toml: expected settings to be a table, got 3; restore it"),
        ("task = 3\n[settings]\n", "config.toml: expected task to be a string, got 3; "),
        (f"data = 'a'\n{TASK}[settings]\n", "config.toml: expected data to be a list of strings, got 'a'; "),
        (f"data = [1]\n{TASK}[settings]\n", "config.toml: expected data to be a list of strings, got [1]; "),
        (f"validation_data = [[]]\n{TASK}[settings]\n", "expected validation_data to be a list of strings, got [[]]"),
        (f"reading = []\n{TASK}[settings]\n", "config.toml: expected reading to be a table, got []; "),
        (f"{TASK}[settings]\nhiden_size = 8\n", "config.toml hiden_size: unknown; did you mean hidden_size?"),
        (f"{TASK}[settings]\nhidden_size = []\n", "config.toml hidden_size: expected int, got []."),
        (f"{TASK}[settings]\nhidden_size = {{}}\n", "was not trained on files"),
        (f"{TASK}[settings]\ndropout = {{a = 1}}\n", "config.toml dropout.a: unknown"),
        (f"{TASK}[settings]\ncell = 3\n", "config.toml"),
        (f"{TASK}[settings]\ncell = {{kind = 3}}\n", "config.toml"),
        (f"{TASK}[settings]\ncell = {{zoneout_c = {{a = 1}}}}\n", "config.toml"),
        (f"data = ['FILE']\n{TASK}[settings]\nhidden_size = {'9' * 30}\n", "expected hidden_size below 2^63, got 999"),
        (
            f"data = ['FILE']\n{TASK}[settings]\nlearning_rate = {'9' * 400}\n",
            "learning_rate: expected float, got 999",
        ),
    ],
)
def test_a_damaged_config(elman, run_folder, text_file, tmp_path, config, message):
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    (copy / "config.toml").write_text(config.replace("FILE", str(text_file)))
    assert message in error_line(elman("train", "language-model", "--resume", "--out", copy))


@pytest.mark.parametrize("config", ["a = " + "[" * 5000, "settings = 3\ntask = 'language-model'\n", "data = 3\n"])
@pytest.mark.parametrize("words", [["doctor", "RUN"], ["evaluate", "RUN", "FILE"]])
def test_a_damaged_config_for_a_trained_model(elman, run_folder, text_file, tmp_path, words, config):
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    (copy / "config.toml").write_text(config)
    names = {"RUN": copy, "FILE": text_file}
    assert f"{copy / 'config.toml'}: " in error_line(elman(*(names.get(word, word) for word in words)))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (f"hidden_size={2**63}", f"expected hidden_size below 2^63, got {2**63}."),
        (f"hidden_size={2**62}", "expected weights of at most "),
        ("hidden_size=2147483648", "expected weights of at most "),
        ("embedding_size=99999999999999", "expected weights of at most "),
        ("epochs=99999999999999999999999", "expected epochs below 2^63, got 99999999999999999999999."),
        (f"warmup={'9' * 500}", "expected warmup below 2^63, got 999"),
        (f"learning_rate={'9' * 500}", "expected learning_rate above 0, got inf."),
        (f"steps={2**63}", "expected steps below 2^63"),
        (f"hidden_size={'9' * 5000}", "--set hidden_size: expected int, got '999"),
    ],
)
def test_sizes_beyond_the_memory_are_one_line(elman, small, text_file, run, option, message):
    line = error_line(elman("train", "language-model", text_file, "--out", run, *small, "--set", option))
    assert message in line


@pytest.mark.parametrize("size", ["99999999999x2", "2x99999999999", f"{'9' * 30}x1"])
def test_very_large_pictures_are_refused(elman, tmp_path, run, size):
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "pictures" / name / "1.png")
    line = error_line(elman("train", "classifier", tmp_path / "pictures", "--size", size, "--out", run))
    assert line.startswith("size: expected (height, width), each from 1 to 16384, got ")


@pytest.mark.parametrize("shape", [(80, 2, 2, 2, 2), (80, 4, 5, 6, 7, 8), (80, 7, 8)])
def test_arrays_of_an_unsupported_shape_are_one_line(elman, tmp_path, run, shape):
    np.savez(tmp_path / "a.npz", values=np.zeros(shape), lengths=[4] * 20, labels=[0, 1] * 10)
    line = error_line(elman("train", "classifier", tmp_path / "a.npz", "--out", run))
    assert re.match(rf"{tmp_path}/a\.npz:case \d+: expected text, or an array \[T\] or \[T, D\] ", line)


def test_the_best_weights_in_the_place_of_the_checkpoint(elman, run_folder, tmp_path):
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    shutil.copy(copy / "best.safetensors", copy / "last.safetensors")
    line = error_line(elman("train", "language-model", "--resume", "--out", copy))
    assert "last.safetensors: expected last.safetensors, got a copy of best.safetensors; put the file back" in line


@pytest.mark.parametrize("words", [["evaluate", "RUN", "FILE"], ["generate", "RUN"]])
@pytest.mark.parametrize("damage", ["nothing left", "half", "one bit", "header", "not ours", "checkpoint", "none"])
def test_a_model_file_that_is_damaged_or_no_model(elman, run_folder, text_file, tmp_path, words, damage):
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    model = copy / "model.safetensors"
    blob = bytearray(model.read_bytes())
    if damage == "one bit":
        blob[-100] ^= 1
    elif damage == "header":
        blob[3] = 255
    kept = {"nothing left": 0, "half": len(blob) // 2}.get(damage, len(blob))
    model.write_bytes({"not ours": b"PK\x03\x04" * 99, "checkpoint": (copy / "last.safetensors").read_bytes()}.get(
        damage, bytes(blob[:kept])))  # fmt: skip
    if damage == "none":
        model.unlink()
    names = {"RUN": copy, "FILE": text_file}
    assert str(copy) in error_line(elman(*(names.get(word, word) for word in words)))


def test_a_model_file_of_another_version(elman, run_folder, text_file, tmp_path):
    tensors, metadata = read_tensors(run_folder / "model.safetensors")
    for lost in ("settings", "units"):
        write_tensors(tmp_path / "m.safetensors", tensors, {name: metadata[name] for name in metadata if name != lost})
        message = f"m.safetensors: expected '{lost}' in its metadata, which is missing; version "
        assert message in error_line(elman("evaluate", tmp_path / "m.safetensors", text_file))


def test_a_damaged_ngram(elman, run_folder, text_file, tmp_path):
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    (copy / "ngram.safetensors").write_bytes((copy / "ngram.safetensors").read_bytes()[:-9])
    assert "ngram.safetensors: truncated or altered" in error_line(elman("evaluate", copy, text_file))
    shutil.copy(copy / "model.safetensors", copy / "ngram.safetensors")
    assert "ngram.safetensors: not the n-gram of this model" in error_line(elman("evaluate", copy, text_file))


@pytest.mark.parametrize("other", ["hidden_size=6", "num_layers=2", "cell=gru", "learning_rate=0.02"])
def test_the_checkpoint_of_another_model(elman, small, text_file, run_folder, tmp_path, other):
    one, two = shutil.copytree(run_folder, tmp_path / "one"), tmp_path / "two"
    assert elman("train", "language-model", text_file, "--out", two, *small, "--set", other).exit_code == 0
    shutil.copy(two / "last.safetensors", one)
    line = error_line(elman("train", "language-model", "--resume", "--out", one))
    assert "last.safetensors: the checkpoint of another run" in line


def test_a_damaged_checkpoint(elman, run_folder, tmp_path):
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    (copy / "last.safetensors").write_bytes((copy / "last.safetensors").read_bytes()[:-9])
    assert "last.safetensors: truncated" in error_line(elman("train", "language-model", "--resume", "--out", copy))


def test_a_text_that_changed_since(elman, small, text, tmp_path):
    file, run = tmp_path / "text.txt", tmp_path / "run"
    file.write_text(text)
    assert elman("train", "language-model", file, "--out", run, *small).exit_code == 0
    file.write_text(text.replace("cat", "cow"))
    assert "data" in error_line(elman("train", "language-model", "--resume", "--out", run))


def test_a_prompt_with_an_unseen_character(elman, run_folder):
    result = elman("generate", run_folder, "--prompt", "the €")
    assert result.stdout == ""
    assert error_line(result) == (
        "prompt: character '€' (U+20AC) at offset 4 is not in the vocabulary of the model; leave it out, or train with "
        "--set units=bytes, which supports every text."
    )


@pytest.mark.parametrize("option", [["--length", "0"], ["--temperature", "-1"], ["--top-k", "0"], ["--top-p", "2"]])
def test_sampling_out_of_range(elman, run_folder, option):
    result = elman("generate", run_folder, *option)
    assert result.stdout == ""
    assert "expected" in error_line(result)


def test_steps_too_large_for_numbers(elman, small, text_file, run):
    line = error_line(elman("train", "language-model", text_file, "--out", run, *small,
                            "--set", "learning_rate=1e30", "--set", "clip_norm=none"))  # fmt: skip
    assert "lower learning_rate" in line


def with_files_up_to(size: int, *words: object):
    """Run the command line with files limited to `size` bytes, as on a full disk."""
    process = subprocess.run(
        [sys.executable, "-m", "elman.cli", *map(str, words)], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    process.exit_code = process.returncode
    return process


@pytest.mark.parametrize(
    ("size", "file"),
    [
        pytest.param(100, "config.toml", marks=pytest.mark.slow),
        pytest.param(2000, "ngram.safetensors", marks=pytest.mark.slow),
        (6000, "log.jsonl"),
    ],
)
def test_a_full_disk_before_anything_is_trained(small, text_file, run, size, file):
    result = with_files_up_to(size, "train", "language-model", text_file, "--out", run, *small, "--set", "epochs=20")
    assert f"{run / file}: not " in error_line(result)


@pytest.mark.slow
def test_a_full_disk_leaves_the_files_as_they_were(run_folder, tmp_path):
    copy = shutil.copytree(run_folder, tmp_path / "copy")
    result = with_files_up_to(100, "train", "language-model", "--resume", "--out", copy)
    assert "not saved: File too large; the existing file is unchanged; free disk space" in error_line(result)
    assert {file.name: file.read_bytes() for file in copy.iterdir()} == {
        file.name: file.read_bytes() for file in run_folder.iterdir()
    }


@pytest.mark.slow
def test_a_line_of_50_mb_trains_soon_and_in_little_memory(tmp_path):
    words = ["".join(random.Random(word).choices("etaoinshrdlu", k=2 + word % 8)) for word in range(5000)]
    draw = random.Random(0)
    text, run = tmp_path / "line.txt", tmp_path / "run"
    text.write_text(" ".join(draw.choices(words, k=9_000_000))[:50_000_000])
    began = time.monotonic()
    command = [sys.executable, "-m", "elman.cli", "train", "language-model", text, "--out", run]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        log = run / "log.jsonl"
        while process.poll() is None and (not log.exists() or not log.stat().st_size):
            time.sleep(0.1)
        seconds = time.monotonic() - began
        alive = process.poll() is None
        process.terminate()
        _, _, usage = os.wait4(process.pid, 0)
    assert alive
    assert seconds < 600
    assert usage.ru_maxrss < 8e6  # kB
