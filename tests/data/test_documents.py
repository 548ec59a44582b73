"""Reading and splitting of documents, with errors of one line."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.documents import read_documents, split
from elman.data.raw_files import lines


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_files_are_documents(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "één\n\n"), write(tmp_path / "b.gz", gzip.compress(b"zwei\n", mtime=0))
    assert read_documents([b, str(a)]) == ["zwei\n", "één\n\n"]
    assert read_documents(a) == read_documents(str(a)) == ["één\n\n"]


@pytest.mark.parametrize("documents", ["file", "line", "blank"])
def test_line_ends_are_line_feeds_except_in_bytes(tmp_path: Path, documents: str) -> None:
    text = "one\ntwo\n\nthree\u2028\x0b\x85\n"  # other separators stay as they are
    unix = read_documents(write(tmp_path / "unix", text), "utf-8", documents)
    for end in ("\r\n", "\r", "\r\r\n"):
        other = write(tmp_path / "other", text.replace("\n", end))
        assert read_documents(other, "utf-8", documents) == unix
        whole = read_documents(other, "bytes")
        assert whole == [text.replace("\n", end).encode()]


@pytest.mark.parametrize("name", ["a.csv", "a.TSV", "a.jsonl.gz", "a.parquet"])
@pytest.mark.parametrize("encoding", ["utf-8", "bytes"])
def test_a_table_is_refused_as_text(tmp_path: Path, name: str, encoding: str) -> None:
    with pytest.raises(
        ValueError, match=rf"{name}: expected a text file, got a table \(\..*--good COLUMN --bad COLUMN"
    ):
        read_documents(write(tmp_path / name, b"{}"), encoding)


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16-LE", "UTF-16-BE", "UTF-32-LE", "UTF-32-BE"])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, encoding: str) -> None:
    mark = "" if encoding == "UTF-16" else "\ufeff"  # Python writes that of UTF-16
    path = write(tmp_path / "a.txt", f"{mark}Hallo Welt\n".encode(encoding))
    for read in (read_documents, lambda path: list(lines(path))):
        with pytest.raises(ValueError, match=rf"the byte order mark of .*iconv -f {encoding[:6]} -t utf-8"):
            read(path)


def test_a_folder_is_its_text_files_sorted(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", "b")
    write(tmp_path / "a.txt.gz", gzip.compress(b"a", mtime=0))
    write(tmp_path / "c.md", "c")
    assert read_documents(tmp_path) == ["a", "b"]


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfa")
    assert read_documents(path) == ["a"]
    assert read_documents(path, "bytes") == [b"\xef\xbb\xbfa"]


@pytest.mark.parametrize("encoding", ["utf-8", "bytes"])
def test_lines_and_paragraphs(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.txt", "\none\r\ntwo\n\n \t\r\n\r\nthree \n\n")
    kind = str.encode if encoding == "bytes" else str
    assert read_documents(path, encoding, "line") == [kind(text) for text in ("one", "two", "three ")]
    paragraph = "one\r\ntwo" if encoding == "bytes" else "one\ntwo"
    assert read_documents(path, encoding, "blank") == [kind(text) for text in (paragraph, "three ")]


def test_a_file_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"abc" * 1000 + b"\xff")
    with pytest.raises(
        ValueError, match=r"a\.txt: byte 3001 of the file is not UTF-8 \(0xff\); convert .*iconv .*units=bytes"
    ):
        read_documents(path)
    assert read_documents(path, "bytes") == [path.read_bytes()]


@pytest.mark.parametrize(
    ("name", "data"), [("a.txt", b""), ("a.gz", gzip.compress(b"", mtime=0)), ("a", b"\xef\xbb\xbf")]
)
def test_an_empty_file(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=rf"{name}: empty; expected a file with text"):
        read_documents(write(tmp_path / name, data))


def test_a_file_without_lines(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.txt: expected a line of text, found only white space"):
        read_documents(write(tmp_path / "a.txt", " \n\n"), documents="line")


@pytest.mark.parametrize(
    "data", [b"not gzip", gzip.compress(b"text" * 99, mtime=0)[:-9], gzip.compress(b"text", mtime=0)[:-8] + b"12345678"]
)
def test_a_broken_gzip_file(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"a\.gz: expected a whole gzip file: .*; fetch it again"):
        read_documents(write(tmp_path / "a.gz", data))


def test_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a\.txt: cannot be read: No such file or directory\.$"):
        read_documents([tmp_path / "a.txt"])
    with pytest.raises(NotADirectoryError, match=r"cannot be read: Not a directory\.$"):
        read_documents(write(tmp_path / "b", "b") / "c")


@pytest.mark.parametrize("method", ["read_bytes", "iterdir"])
def test_an_unreadable_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    def refuse(path: Path) -> None:  # root may read everything, so the error is simulated
        raise PermissionError(13, "Permission denied", str(path))

    write(tmp_path / "a.txt", "a")
    monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(PermissionError, match=r": cannot be read: Permission denied\.$"):
        read_documents(tmp_path)


def test_a_folder_without_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a folder with \*\.txt files, found none"):
        read_documents(tmp_path)


def test_an_unknown_kind_of_document(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected file, line or blank, got 'sentence'"):
        read_documents(tmp_path, documents="sentence")


def test_the_end_of_a_single_document_is_held_out() -> None:
    text = "".join(map(chr, range(1000)))
    assert split([text], 0.1) == ([text[:900]], [text[900:]])
    assert split([text], 0.75) == ([text[:250]], [text[250:]])
    assert split([b"0123456789"], 0.25) == ([b"0123456"], [b"789"])


def test_whole_documents_are_held_out_by_the_seed() -> None:
    documents = [str(i) * (10 + i % 7) for i in range(1000, 1200)]
    train, held_out = split(documents, 0.1, seed=1)
    assert sorted(train + held_out) == documents
    assert train == sorted(train)
    assert held_out == sorted(held_out)
    assert sum(map(len, held_out)) == pytest.approx(0.1 * sum(map(len, documents)), abs=40)
    assert split(documents, 0.1, seed=1) == (train, held_out)
    assert split(documents, 0.1, seed=2) != (train, held_out)


@given(
    st.lists(st.text("ab", min_size=1, max_size=30), min_size=2, max_size=8), st.floats(0.01, 0.5), st.integers(0, 99)
)
def test_both_sides_have_text_and_none_is_lost(documents: list[str], fraction: float, seed: int) -> None:
    train, held_out = split(documents, fraction, seed)
    assert all(train)
    assert all(held_out)
    assert sorted("".join(train + held_out)) == sorted("".join(documents))
    wanted = fraction * sum(map(len, documents))
    assert abs(sum(map(len, held_out)) - wanted) <= max(1, wanted)


def test_a_long_document_among_short_ones_stays_in_training() -> None:
    train, held_out = split(["a" * 1000, "b" * 60, "c" * 50], 0.1)
    assert train == ["a" * 1000]
    assert held_out == ["b" * 60, "c" * 50]


def test_two_documents_too_long_to_hold_out() -> None:
    assert split(["a" * 60, "b" * 40], 0.1) == (["a" * 50, "b" * 40], ["a" * 10])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 5])
def test_a_fraction_out_of_range_is_an_error(fraction: float) -> None:
    with pytest.raises(ValueError, match="expected a fraction between 0 and 1 to hold out"):
        split(["text"], fraction)


@pytest.mark.parametrize("documents", [[], [""], ["a"], ["", "a"]])
def test_too_little_to_split(documents: list[str]) -> None:
    with pytest.raises(ValueError, match=r"leaves one part without text; give more text, or a separate file"):
        split(documents, 0.1)
