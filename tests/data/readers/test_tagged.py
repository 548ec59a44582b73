"""Reader of tagged sentences: the formats of the shared tasks, and malformed lines."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from elman.data.readers import read_tagged

Write = Callable[..., Path]

CONLL = "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\n\n-DOCSTART-\nPeter NNP I-NP I-PER\n"
CONLLU = """\
# newdoc id = a
# text = Don't # panic
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t4\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
3\t#\t#\tSYM\tNN\t_\t4\tobj\t_\t_
3.1\tyou\t_\t_\t_\t_\t_\t_\t_\t_
4\tpanic now\tpanic\tVERB\tVB\t_\t0\troot\t_\t_

#
1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(data: str, name: str = "a.txt") -> Path:
        (tmp_path / name).write_bytes(gzip.compress(data.encode()) if name.endswith(".gz") else data.encode())
        return tmp_path / name

    return write


def failing(path: Path, pattern: str, **settings: object) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(str(path)) + pattern) as raised:
        read_tagged(path, **settings)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.tsv"])
@pytest.mark.parametrize("separator", [" ", "\t", "   "])
def test_one_word_per_line(write: Write, name: str, separator: str) -> None:
    path = write("\ufeff" + CONLL.replace(" ", separator).replace("\n", "\r\n") + "\r\n", name)
    places = [f"{path}:3", f"{path}:8"]
    assert read_tagged(path) == ([["EU", "rejects"], ["Peter"]], [["I-ORG", "O"], ["I-PER"]], places)


def test_selected_columns(write: Write) -> None:
    path = write(CONLL)
    assert read_tagged(path, columns=(1, 2)).labels == [["NNP", "VBZ"], ["NNP"]]
    assert read_tagged(path, columns=("1", "-2")).labels == [["I-NP", "I-VP"], ["I-NP"]]
    given = read_tagged(path, extra=(2, -2))
    assert given.inputs == [[("EU", "NNP", "I-NP"), ("rejects", "VBZ", "I-VP")], [("Peter", "NNP", "I-NP")]]
    assert given.labels == read_tagged(path).labels
    assert read_tagged(path, extra="2").inputs[1] == [("Peter", "NNP")]


def test_files_without_tags(write: Write) -> None:
    path = write("EU\nrejects\n\nPeter\n")
    assert read_tagged([path, path], tags=False)[:2] == ([["EU", "rejects"], ["Peter"]] * 2, None)
    failing(
        path, r":1: expected a word and a tag, got column 1 of 1 for both; .* \(tags=False in Python, elman predict\)"
    )
    assert read_tagged(write(CONLL), tags=False, columns=2).inputs == [["NNP", "VBZ"], ["NNP"]]
    assert read_tagged(write("EU NNP\n"), tags=False, columns=(1, 4), extra=2).inputs == [[("EU", "NNP")]]


def test_conllu(write: Write) -> None:
    path = write(CONLLU, "a.conllu")
    words, tags = [["Do", "n't", "#", "panic now"], ["Yes"]], [["AUX", "PART", "SYM", "VERB"], ["INTJ"]]
    assert read_tagged(path) == (words, tags, [f"{path}:4", f"{path}:11"])
    assert read_tagged(path, columns=("FORM", "XPOS"), extra="LEMMA").inputs[1] == [("Yes", "yes")]
    assert read_tagged(path, columns=(2, 4), tags=False)[:2] == (words, None)
    failing(path, r": no column 'UPSO'; did you mean UPOS\? There are: ID, FORM, ", columns=("FORM", "UPSO"))


def test_conllu_with_too_few_columns(write: Write) -> None:
    for line, column, width in [("a", "FORM", 1), ("1\ta", "UPOS", 2), ("1\ta\ta", "UPOS", 3), ("1 a b c", "XPOS", 4)]:
        path = write(f"{line}\n\n" * 3, "a.conllu")
        columns = ("FORM", "XPOS") if column == "XPOS" else None
        failing(path, f":1: no column {column}: expected 10 columns, ID FORM .* MISC, got {width}; ", columns=columns)
    assert read_tagged(write("a\tN\n", "a.conllu"), columns=(1, 2))[:2] == ([["a"]], [["N"]])
    path = write("# global.columns = WORD POS TAG\nYes\tUH\n")
    failing(path, ":2: no column TAG: expected 3 columns, WORD POS TAG, got 2", columns=("WORD", "TAG"))


def test_names_of_columns_in_the_file(write: Write) -> None:
    path = write("# global.columns = WORD TAG\nYes\tUH\n")
    assert read_tagged(path, columns=("WORD", "TAG"))[:2] == ([["Yes"]], [["UH"]])
    failing(
        write("Yes UH\n"),
        r": no column 'WORD'\..* numbers from 1 to 2, or from the end, -1\.$",
        columns=("WORD", "TAG"),
    )


def test_a_number_sign_may_be_a_word(write: Write) -> None:
    path = write("# about this file\n# x B-NP\n55 CD B-NP\n\n# # B-NP\n55 CD I-NP\n\n# id = 1\nof IN\tO\n")
    assert read_tagged(path).inputs == [["#", "55"], ["#", "55"], ["of"]]
    failing(write("a B C\n# D\n"), ":2: expected 3 columns as in line 1, got 2")
    failing(write("a B C\n\n#D E\n"), ":3: expected 3 columns as in line 1, got 2")
    assert read_tagged(write("# O\n# B\n"), columns=(1, 2)).inputs == [["#", "#"]]


def test_white_space_that_is_a_part_of_a_word(write: Write) -> None:
    assert read_tagged(write("a\u00a0b X\n\u2028 Y\n")).inputs == [["a\u00a0b", "\u2028"]]


def test_a_warning_names_plain_text_with_as_many_words_in_every_line(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    for plain in ("Ann went to Rome .", "Ann went to Rome .\n\nBob went to Oslo .\n", "Ann is here\n"):
        read_tagged(write(plain), tags=False)
        count = len(plain.split("\n")[0].split())
        assert f"every sentence is one word in {count} columns; write a word per line" in caplog.text
        caplog.clear()
    for columns in ("Ann NNP O\nis VB O\n", "Ann O\n\nBob O\n", "Ann\n\nBob\n", "Ann\tNNP\tO\n"):
        read_tagged(write(columns), tags=False)
    assert not caplog.text


def test_lines_that_are_ragged(write: Write) -> None:
    failing(
        write("a X\nb\n"),
        r":2: expected 2 columns as in line 1, got 1: 'b'; write a word per line, .* each sentence\.$",
    )
    failing(write("-DOCSTART-\n\na X\nb X Y\n"), r":4: expected 2 columns as in line 3, got 3: 'b X Y'; write")
    failing(write("a\tX\n\tY\n"), r":2: column 1 is empty\.$")
    failing(write("a\tX\nb\t\n"), r":2: column 2 is empty\.$")


@pytest.mark.parametrize("column", [0, 3, -3, "3"])
def test_a_missing_column_is_an_error(write: Write, column: int | str) -> None:
    failing(write("a X\n"), rf":1: expected a column from 1 to 2 .*, got {column}\.$", columns=(1, column))


def test_files_without_sentences(write: Write) -> None:
    for data in ("", "\n \n"):
        failing(write(data), ": empty; expected sentences, one word per line")
    failing(write("-DOCSTART- O\n"), ": expected rows, found none")
    with pytest.raises(FileNotFoundError, match="cannot be read: No such file"):
        read_tagged("nowhere.txt")


def test_a_wrong_number_of_columns(write: Write) -> None:
    with pytest.raises(ValueError, match=r"^columns: expected a column of words and one of tags, got 1 columns\.$"):
        read_tagged(write(CONLL), columns=1)


@pytest.mark.parametrize(
    ("name", "columns", "sentences", "words", "tags"),
    [
        ("conll2003/eng.train.gz", None, 14041, 203621, 8),
        ("conll2003/eng.testa.gz", None, 3250, 51362, None),
        ("conll2000/train.txt.gz", None, 8936, 211727, 22),
        ("conll2000/test.txt.gz", None, 2012, 47377, None),
        ("ud_ewt/train.tsv.gz", (1, 2), 12544, 204577, 17),
        ("ud_ewt/dev.tsv.gz", (1, 2), 2001, 25147, 17),
    ],
)
def test_the_counts_of_shared_tasks(
    data_path: Path, name: str, columns: tuple[int, int] | None, sentences: int, words: int, tags: int | None
) -> None:
    read = read_tagged(data_path / name, columns=columns)
    assert len(read.inputs) == len(read.places) == sentences
    assert sum(map(len, read.inputs)) == sum(map(len, read.labels)) == words
    assert tags is None or len({tag for row in read.labels for tag in row}) == tags
