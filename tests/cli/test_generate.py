import subprocess
import sys

from elman import load


def test_it_writes_what_the_model_writes(elman, run_folder):
    result = elman("generate", run_folder, "--prompt", "the ", "--length", 30, "--temperature", 0.5, "--seed", 4)
    assert result.exit_code == 0, result.output
    expected = "".join(load(run_folder).generate("the ", length=30, temperature=0.5, seed=4))
    assert result.stdout == f"the {expected}\n"
    assert result.stderr == ""


def test_the_seed_decides(elman, run_folder):
    first, again, other = (
        elman("generate", run_folder, "--length", 60, "--top-k", 5, "--top-p", 0.9, "--seed", seed).stdout
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_units_come_as_they_are_written_and_a_closed_pipe_is_no_error(run_folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "elman.cli", "generate", str(run_folder), "--length", "100000000", "--temperature", "5"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) in (0, 1)
