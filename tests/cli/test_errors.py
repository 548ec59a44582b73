import errno
import subprocess
import sys
import tempfile

import click
import pytest
from click.testing import CliRunner

import elman
from elman.cli import main
from elman.cli.errors import Commands
from elman.runtime import TASKS


def fail(error: BaseException):
    @click.group(cls=Commands)
    def commands() -> None: ...

    @commands.command()
    def go() -> None:
        raise error

    return CliRunner().invoke(commands, ["go"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("config.toml hiden_size: unknown; did you mean hidden_size?"),) * 2,
        (FileNotFoundError(2, "No such file or directory", "a.txt"), "a.txt: No such file or directory"),
        (OSError(28, "model.safetensors: not saved: No space left on device"), "model.safetensors: not saved: No space "
                                                                               "left on device"),
        (FloatingPointError("update 3: the loss is nan;\nlower learning_rate"), "update 3: the loss is nan; lower "
                                                                                "learning_rate"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"),
         "this command needs the package torch; install it with: pip install torch"),
        (MemoryError("Unable to allocate 16.0 TiB"),
         "out of memory: Unable to allocate 16.0 TiB; give less data, or lower the sizes in the settings."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
         "out of memory: DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes; give less data, or "
         "lower the sizes in the settings."),
    ],
)  # fmt: skip
def test_an_error_that_a_user_can_fix_is_one_line_and_exit_code_1(error, line):
    result = fail(error)
    assert result.stderr == f"Error: {line}\n"
    assert result.stdout == ""
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("bug", "what"),
    [
        (TypeError("a bug"), "TypeError: a bug"),
        (KeyError("a bug"), "KeyError: 'a bug'"),
        (AssertionError(), "AssertionError"),
        (RuntimeError("a bug\nin two lines"), "RuntimeError: a bug in two lines"),
        (EOFError("the end"), "EOFError: the end"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError: maximum recursion depth exceeded"),
        (ModuleNotFoundError("No module named 'elman.lost'", name="elman.lost"),
         "ModuleNotFoundError: No module named 'elman.lost'"),
    ],
)  # fmt: skip
def test_a_bug_is_one_line_that_names_the_file_with_its_traceback(bug, what, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = fail(bug)
    (report,) = tmp_path.iterdir()
    line = f"Error: a bug in elman ({what}); please report it with the traceback in {report}."
    assert result.stderr.strip() == line
    assert result.exit_code == 1
    assert f"elman {elman.__version__}, Python " in report.read_text()
    assert "in go\n    raise error" in report.read_text()


def test_a_bug_where_no_file_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    result = fail(TypeError("a bug"))
    assert result.exit_code == 1
    line = "Error: a bug in elman (TypeError: a bug); please report it with its traceback, which could not be saved ("
    assert result.stderr.startswith(f"{line}{tmp_path}")


def test_a_reader_that_has_gone_prints_nothing():
    result = fail(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert result.output == ""
    assert result.exit_code == 141


def test_ctrl_c_is_exit_code_130():
    result = fail(KeyboardInterrupt())
    assert result.exit_code == 130
    assert result.stderr == "\nstopped.\n"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["train"],
        *(["train", task] for task in TASKS),
        ["evaluate"],
        ["predict"],
        ["generate"],
        ["demo"],
        ["list"],
        ["completion"],
    ],
)
def test_help_everywhere_with_an_example(elman, words):
    result = elman(*words, "--help")
    assert result.exit_code == 0
    assert words == ["demo"] or "elman train" in result.stdout or f"elman {words[0]}" in result.stdout
    assert result.stdout == elman(*words, "-h").stdout


def test_a_mistyped_verb_is_exit_code_2(elman):
    result = elman("trian")
    assert result.exit_code == 2
    assert "No such command 'trian'" in result.stderr


def test_help_loads_no_pytorch():
    code = "import sys, elman.cli; print(sorted({'torch', 'rich', 'matplotlib'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr


def test_python_m_elman_cli_is_elman(elman):
    run = subprocess.run([sys.executable, "-m", "elman.cli", "--help"], capture_output=True, text=True)
    assert run.stdout.splitlines()[:10] == elman("--help").stdout.splitlines()[:10]  # click cuts the rest to the width
    assert main.name == "main"
