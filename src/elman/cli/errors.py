"""Errors that a user can fix are printed as one line on standard error; a bug shows its traceback."""

import errno
from typing import Any

import click

from elman.optional_packages import MissingPackage

INTERRUPTED = 130  # the exit code of Ctrl-C: 128 + SIGINT


class Commands(click.Group):
    """Group of commands with exit code 1 for an error, 2 for wrong usage, and 130 for Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, FloatingPointError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:  # `elman generate RUN | head`
                raise
            raise click.ClickException(one_line(error)) from error
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("elman"):
                raise
            missing = error if isinstance(error, MissingPackage) else MissingPackage(error.name or "", "this command")
            raise click.ClickException(str(missing)) from error
        except KeyboardInterrupt as error:
            click.echo(f"\n{one_line(error) or 'stopped.'}", err=True)
            ctx.exit(INTERRUPTED)


def one_line(error: BaseException) -> str:
    """Return the text of an error without line breaks, that of an `OSError` without its number."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(text.split("\n"))
