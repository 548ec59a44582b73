"""Spellings of span tags: recognised, read, written back; odd tags do not hide the scheme."""

import logging

import pytest

import elman
from elman import Tagger
from elman.classical.tag_spellings import Spelling, detect_scheme, detect_spelling
from elman.metrics.entities import EntityReport

SPELLINGS = [
    (["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "I-PER", "O", "B-LOC"], "BIO"),
    (["I-PER", "I-PER", "O", "I-LOC"], ["I-PER", "I-PER", "O", "I-LOC"], "IOB1"),
    (["B-PER", "M-PER", "E-PER", "S-LOC"], ["B-PER", "M-PER", "E-PER", "S-LOC"], "BMES"),
    (["B", "M", "E", "S"], ["B-span", "M-span", "E-span", "S-span"], "BMES"),
    (["B", "I", "O", "B"], ["B-span", "I-span", "O", "B-span"], "BIO"),
    (["b", "i", "o", "b"], ["B-span", "I-span", "O", "B-span"], "BIO"),
    (["b-per", "i-per", "o", "b-loc"], ["B-per", "I-per", "O", "B-loc"], "BIO"),
    (["b-per", "e-per", "O", "s-loc"], ["B-per", "E-per", "O", "S-loc"], "IOBES"),
    (["B_PER", "L_PER", "O", "U_LOC"], ["B-PER", "L-PER", "O", "U-LOC"], "BILOU"),
    (["B:PER", "I:PER", "O", "B:A-B"], ["B-PER", "I-PER", "O", "B-A-B"], "BIO"),
    (["PER-B", "PER-I", "O", "A-B-B"], ["B-PER", "I-PER", "O", "B-A-B"], "BIO"),
    (["per_b", "per_i", "o", "loc_b"], ["B-per", "I-per", "O", "B-loc"], "BIO"),
    (["name=B-PER", "name=I-PER", "name=O", "name=B-LOC"], ["B-PER", "I-PER", "O", "B-LOC"], "BIO"),
]


@pytest.mark.parametrize(("tags", "usual", "scheme"), SPELLINGS)
def test_known_spellings_are_read_and_written_back(tags, usual, scheme):
    spelling = detect_spelling([tags] * 3)
    assert spelling is not None
    assert [spelling.read(tag) for tag in tags] == usual
    assert [spelling.write(tag) for tag in usual] == tags
    assert detect_scheme([usual] * 3) == scheme


def test_fields_with_several_values():
    spelling = detect_spelling([["SpaceAfter=No|name=B-PER", "name=I-PER|Gloss=B", "_", "SpaceAfter=No"]])
    assert spelling is not None
    tags = ["SpaceAfter=No|name=B-PER", "_", "SpaceAfter=No|name=O", "name=I-PER"]
    assert [spelling.read(tag) for tag in tags] == ["B-PER", "O", "O", "I-PER"]


@pytest.mark.parametrize(
    "tags",
    [
        ["DET", "NOUN", "VERB"],
        ["A", "B", "B"],
        ["B", "B"],
        ["O", "PER", "PER"],
        ["NN-X", "VB-Y", "B-Z"],
        ["NN_S", "VB_I", "JJ_E"],
        ["n", "v", "b", "i", "a", "o", "r"],
        ["Case=Nom|Number=Sing", "VerbForm=Fin", "_"],
        ["O", "O"],
        [],
    ],
)
def test_other_tags_are_not_spans(tags):
    assert detect_spelling([tags]) is None


GOOD = ["B-PER", "I-PER", "O", "O", "B-LOC"]


@pytest.mark.parametrize("odd", ["0", "o", "B_PER", "PER", "B-", "b-LOC", "S-PER", "-"])
def test_an_odd_tag_does_not_hide_the_scheme(odd):
    rows = [GOOD] * 9 + [[*GOOD[:2], odd, *GOOD[3:]]]
    assert detect_spelling(rows) == Spelling()
    assert detect_scheme(rows) == "BIO"


WORDS = ["Ann", "Lee", "went", "to", "Rome"]


def tagger(**settings):
    return Tagger(hidden_size=4, embedding_size=4, character_size=2, epochs=1, validation=0, **settings)


@pytest.mark.parametrize("settings", [{}, {"repair": True}, {"scheme": "IOB1"}])
def test_an_odd_tag_is_named_with_its_row(settings):
    odd = ["B-PER", "I-PER", "0", "O", "B-LOC"]
    with pytest.raises(
        ValueError, match=r"^row 9, step 2: expected .*got '0'; correct it, convert .*, or set scheme=none"
    ):
        tagger(**settings).fit([WORDS] * 10, [GOOD] * 9 + [odd])


def test_a_tagger_writes_the_spelling_of_its_training_data(tmp_path):
    tags = ["PER_b", "PER_i", "o", "o", "LOC_b"]
    model = tagger().fit([WORDS] * 10, [tags] * 10)
    assert (model.scheme_, model.spelling_) == ("BIO", Spelling("_", True, True, "o"))
    model.save(tmp_path / "model.safetensors")
    for each in (model, elman.load(tmp_path / "model.safetensors")):
        assert {tag for row in each.predict([WORDS]) for tag in row} <= {*tags, "LOC_i"}
        report = each.evaluate([WORDS], [tags])
        assert isinstance(report, EntityReport)


def test_a_few_tags_of_spans_among_others_are_reported(caplog):
    caplog.set_level(logging.WARNING, "elman")
    model = tagger().fit([WORDS] * 6, [["B-PER", "0", "0", "0", "0"]] * 6)
    assert model.scheme_ is None
    assert "B-PER" in caplog.text
