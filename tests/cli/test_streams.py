"""Standard streams that are closed or full, or whose reader has gone."""

import errno
import io
import json
import os
import subprocess
import sys

import click
import pytest

from elman.cli.console import progress_share
from elman.cli.streams import GuardedStream, dropping, flush, guarded, naming


class Broken(io.StringIO):
    """Stream that cannot be written."""

    def write(self, text: str = "") -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    flush = write  # type: ignore[assignment]


def test_messages_that_cannot_be_written_are_dropped(monkeypatch):
    whole, closed = io.StringIO(), io.StringIO()
    closed.close()
    for stream in (whole, closed, Broken()):
        monkeypatch.setattr(sys, "stderr", stream)
        with guarded("stderr", dropping):
            click.echo("a line", err=True)
            print("a line", file=sys.stderr, flush=True)
            with progress_share("a share", delay=0.0) as progress:
                progress(0.5)
        assert sys.stderr is stream
    assert whole.getvalue().startswith("a line\na line\na share")


def test_a_guarded_stream_has_the_attributes_of_its_stream(tmp_path):
    with open(tmp_path / "file", "w", encoding="utf-8") as file:
        stream = GuardedStream(file, dropping)
        assert (stream.fileno(), stream.isatty(), stream.encoding) == (file.fileno(), False, "utf-8")
        with pytest.raises(TypeError):
            stream.write(b"bytes")


def test_results_that_cannot_be_written_are_an_error_that_names_the_stream(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Broken())
    for write in (lambda: click.echo("a line"), lambda: print(end="", flush=True)):
        with guarded("stdout", naming), pytest.raises(OSError, match="No space left on device: 'standard output'"):
            write()


@pytest.mark.parametrize("name", ["caf\udce9", "\ud800", "\udcff\udcfe/run", "ä \udcff"])
def test_file_names_that_are_not_utf_8_are_printed_with_backslashes(monkeypatch, name):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    for guard in (naming, dropping):
        with guarded("stdout", guard):
            click.echo(f"in {name}.")
    assert stream.buffer.getvalue().decode() == 2 * f"in {name}.\n".encode(errors="backslashreplace").decode()


def test_results_that_the_encoding_lacks_are_an_error_with_a_way_out(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    message = r"standard output: its encoding latin-1 lacks '\\u20ac'; set the environment"
    with guarded("stdout", naming), pytest.raises(ValueError, match=message):
        click.echo("5 \u20ac")


def test_an_error_of_the_last_write_is_found_before_the_process_ends():
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        stream.write("text")
        os.close(reader)
        assert flush(stream).errno == errno.EPIPE
        assert flush(stream) is None
        stream.write("more, which goes nowhere")
    assert flush(io.StringIO()) is None


# Run commands, each in a forked process with other streams: closed ones, files, or a pipe whose reader has gone.
RUN = """
import json, os, sys
from elman.cli import main
import elman.tasks.classifier, elman.tasks.language_model  # once for all

def child(words, streams):
    for number, path in enumerate(streams):
        name = ["stdin", "stdout", "stderr"][number]
        if path is None:  # as after `>&-`
            os.close(number)
            setattr(sys, name, None)
        else:
            os.dup2(path if isinstance(path, int) else os.open(path, os.O_RDWR | os.O_CREAT), number)
    main(words, prog_name="elman")

def gone():
    reader, writer = os.pipe()
    os.close(reader)
    return writer

codes = {}
for name, (words, streams) in json.loads(sys.argv[1]).items():
    process = os.fork()
    if not process:
        try:
            child(words, [gone() if path == "gone" else path for path in streams])
        except SystemExit as end:
            code = end.code
            for stream in (sys.stdout, sys.stderr):  # as at the end of a process
                try:
                    stream.flush()
                except (OSError, ValueError):
                    code = 120
            os._exit(code)
        except BaseException as error:
            os.write(2, repr(error).encode())
        os._exit(99)
    codes[name] = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
print(json.dumps(codes))
"""
FULL = "/dev/full"


@pytest.mark.skipif(not os.path.exists(FULL), reason="needs /dev/full and fork")
def test_commands_need_only_the_streams_that_they_use(classifier_run, reviews, text_file, small, tmp_path):
    predict = ["predict", str(classifier_run), str(reviews)]
    train = ["train", "language-model", str(text_file), *small, "--out"]

    def out(name):
        return str(tmp_path / name)

    cases = {
        "predict without stdin": (predict, [None, out("whole"), out("1.err")], 0, ""),
        "predict without stderr": (predict, [os.devnull, out("quiet"), None], 0, None),
        "predict, full stderr": (predict, [os.devnull, out("full"), FULL], 0, None),
        "predict, reader of stderr gone": (predict, [os.devnull, out("gone"), "gone"], 0, None),
        "predict without any": (predict[:2], [None, None, None], 1, None),
        "predict reads a closed stdin": (
            predict[:2],
            [None, os.devnull, out("2.err")],
            1,
            "standard input: is closed; ",
        ),
        "predict without stdout": (predict, [None, None, out("3.err")], 1, "standard output: Bad"),
        "predict, full stdout": (predict, [None, FULL, out("4.err")], 1, "standard output: No space"),
        "predict, reader of stdout gone": (predict, [None, "gone", out("5.err")], 141, ""),
        "help, full stdout": (["--help"], [os.devnull, FULL, out("6.err")], 1, "standard output: No"),
        "help, reader gone": (["train", "--help"], [os.devnull, "gone", out("7.err")], 141, ""),
        "version without stdout": (["--version"], [None, None, out("8.err")], 1, "standard output: Bad"),
        "an error without stderr": (["predict", "missing"], [os.devnull, os.devnull, None], 1, None),
        "wrong usage, stderr gone": (["predict", "--no"], [os.devnull, os.devnull, "gone"], 2, None),
        "train without any": ([*train, out("run 1")], [None, None, None], 0, None),
        "train, readers gone": ([*train, out("run 2")], [os.devnull, "gone", "gone"], 0, None),
        "train, full streams": ([*train, out("run 3")], [os.devnull, FULL, FULL], 0, None),
    }
    words = json.dumps({name: (command, streams) for name, (command, streams, *_) in cases.items()})
    done = subprocess.run([sys.executable, "-c", RUN, words], capture_output=True, text=True)
    assert done.stderr == ""
    assert json.loads(done.stdout) == {name: code for name, (_, _, code, _) in cases.items()}
    for name, (_, streams, _, message) in cases.items():
        if message is not None:
            with open(streams[2]) as file:
                text = file.read()
            assert text.startswith(f"Error: {message}" if message else ""), name
            assert text.count("\n") == bool(message), name
    whole = (tmp_path / "whole").read_text()
    assert len(whole.splitlines()) == 80
    assert all((tmp_path / name).read_text() == whole for name in ("quiet", "full", "gone"))
    for number in (1, 2, 3):
        assert (tmp_path / f"run {number}" / "model.safetensors").exists()
