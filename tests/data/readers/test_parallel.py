"""Reader of pairs of texts from two files or two columns, and its errors."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import polars
import pytest

from elman.data.readers import read_parallel

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, data: str | bytes) -> Path:
        data = data.encode() if isinstance(data, str) else data
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return tmp_path / name

    return write


def failing(paths: object, message: str, error: type[Exception] = ValueError, **columns: str | int) -> None:
    with pytest.raises(error) as raised:
        read_parallel(paths, **columns)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_two_files_of_as_many_lines(write: Write) -> None:
    english, german = write("a.en", "A dog.\n Two\tcats \u2028 here\nlast"), write("a.de", "Ein Hund.\nZwei\nzuletzt\n")
    read = read_parallel([english, german])
    assert read.sources == ["A dog.", " Two\tcats \u2028 here", "last"]
    assert read.targets == ["Ein Hund.", "Zwei", "zuletzt"]
    assert read.places == [f"{english}:{number}" for number in (1, 2, 3)]


def test_unpacked_without_mark_and_carriage_returns(write: Write) -> None:
    source = write("a.en.gz", "\ufeffa dog\r\na cat\r\n")
    target = write("a.de", "\ufeffein Hund\neine Katze\n")
    assert read_parallel([source, target])[:2] == (["a dog", "a cat"], ["ein Hund", "eine Katze"])


def test_several_pairs_one_after_the_other(write: Write) -> None:
    files = [write(name, text) for name, text in {"a.en": "a\n", "a.de": "A\n", "b.en": "b\n", "b.de": "B\n"}.items()]
    assert read_parallel(files) == (["a", "b"], ["A", "B"], [f"{files[0]}:1", f"{files[2]}:1"])


def test_tables_of_every_kind(write: Write, tmp_path: Path) -> None:
    tables = [
        write("a.tsv", 'said\tid\tmeant\na "dog"\t1\t?\nNA\t2\t7\n'),
        write("a.csv.gz", 'said,id,meant\n"a ""dog""",1,?\nNA,2,7\n'),
        write(
            "a.jsonl", "".join(json.dumps({"meant": m, "said": s}) + "\n" for s, m in [('a "dog"', "?"), ("NA", "7")])
        ),
        tmp_path / "a.parquet",
    ]
    polars.DataFrame({"said": ['a "dog"', "NA"], "meant": ["?", "7"]}).write_parquet(tables[-1])
    for table in tables:
        assert read_parallel(table, source="said", target="meant")[:2] == (['a "dog"', "NA"], ["?", "7"])
    assert read_parallel(tables[0], source="said", target="meant").places == [f"{tables[0]}:2", f"{tables[0]}:3"]
    bare = write("b.tsv", "cat\tK AE T\ndog\tD AO G\n")
    assert read_parallel([bare, bare], source=1, target="2").targets == ["K AE T", "D AO G"] * 2


def test_files_of_different_numbers_of_lines(write: Write) -> None:
    short, long = write("a.en", "a\nb\n"), write("a.de", "a\nb\nc\nd")
    message = f"{short} has 2 lines, {long} has 4; expected equally many"
    failing([short, long], f"{long}:3: has no line in the other file: {message}")
    failing([long, short], f"{long}:3: has no line in the other file: {long} has 4 lines, {short} has 2")
    failing([short, write("none", "")], f"{short}:1: has no line in the other file")


def test_an_empty_line_is_named_and_they_are_counted(write: Write) -> None:
    source, target = write("a.en", "a\nb\n \t\nd\n"), write("a.de", "A\n\nC\n\n")
    message = f"{source}:2: the target is empty, the first of 3 such pairs of 4; expected text in both; remove such"
    failing([source, target], message)
    failing([write("b.en", "a\n\n"), write("b.de", "A\nB\n")], "b.en:2: the source is empty; expected text in both")
    table = write("a.tsv", "s\tt\na\tA\n\tB\n")
    failing(table, f"{table}:3: the source is empty;", source="s", target="t")


def test_a_file_that_is_not_utf8_is_an_error(write: Write) -> None:
    source, target = write("a.en", "a\nb\n"), write("a.de", "A\nStra\xdfe\n".encode("latin1"))
    failing([source, target], f"{target}:2: byte 5 of the line is not UTF-8 (0xdf); convert the file")


def test_an_odd_number_of_files_is_an_error(write: Write, tmp_path: Path) -> None:
    files = [write(name, "a\n") for name in ("a.en", "a.de", "b.en")]
    failing(files, f"targets), or tables with columns, got 3: {files[0]} {files[1]} {files[2]}.")
    failing(files[0], "expected pairs of files (sources, then targets)")
    failing([], "got none")
    failing([files[0], tmp_path / "no.de"], "no.de: cannot be read: No such file", FileNotFoundError)
    failing([tmp_path / "no.en", files[0]], "no.en: cannot be read: No such file", FileNotFoundError)
    failing([write("e.en", ""), write("e.de", "")], "e.en: expected rows, found none")


def test_a_file_that_is_not_gzip_is_an_error(write: Write) -> None:
    source, target = write("a.en", "a\n"), write("a.de", "a\n")
    failing([source, target.rename(target.with_suffix(".gz"))], "a.gz: expected a whole gzip file")


def test_columns_of_text_files_are_errors(write: Write) -> None:
    text, table = write("a.en", "a\n"), write("a.tsv", "s\tt\na\tA\n")
    failing([table, text], f"{table}: a table; name its columns: source=COLUMN and target=COLUMN.")
    failing([text, text], f"{text}: a text file has no columns; name a table", source="s", target="t")
    failing(table, "expected a source and a target column, got only 's'", source="s")
    failing(table, "expected different columns, got 's' twice", source="s", target="s")
    failing(table, f"{table}: no column 'T'; did you mean t?", source="s", target="T")
    lines = write("a.jsonl", '{"s": "a", "t": "A"}\n{"s": "a", "t": null}\n{"s": 3, "t": "A"}\n')
    failing(lines, f"{lines}:2: expected text in 't', got none", source="s", target="t")
    lines = write("b.jsonl", '{"s": 3, "t": "A"}\n')
    failing(lines, f"{lines}:1: expected text in 's', got int 3", source="s", target="t")


@pytest.mark.parametrize(
    ("files", "columns", "rows", "first"),
    [
        (["multi30k/val.en.gz", "multi30k/val.de.gz"], {}, 1014, ("A group of men are loading cotton onto a truck",)),
        (["cmudict/valid.tsv.gz"], {"source": 1, "target": 2}, 2715, ("abbottstown", "AE1 B AH0 T S T AW1 N")),
        (["aeslc/dev.jsonl.gz"], {"source": "body", "target": "subject"}, 1960, ()),
    ],
)
def test_the_counts_of_known_data(data_path: Path, files: list, columns: dict, rows: int, first: tuple) -> None:
    read = read_parallel([data_path / file for file in files], **columns)
    assert len(read.sources) == len(read.targets) == len(read.places) == rows
    assert (read.sources[0], read.targets[0])[: len(first)] == first
    assert not any(re.search(r"[\r\n]$", text) for text in read.targets)


@pytest.mark.parametrize("kind", ["files", "a.tsv", "a.jsonl"])
def test_pairs_with_an_empty_side_are_skipped_and_reported(write: Write, caplog, kind: str) -> None:
    pairs = [("a", "A"), ("", "B"), ("c", " \t"[: 1 if kind == "a.tsv" else 2]), ("d", "D"), ("", ""), ("\u00a0", "F")]
    columns = {} if kind == "files" else {"source": "s", "target": "t"}
    if kind == "files":
        names = ("a.en", "a.de")
        files = [
            write(name, "\n".join(texts) + "\n") for name, texts in zip(names, zip(*pairs, strict=True), strict=True)
        ]
        places = [f"{files[0]}:{line}" for line in (2, 3, 5)]
    elif kind == "a.tsv":
        files = write(kind, "s\tt\n" + "".join(f"{source}\t{target}\n" for source, target in pairs))
        places = [f"{files}:{line}" for line in (3, 4, 6)]
    else:
        files = write(kind, "".join(json.dumps({"s": source, "t": target}) + "\n" for source, target in pairs))
        places = [f"{files}:{line}" for line in (2, 3, 5)]
    error = ", the first of 4 such pairs of 6; expected text in both; remove such lines from both files, or skip them: "
    failing(files, error, **columns)
    assert read_parallel(files, **columns, skip_empty=True)[:2] == (["a", "d"], ["A", "D"])
    assert caplog.messages == [
        f"skipped 4 of 6 pairs, in which a side is empty: {places[0]} (source), {places[1]} (target), "
        f"{places[2]} (source), ..."
    ]
    caplog.clear()
    whole = [write("b.en", "a\n"), write("b.de", "A\n")]
    assert read_parallel(whole, skip_empty=True) == read_parallel(whole)
    assert not caplog.messages


def test_skipping_leaves_lines_aligned_and_never_all_of_them(write: Write) -> None:
    short, long, empty = write("a.en", "a\n\n"), write("a.de", "A\nB\nC\n"), write("b.de", "\n \n")
    failing([short, long], "a.de:3: has no line in the other file", skip_empty=True)
    error = "a.en:1: the target is empty, the first of 2 such pairs of 2; expected text in both; remove such lines from"
    failing([short, empty], error, skip_empty=True)
