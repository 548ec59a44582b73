"""Tag schemes against their definitions: a row is valid if it encodes spans, and each set of spans has one encoding."""

from itertools import pairwise, product

import numpy as np
import pytest

from elman.classical.tag_schemes import (
    ALIASES,
    SCHEMES,
    Span,
    all_tags,
    allowed,
    check_tags,
    convert,
    spans,
    write_tags,
)

LENGTHS = {"BIO": 4, "IOB1": 4, "IOBES": 4, "BILOU": 3, "BMES": 3}


def sets_of_spans(length, start=0):
    """Yield every set of spans of two labels in a row."""
    if start >= length:
        return [[]]
    found = sets_of_spans(length, start + 1)
    for stop in range(start + 1, length + 1):
        for label in ("LOC", "PER"):
            found = found + [[Span(label, start, stop), *rest] for rest in sets_of_spans(length, stop)]
    return found


def rows(scheme):
    tags = all_tags(["LOC", "PER"], scheme)
    return [list(row) for length in range(LENGTHS[scheme] + 1) for row in product(tags, repeat=length)]


def is_legal(row, scheme):
    try:
        check_tags(row, scheme)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_valid_rows_are_the_encodings_of_spans(scheme):
    written = {}
    for length in range(LENGTHS[scheme] + 1):
        for found in sets_of_spans(length):
            tags = write_tags(found, length, scheme)
            assert spans(tags, scheme) == spans(tags, scheme, strict=False) == found
            written[tuple(tags)] = found
    assert len(written) == sum(len(sets_of_spans(length)) for length in range(LENGTHS[scheme] + 1))
    assert {tuple(row) for row in rows(scheme) if is_legal(row, scheme)} == set(written)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_allowed_agrees_for_every_row(scheme):
    tags = all_tags(["LOC", "PER"], scheme)
    number = {tag: place for place, tag in enumerate(tags)}
    may = allowed(tags, scheme)
    for row in rows(scheme):
        path = [number[tag] for tag in row]
        steps = all(may.transitions[a, b] for a, b in pairwise(path))
        assert is_legal(row, scheme) == (not path or bool(may.start[path[0]] and may.end[path[-1]] and steps))


WRITTEN = {
    "BIO": "B-PER I-PER B-PER O B-LOC B-PER",
    "IOB2": "B-PER I-PER B-PER O B-LOC B-PER",
    "IOB1": "I-PER I-PER B-PER O I-LOC I-PER",
    "IOBES": "B-PER E-PER S-PER O S-LOC S-PER",
    "BIOES": "B-PER E-PER S-PER O S-LOC S-PER",
    "BILOU": "B-PER L-PER U-PER O U-LOC U-PER",
    "BMES": "B-PER E-PER S-PER O S-LOC S-PER",
}


@pytest.mark.parametrize("source", WRITTEN)
@pytest.mark.parametrize("target", WRITTEN)
def test_converting_an_example(source, target):
    assert set(WRITTEN) == {*SCHEMES, *ALIASES}
    assert " ".join(convert(WRITTEN[source].split(), source, target)) == WRITTEN[target]


def conll_spans(tags):
    """Return the chunks as conlleval.pl of the shared task of 2000 finds them, line by line."""
    found, begin, before, label_before = [], None, "O", ""
    for step, tag in enumerate([*tags, "O"]):
        letter, _, label = tag.partition("-")
        other = label != label_before
        ends = (before, letter) in {("B", "B"), ("B", "S"), ("B", "O"), ("I", "B"), ("I", "S"), ("I", "O")}
        ends = ends or before in ("E", "S") or (before != "O" and other)
        starts = letter in ("B", "S") or (letter != "O" and other)
        starts = starts or (before, letter) in {("E", "E"), ("E", "I"), ("S", "E"), ("S", "I"), ("O", "E"), ("O", "I")}
        if ends and begin is not None:
            found.append((label_before, begin, step))
            begin = None
        if starts:
            begin = step
        before, label_before = letter, label
    return found


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "IOBES"])
def test_any_row_is_read_as_the_conll_evaluation_reads_it(scheme):
    for row in rows(scheme):
        assert spans(row, scheme, strict=False) == conll_spans(row)


def test_converting_repairs_invalid_rows():
    assert convert(["O", "I-PER", "B-PER"], "BIO", "BIO", strict=False) == ["O", "B-PER", "B-PER"]
    assert convert(["O", "B-PER", "I-LOC"], "IOB1", "IOBES", strict=False) == ["O", "S-PER", "S-LOC"]


def test_allowed_transitions_of_each_scheme():
    tags = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    np.testing.assert_array_equal(
        allowed(tags, "IOB1").transitions,
        [[1, 0, 1, 0, 1], [1, 1, 1, 0, 1], [1, 1, 1, 0, 1], [1, 0, 1, 1, 1], [1, 0, 1, 1, 1]],
    )
    bilou = allowed(["U-X", "O", "B-X", "L-X", "I-X"], "BILOU")
    np.testing.assert_array_equal(
        bilou.transitions, [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 1, 1]]
    )
    assert bilou.start.tolist() == [True, True, True, False, False]
    assert bilou.end.tolist() == [True, True, False, True, False]
    nothing = allowed([], "BIO")
    assert nothing.transitions.shape == (0, 0)
    assert nothing.start.dtype == bool


def test_a_label_may_hold_hyphens():
    assert spans(["B-work-of-art", "I-work-of-art"], "BIO") == [("work-of-art", 0, 2)]


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (["O", "I-PER"], "BIO", "step 1: expected O or B-... after O in BIO, got I-PER"),
        (["I-PER"], "BIO", "step 0: expected O or B-... at the start of a row in BIO, got I-PER"),
        (["B-PER", "I-LOC"], "IOB2", "step 1: expected O, B-... or I-PER after B-PER in BIO, got I-LOC"),
        (["B-PER"], "IOB1", "step 0: expected O or I-... at the start of a row in IOB1, got B-PER"),
        (["I-PER", "B-LOC"], "IOB1", "step 1: expected O, I-... or B-PER after I-PER in IOB1, got B-LOC"),
        (["B-PER", "O"], "IOBES", "step 1: expected I-PER or E-PER after B-PER in IOBES, got O"),
        (["S-PER", "E-PER"], "BIOES", "step 1: expected O, B-... or S-... after S-PER in IOBES, got E-PER"),
        (["O", "B-PER"], "BILOU", "step 2: expected I-PER or L-PER after B-PER in BILOU, got the end of the row"),
        (["O", "S-PER"], "BILOU", "step 1: expected a tag of BILOU (O, B-label or I-label or L-label or U-label), got"),
        (["PER"], "BIO", "step 0: expected a tag of BIO (O, B-label or I-label), got 'PER'"),
        (["B-"], "BIO", "step 0: expected a tag of BIO (O, B-label or I-label), got 'B-'"),
        (["BI-PER"], "BIO", "got 'BI-PER'"),
        ([""], "BIO", "got ''"),
        (["O"], "BOI", "expected a scheme of BIO, IOB1, IOBES, BILOU, BMES, IOB2, BIOES, got 'BOI'"),
        (["O"], None, "expected a scheme of BIO, IOB1, IOBES, BILOU, BMES, IOB2, BIOES, got None"),
    ],
)
def test_a_tag_in_an_invalid_position(tags, scheme, message):
    for call in (check_tags, spans, lambda tags, scheme: convert(tags, scheme, "BIO")):
        with pytest.raises(ValueError) as error:  # noqa: PT011
            call(tags, scheme)
        assert message in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("B-PER", "expected a list of tags, got the string 'B-PER'"),
        (["O", 3], "step 1: expected a tag as a string, got int 3"),
        ([["O"]], "step 0: expected a tag as a string, got list"),
    ],
)
def test_invalid_tags(tags, message):
    for call in (check_tags, spans, allowed):
        with pytest.raises(TypeError, match=message):
            call(tags, "BIO")


def test_errors_begin_with_the_name_of_the_caller():
    with pytest.raises(ValueError, match=r"^train.txt line 12: step 0"):
        check_tags(["I-PER"], "BIO", where="train.txt line 12")


def test_a_vocabulary_with_a_tag_twice():
    with pytest.raises(ValueError, match="expected every tag once, got 'O' twice"):
        allowed(["O", "B-X", "O"], "BIO")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([("X", 2, 2)], "at least one word within 3, got"),
        ([("X", -1, 2)], "at least one word within 3, got"),
        ([("X", 1, 4)], "at least one word within 3, got"),
        ([("X", 1, 3), ("Y", 0, 2)], r"do not overlap, got \('Y', 0, 2\) and \('X', 1, 3\)"),
    ],
)
def test_invalid_spans(found, message):
    with pytest.raises(ValueError, match=message):
        write_tags(found, 3, "BIO")


def test_rows_without_words():
    assert spans([], "BIO") == []
    assert convert([], "BIO", "IOBES") == []
