"""`elman examples`."""

import shlex
from pathlib import Path

import click

from elman import examples as data


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def examples(folder: Path) -> None:
    """Copy small example data into FOLDER: texts, tables, tagged sentences, pairs of texts, pictures.

    Every command of the documentation runs on them. They are made up. Default: the current folder.

    \b
    Example:
      elman examples data && cd data
      elman train classifier reviews.tsv --text sentence --label stars --out runs/reviews
    """
    copied = data.copy(folder)
    click.echo(f"{', '.join(target.name for target in copied)}: copied to {folder}. Try:\n")
    if folder != Path():
        click.echo(f"  cd {shlex.quote(str(folder))}")
    click.echo("  elman train classifier reviews.tsv --text sentence --label stars --out runs/reviews\n"
               '  echo "a film to remember" | elman predict runs/reviews')  # fmt: skip
