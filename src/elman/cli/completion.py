"""`elman completion`."""

import click
from click.shell_completion import get_completion_class

INSTALL = {  # command that installs the script, by shell
    "bash": "elman completion bash > ~/.local/share/bash-completion/completions/elman",
    "zsh": "elman completion zsh > ~/.zfunc/_elman  (~/.zfunc must be in $fpath, before compinit)",
    "fish": "elman completion fish > ~/.config/fish/completions/elman.fish",
}


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
    first, rest = script.split("\n", 1) if script.startswith("#") else ("# Completion of elman.", script)
    click.echo(f"{first}\n# Install it: {INSTALL[shell]}\n{rest}")  # zsh needs `#compdef elman` as its first line
