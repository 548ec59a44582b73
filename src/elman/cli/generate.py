"""`elman generate`."""

from pathlib import Path
from typing import Any

import click

from elman.cli.models import check_verb, load_trained
from elman.cli.readers import standard_input
from elman.data.raw_files import lines


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", default="", metavar="TEXT", help="Start of the text; - reads it from standard input.")
@click.option(
    "--length", default=500, show_default=True, metavar="N", help="Write at most N units, fewer if the text ends."
)
@click.option("--temperature", default=1.0, show_default=True, metavar="T", help="A lower T is more cautious.")
@click.option("--top-k", type=int, metavar="K", help="Sample from the K most probable units.")
@click.option("--top-p", type=float, metavar="P", help="Sample from the most probable units that sum to P.")
@click.option("--seed", default=0, show_default=True, metavar="N", help="Seed of the random numbers.")
def generate(run: Path, prompt: str, **sampling: Any) -> None:
    """Generate text with the model in RUN, unit by unit.

    \b
    Examples:
      elman generate runs/book --prompt "Once upon" --length 1000
      elman generate runs/book --temperature 0.7 --top-p 0.9 --seed 3
      head -n 20 book.txt | elman generate runs/book --prompt -
    """
    model = load_trained(run)
    check_verb(run, model.task, "generate")
    if prompt == "-":
        prompt = "".join(lines(standard_input(click.get_current_context())))
    written = model.generate(prompt, **sampling)
    click.echo(prompt, nl=False)
    for text in written:
        click.echo(text, nl=False)
    click.echo()
