import os
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from elman.cells import CELLS
from elman.cli import main
from elman.runtime import TASKS


def complete(*words, last):
    """Return what click's protocol for bash completes the last word to."""
    line = " ".join(["elman", *words, last])
    variables = {"_ELMAN_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) + 1)}
    code = "import sys; from elman.cli import main; main(prog_name='elman')"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], env={**os.environ, **variables},
                          capture_output=True, text=True)  # fmt: skip
    assert not any(line.endswith(" torch") for line in done.stderr.splitlines())
    return [tuple(line.split(",")) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "last", "expected"),
    [
        ([], "ev", [("plain", "evaluate")]),
        (["train"], "tag", [("plain", "tagger")]),
        (["train", "tagger"], "--res", [("plain", "--resume")]),
        (["predict"], "ru", [("file", "ru")]),
    ],
)
def test_verbs_tasks_options_and_files_are_completed_without_pytorch(words, last, expected):
    assert complete(*words, last=last) == expected


def test_list_completes_tasks():
    assert complete("list", last="") == [("plain", task) for task in sorted(TASKS)]


def completed(*words, last):
    """Return the completions of the last word, in this process."""
    shell = ShellComplete(main, {}, "elman", "_ELMAN_COMPLETE")
    return [item.value for item in shell.get_completions(list(words), last)]


@pytest.mark.parametrize(
    ("task", "words", "last", "expected"),
    [
        ("tagger", [], "hid", ["hidden_size="]),
        ("classifier", [], "class_w", ["class_weight="]),
        ("tagger", [], "class_w", []),
        ("tagger", [], "cell=", [f"cell={cell}" for cell in CELLS]),
        ("language-model", [], "cell=g", ["cell=gru"]),
        ("tagger", [], "cell.zoneout_c", ["cell.zoneout_c="]),
        ("tagger", ["--set", "cell=gru"], "cell.zoneout_c", []),
        ("tagger", ["--set", "cell=gru"], "cell.res", ["cell.reset="]),
    ],
)
def test_settings_cells_and_their_options_are_completed(task, words, last, expected):
    assert completed("train", task, *words, "--set", last=last) == expected


def test_list_completes_cells_layers_and_classical_models():
    assert completed("list", last="ls") == ["lstm"]
    assert completed("list", last="Attention") == ["Attention", "AttentionPooling"]
    assert completed("list", last="HM") == ["HMM", "HMMTagger"]


def test_bash_keeps_names_and_values_together(elman, tmp_path):
    script = elman("completion", "bash").stdout
    assert "COMP_WORDBREAKS=${COMP_WORDBREAKS//=}\n" in script
    assert "[[ $value == *= ]] && compopt -o nospace\n" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_how_to_install_it(elman, shell):
    result = elman("completion", shell)
    assert result.exit_code == 0, result.output
    first, second, *_ = result.stdout.splitlines()
    assert second.startswith(f"# Install it: elman completion {shell} > ")
    assert first == "#compdef elman" or shell != "zsh"
    assert f"_ELMAN_COMPLETE={shell}_complete" in result.stdout


def test_an_unknown_shell_is_wrong_usage(elman):
    assert elman("completion", "tcsh").exit_code == 2
