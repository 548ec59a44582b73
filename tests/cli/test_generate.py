import os
import subprocess
import sys

import pytest

from elman import load

WITHOUT_TORCH = """
import sys

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nowhere())
from elman.cli import main
main(sys.argv[1:], prog_name="elman")
"""


def run(*arguments, **environment):
    """Run Python in another process."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)


def test_it_writes_what_the_model_writes(elman, run_folder):
    result = elman("generate", run_folder, "--prompt", "the ", "--length", 30, "--temperature", 0.5, "--seed", 4)
    assert result.exit_code == 0, result.output
    expected = "".join(load(run_folder).generate("the ", length=30, temperature=0.5, seed=4))
    assert result.stdout == f"the {expected}\n"
    assert result.stderr == ""


def test_the_prompt_may_come_from_standard_input(elman, run_folder):
    words = ["generate", run_folder, "--length", 30, "--prompt"]
    assert elman(*words, "-", stdin="the cat ").stdout == elman(*words, "the cat ").stdout


@pytest.mark.needs_native
def test_it_needs_no_pytorch_and_writes_the_same(run_folder):
    expected = "".join(load(run_folder).generate("the ", length=200, top_p=0.9, seed=4))
    words = ["generate", run_folder, "--prompt", "the ", "--length", 200, "--top-p", 0.9, "--seed", 4]
    done = run("-c", WITHOUT_TORCH, *words)
    assert (done.stdout, done.stderr) == (f"the {expected}\n", "")


def test_without_kernels_it_writes_the_same(run_folder):
    expected = "".join(load(run_folder).generate("the ", length=50, seed=4))
    done = run("-c", WITHOUT_TORCH, "generate", run_folder, "--prompt", "the ", "--length", 50, "--seed", 4,
               ELMAN_NATIVE="0")  # fmt: skip
    assert (done.stdout, done.stderr) == (f"the {expected}\n", "")


def test_the_seed_decides(elman, run_folder):
    first, again, other = (
        elman("generate", run_folder, "--length", 60, "--top-k", 5, "--top-p", 0.9, "--seed", seed).stdout
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_units_are_printed_as_they_are_generated_until_the_reader_has_gone(run_folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "elman.cli", "generate", str(run_folder), "--length", "1000000", "--temperature", "0.1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141
