"""`elman completion`."""

from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from elman.settings import setting_names
from elman.tasks import task_class

INSTALL = {  # command that installs the script, by shell
    "bash": "elman completion bash > ~/.local/share/bash-completion/completions/elman",
    "zsh": "elman completion zsh > ~/.zfunc/_elman  (~/.zfunc must be in $fpath, before compinit)",
    "fish": "elman completion fish > ~/.config/fish/completions/elman.fish",
}


# Bash cuts words at `=`, and adds a blank after each completion: neither suits `--set cell=gru`.
BASH = {
    "_elman_completion() {": "COMP_WORDBREAKS=${COMP_WORDBREAKS//=}\n\n_elman_completion() {",
    "COMPREPLY+=($value)": "COMPREPLY+=($value)\n            [[ $value == *= ]] && compopt -o nospace",
}


def complete_setting(context: click.Context, _option: click.Parameter, start: str) -> list[CompletionItem]:
    """Complete `NAME=VALUE` of `elman train TASK --set`: names of settings and of options of a cell, and cells.

    PyTorch is loaded, which takes a second or two.
    """
    from elman.cells import CELLS
    from elman.cells.settings import option_types

    kind: Any = task_class(str(context.info_name))
    words = [f"{name}=" for name in setting_names(kind)]
    if start.startswith("cell="):
        words = [f"cell={cell}" for cell in CELLS]
    elif start.startswith("cell."):
        before = [text.removeprefix("cell=") for text in context.params.get("settings") or ()]
        cell = next((text for text in reversed(before) if text in CELLS), kind.cell)
        words = [f"cell.{name}=" for name in option_types(cell)]
    return [CompletionItem(word) for word in words if word.startswith(start)]


@click.command()
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for a shell. Its second line is the command that installs it.

    \b
    Examples:
      elman completion bash > ~/.local/share/bash-completion/completions/elman
      source <(elman completion bash)
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "elman", "_ELMAN_COMPLETE").source().strip()
    for old, new in BASH.items() if shell == "bash" else ():
        assert old in script
        script = script.replace(old, new)
    first, rest = script.split("\n", 1) if script.startswith("#") else ("# Completion of elman.", script)
    click.echo(f"{first}\n# Install it: {INSTALL[shell]}\n{rest}")  # zsh needs `#compdef elman` as its first line
