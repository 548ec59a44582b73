"""All readers share one definition of a line, with every kind of line end."""

import gzip
import sys

import pytest

from elman.cli.readers import read_lines
from elman.cli.row_stream import STDIN, TextLines
from elman.data.documents import read_documents
from elman.data.raw_files import lines
from elman.data.readers import read_labelled, read_parallel, read_tagged
from elman.data.readers.captions import read_captions

ENDS = {"LF": ["\n"], "CR LF": ["\r\n"], "CR": ["\r"], "CR CR LF": ["\r\r\n"], "mixed": ["\r", "\r\n", "\n"]}


class Standard:
    """Standard input that arrives in pieces."""

    closed = False

    def __init__(self, pieces):
        self.buffer, self.pieces = self, iter(pieces)

    def read1(self, _size):
        return next(self.pieces, b"")


def ended(text, ends):
    """Return a text whose lines end in turn with the ends."""
    *parts, rest = text.split("\n")
    return "".join(part + ends[number % len(ends)] for number, part in enumerate(parts)) + rest


@pytest.fixture(params=ENDS)
def write(request, tmp_path):
    def write(name, text):
        data = ended(text, ENDS[request.param]).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return tmp_path / name

    return write


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.tsv.gz", "a.jsonl"])
def test_tables(write, name, end):
    rows = '{"x": "good", "y": "1"}\n\n{"x": "bad", "y": "0"}' if "jsonl" in name else "x,y\ngood,1\n\nbad,0"
    path = write(name, (rows if "jsonl" in name or "csv" in name else rows.replace(",", "\t")) + end)
    read = read_labelled(path, text="x", label="y")
    assert (read.inputs, read.labels) == (["good", "bad"], ["1", "0"])


@pytest.mark.parametrize("separator", [" ", "\t"])
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_tagged(write, name, separator):
    text = "# text = Rome is\nRome B-LOC\nis O\n\nOld O\n".replace(" O", f"{separator}O").replace(" B", f"{separator}B")
    path = write(name, text)
    read = read_tagged(path)
    assert read == ([["Rome", "is"], ["Old"]], [["B-LOC", "O"], ["O"]], [f"{path}:2", f"{path}:5"])


def test_conllu(write):
    path = write("a.conllu", "# id = 1\n1\tHi\t_\tINTJ\t_\t_\t0\troot\t_\t_\n2\tyou\t_\tPRON\t_\t_\t1\tdep\t_\t_\n\n")
    assert read_tagged(path)[:2] == ([["Hi", "you"]], [["INTJ", "PRON"]])


def test_parallel(write):
    files = [write("a.en", "one\ntwo\n"), write("a.de", "eins\nzwei")]
    assert read_parallel(files)[:2] == (["one", "two"], ["eins", "zwei"])


def test_series(write):
    read = read_labelled(write("a.ts", "# c\n@classLabel true a b\n@data\n1,2:a\n3:b\n"))
    assert [row.tolist() for row in read.inputs] == [[[1], [2]], [[3]]]
    assert read.labels == ["a", "b"]


@pytest.mark.parametrize("encoding", ["utf-8", "bytes"])
def test_documents(write, encoding):
    path = write("a.txt", "Ada\nGrace\n\n \nAlan\n")
    as_given = [text.encode() if encoding == "bytes" else text for text in ["Ada", "Grace", "Alan"]]
    assert read_documents(path, encoding, "line") == as_given
    paragraphs = read_documents(path, encoding, "blank")
    assert len(paragraphs) == 2
    assert paragraphs[1] == as_given[2]


def test_captions(write, tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    read = read_captions(write("a.tsv", "a.png\tone\nb.png\ttwo\n"), tmp_path)
    assert read.captions == [["one"], ["two"]]


def test_lines_of_the_command_line(write):
    assert read_lines([write("a.txt", "good\t1\nbad\t0\n")], {})[:2] == (["good", "bad"], ["1", "0"])


@pytest.mark.parametrize("text", ["a\nb\n", "a\nb", "\na\n\nb\n"])
def test_standard_input_has_the_lines_of_a_file(write, text, monkeypatch):
    path = write("a.txt", text)
    content = path.read_bytes()

    sizes = [1, 1000] if b"\r\r\n" not in content else [1000]  # 1: every line end is cut
    for size in sizes:
        monkeypatch.setattr(sys, "stdin", Standard(content[i : i + size] for i in range(0, len(content), size)))
        found = [line.rstrip("\r\n") for line in TextLines(STDIN)]
        assert found == [line.rstrip("\r\n") for line in lines(path)]


def test_a_line_is_read_before_its_line_feed_arrives(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Standard([b"one\r", b"\ntwo", b"\r", b"three\r\n"]))
    assert [line.rstrip("\r\n") for line in TextLines(STDIN)] == ["one", "two", "three"]
