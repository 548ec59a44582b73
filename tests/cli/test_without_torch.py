"""Commands that run a trained model, in a process that loads neither PyTorch nor other large packages."""

import json
import subprocess
import sys

import pytest

CODE = """
import contextlib, io, json, re, sys
from pathlib import Path
optional = ["torch", "scipy", "sklearn", "tokenizers", "polars", "narwhals", "matplotlib", "PIL"]
for name in ("torch", "scipy"):
    sys.modules[name] = None
from elman.cli import main

def outcome(words, stdin):
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()))
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main(words, prog_name="elman")
        except SystemExit as end:
            code = end.code
    return code, out.getvalue(), errors.getvalue()

found = [outcome(*command) for command in json.loads(sys.argv[1])]
loaded = [name for name in optional if sys.modules.get(name) is not None]
status = Path("/proc/self/status")  # the peak in the usage of resources may be that of the process before `exec`
peak = int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) if status.exists() else 0
print(json.dumps([found, loaded, peak]))
"""
MEMORY = 80_000  # kilobytes, in addition to the model


@pytest.fixture(scope="module")
def commands(run_folder, classifier_run, tagger_run, names, text_file):
    return [
        (["predict", tagger_run], "Ann Lee went to Rome.\n"),
        (["predict", tagger_run, names, "--jsonl"], ""),
        (["evaluate", tagger_run, names], ""),
        (["predict", classifier_run], "a good film\n"),
        (["generate", run_folder, "--length", "20"], ""),
        (["evaluate", run_folder, text_file], ""),
        (["surprisal", run_folder, text_file, "--per-document"], ""),
    ]


@pytest.fixture(scope="module")
def outcomes(commands):
    """Return (exit code, output, errors) of each command, the packages that were loaded, and the memory."""
    words = json.dumps([[[*map(str, words)], stdin] for words, stdin in commands])
    run = subprocess.run([sys.executable, "-c", CODE, words], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_output_is_the_same(elman, commands, outcomes):
    for (words, stdin), (code, output, errors) in zip(commands, outcomes[0], strict=True):
        assert code == 0, errors
        assert output == elman(*words, stdin=stdin).stdout


def test_no_optional_package_is_loaded(outcomes):
    assert outcomes[1] == []


def test_the_process_is_small(outcomes):
    assert outcomes[2] < MEMORY
