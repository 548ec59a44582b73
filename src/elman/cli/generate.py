"""`elman generate`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from elman.cli.models import check_verb

if TYPE_CHECKING:
    from elman.decoding import TextStream


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", default="", metavar="TEXT", help="The beginning of the text.")
@click.option("--length", default=500, show_default=True, metavar="N", help="Units to write, at most.")
@click.option("--temperature", default=1.0, show_default=True, metavar="T", help="Lower is more cautious.")
@click.option("--top-k", type=int, metavar="K", help="Choose among the K likeliest units.")
@click.option("--top-p", type=float, metavar="P", help="Choose among the likeliest units that hold P of the mass.")
@click.option("--seed", default=0, show_default=True, metavar="N", help="The same seed writes the same text.")
def generate(
    run: Path, prompt: str, length: int, temperature: float, top_k: int | None, top_p: float | None, seed: int
) -> None:
    """Write text with the model in RUN, unit by unit as it comes.

    \b
    Examples:
      elman generate runs/book --prompt "Once upon" --length 1000
      elman generate runs/book --temperature 0.7 --top-p 0.9 --seed 3
    """
    stream = _stream(run)
    written = stream.generate(prompt, length=length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    click.echo(prompt, nl=False)
    for text in written:
        click.echo(text, nl=False)
    click.echo()


def _stream(run: Path) -> "TextStream":
    """The model at the beginning of a text: without PyTorch where it can, which starts in a tenth of the time."""
    from elman.decoding import TextStream
    from elman.runtime import load

    file = load(run)
    check_verb(run, file.metadata.get("task"), "generate")
    if file.metadata.get("task") == "language-model" and file.steps:
        return TextStream.from_file(file)
    from elman.tasks import load as load_task

    return load_task(run).stream()
