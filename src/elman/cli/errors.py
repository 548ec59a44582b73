"""Errors on the command line: one line on standard error and an exit code, never a traceback."""

import errno
import io
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

import elman
from elman.cli.streams import dropping, fill_closed, flush, guarded, naming
from elman.errors import is_out_of_memory
from elman.optional_packages import MissingPackage

INTERRUPTED = 130  # the exit code of Ctrl-C: 128 + SIGINT
BROKEN_PIPE = 141  # the reader of standard output has ended: 128 + SIGPIPE


class _Failed(Exception):
    """Error that click must not handle: click drops the message of Ctrl-C, and exits by itself after a broken pipe."""


@contextmanager
def _unhandled() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, KeyboardInterrupt) as error:
        raise _Failed from error


class Commands(click.Group):
    """Group of commands that ends with 0, or with 1 for an error, 2 for wrong usage, 130 for Ctrl-C, and 141 for a
    broken pipe."""

    def main(self, *args: Any, **options: Any) -> Any:
        fill_closed()
        with guarded("stderr", dropping), guarded("stdout", naming):
            code, message = self._outcome(*args, **options)
            if message:
                click.echo(message, err=True)
        sys.exit(code)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _unhandled():
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _unhandled():
            return super().invoke(ctx)

    def _outcome(self, *args: Any, **options: Any) -> tuple[int, str]:
        """Run a command; return its exit code and the message to print."""
        error: BaseException | None = None
        code: Any = 0
        options["standalone_mode"] = False
        try:
            code = super().main(*args, **options)
        except SystemExit as end:  # completion
            code = end.code
        except Exception as found:
            error = found.__cause__ if isinstance(found, _Failed) else found
        error = error or flush(sys.stdout)
        return (code if isinstance(code, int) else 0, "") if error is None else describe(error)


def describe(error: BaseException) -> tuple[int, str]:
    """Return the exit code for an error and the message to print, in one line unless it is wrong usage."""
    if isinstance(error, click.ClickException):
        message = io.StringIO()
        error.show(message)
        return error.exit_code, message.getvalue().rstrip("\n")
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, f"\n{one_line(error) or 'stopped.'}"
    if isinstance(error, OSError) and error.errno == errno.EPIPE:  # `elman generate RUN | head`
        return BROKEN_PIPE, ""
    return 1, f"Error: {_reason(error)}"


def _reason(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("elman"):
        known = isinstance(error, MissingPackage) and error.name != "torch"  # which a command needs as a whole
        return str(error if known else MissingPackage(error.name or "", "this command"))
    if is_out_of_memory(error):
        return f"out of memory: {one_line(error)}; give less data, or lower the sizes in the settings."
    if isinstance(error, ValueError | OSError | FloatingPointError):
        return one_line(error)
    (*_, last) = traceback.format_exception_only(error)
    return f"a bug in elman ({' '.join(last.split())}); please report it with {_saved(error)}."


def one_line(error: BaseException) -> str:
    """Return the text of an error without line breaks, that of an `OSError` without its number."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return " ".join(text.split("\n"))


def _saved(error: BaseException) -> str:
    """Write the traceback of a bug to a file, and return a description of the file."""
    lines = [f"elman {elman.__version__}, Python {platform.python_version()}, {platform.platform()}\n",
             f"{shlex.join(sys.argv)}\n\n", *traceback.format_exception(error)]  # fmt: skip
    try:
        descriptor, name = tempfile.mkstemp(".txt", "elman-traceback-")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(lines)
    except OSError as cause:
        return f"its traceback, which could not be saved ({one_line(cause)})"
    return f"the traceback in {name}"
