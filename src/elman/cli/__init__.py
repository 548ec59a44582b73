"""The command line: one file per verb, and one per task in `tasks`.

A verb is imported when it is used, and PyTorch in the functions that need it, so that every command starts quickly.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

import elman
from elman.cli.console import printed_log
from elman.cli.errors import Commands

VERBS = {
    "train": "elman.cli.train:train",
    "evaluate": "elman.cli.evaluate:evaluate",
    "predict": "elman.cli.predict:predict",
    "generate": "elman.cli.generate:generate",
    "surprisal": "elman.cli.surprisal:surprisal",
    "doctor": "elman.cli.doctor:doctor",
    "export": "elman.cli.export:export",
    "list": "elman.cli.list:list_",
    "demo": "elman.cli.demo:demo",
    "examples": "elman.cli.examples:examples",
    "selftest": "elman.cli.selftest:selftest",
    "completion": "elman.cli.completion:completion",
}

# OpenMP's threads spin while they wait. If another process needs their core, spinning threads slow down those that
# work, elman's own included; sleeping ones cost little. This must be set before PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class _Verbs(Commands):
    """Commands of `VERBS`, each imported when it is first used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in VERBS and cmd_name not in self.commands:
            module, _, name = VERBS[cmd_name].partition(":")
            self.add_command(getattr(import_module(module), name))
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(elman.__version__, prog_name="elman")
@click.option(
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Import a Python module of yours first, such as one that adds a cell to elman.cells.CELLS.",
)
def main(modules: Sequence[str]) -> None:
    """Train, evaluate and run models that carry a state through a sequence.

    \b
    Generate text:
      elman train language-model book.txt --out runs/book
      elman evaluate runs/book another.txt
      elman generate runs/book --prompt "Once upon"

    \b
    Label texts, tag words:
      elman train classifier reviews.tsv --text sentence --label stars --out runs/reviews
      elman predict runs/reviews reviews-new.txt
      elman train tagger train.txt --validation dev.txt --out runs/names
      echo "Ann Lee went to Rome" | elman predict runs/names

    \b
    Translate:
      elman train translator train.en train.de --out runs/en-de
      elman predict runs/en-de < letter.en > letter.de
    """
    click.get_current_context().with_resource(printed_log())
    import_modules(modules)


def import_modules(modules: Sequence[str]) -> None:
    """Import modules that the user names, from the current folder or the environment.

    Raises:
        click.BadParameter: there is no such module, or it raises an error.
        ModuleNotFoundError: the module imports a package that is not installed.
    """
    if modules and "" not in sys.path:
        sys.path.insert(0, "")  # the current folder, as `python -m` does
    for module in modules:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise  # a package that the module imports
            raise click.BadParameter(f"no module {module!r} in the current folder or among the installed packages.",
                                     param_hint="--import") from None  # fmt: skip
        except Exception as error:
            raise click.BadParameter(f"{module} raised {type(error).__name__}: {error}; python -m {module} shows "
                                     "where.", param_hint="--import") from error  # fmt: skip
