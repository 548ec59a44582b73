"""Laws of all kinds of units: text and JSON round trips, and streaming returns the same text."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.units import BOUNDARY, UNITS, UNKNOWN, Units, make_units, units_from_json

STORY = "Ένας ναύτης — naïve, 'tis said — sailed\r\nfrom 東京 to Łódź.\n\tThe sea, the sea! \U0001f6a2\U0001f6a2\n" * 3
SETTINGS = {"words": {"min_count": 1}, "bpe": {"vocabulary_size": 300}}
KINDS = list(UNITS)
FITTED = {kind: make_units(kind, **SETTINGS.get(kind, {})).fit([STORY]) for kind in KINDS}

texts = st.text() | st.text(alphabet=STORY)


@pytest.fixture(params=KINDS)
def units(request: pytest.FixtureRequest) -> Units:
    return FITTED[request.param]


def test_ids_are_int64_above_the_boundary(units: Units) -> None:
    ids = units.encode(STORY)
    assert ids.dtype == np.int64
    assert ids.ndim == 1
    assert ids.min() > BOUNDARY
    assert ids.max() < units.size


def test_an_empty_text_has_no_units(units: Units) -> None:
    ids = units.encode("")
    assert ids.dtype == np.int64
    assert ids.shape == (0,)
    assert units.decode(ids) == ""


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@given(text=texts)
def test_any_text_comes_back(kind: str, text: str) -> None:
    assert FITTED[kind].decode(FITTED[kind].encode(text)) == text
    assert FITTED[kind].unknown(text) is None


@given(text=st.text(min_size=1))
def test_any_text_comes_back_from_its_own_characters(text: str) -> None:
    units = make_units("characters").fit([text])
    assert units.decode(units.encode(text)) == text
    assert units.size == len(set(text)) + 2


@given(text=texts, kind=st.sampled_from(KINDS))
def test_json_gives_the_same_units(kind: str, text: str) -> None:
    units = FITTED[kind]
    again = units_from_json(json.loads(json.dumps(units.to_json())))
    assert type(again) is type(units)
    assert again.size == units.size
    assert again.to_json() == units.to_json()
    np.testing.assert_array_equal(again.encode(text), units.encode(text))


@given(data=st.data(), kind=st.sampled_from(KINDS))
def test_streamed_text_is_never_revised(kind: str, data: st.DataObject) -> None:
    units = FITTED[kind]
    ids = data.draw(st.lists(st.integers(0, units.size - 1), max_size=20))
    decoder, text = units.decoder(), ""
    for i, unit in enumerate(ids):
        text += decoder.feed(unit)
        assert units.decode(ids[: i + 1]).startswith(text)
    assert text + decoder.flush() == units.decode(ids)


def test_the_boundary_ends_a_text(units: Units) -> None:
    one = units.encode("the sea,\n")
    both = np.concatenate([[BOUNDARY], one, [BOUNDARY], one, [BOUNDARY]])
    assert units.decode(both) == 2 * units.decode(one)


@pytest.mark.parametrize("unit", [-1, 10**6])
def test_an_id_outside_the_vocabulary(units: Units, unit: int) -> None:
    with pytest.raises(ValueError, match=rf"decode: expected ids from 0 to {units.size - 1}, got {unit}\."):
        units.decode([unit])


def test_one_text_is_not_a_list_of_documents(units: Units) -> None:
    with pytest.raises(TypeError, match=r"expected a list of documents, got one str; put it in a list"):
        make_units(units.name).fit("one text")


def test_half_a_surrogate_pair_is_an_error(units: Units) -> None:
    for act in (units.encode, lambda text: make_units(units.name).fit([text])):
        with pytest.raises(ValueError, match=r"half a surrogate pair \(U\+D83D\) at offset 2"):
            act("ab\ud83d")


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_bytes_are_not_text(kind: str) -> None:
    with pytest.raises(TypeError, match=rf"units={kind}: expected text \(str\), got bytes; .*units=bytes"):
        FITTED[kind].encode(b"text")


@pytest.mark.parametrize("kind", ["characters", "words"])
def test_limits_decide_what_is_unknown(kind: str) -> None:
    text = "a a a b b c" if kind == "words" else "aaabbc"
    everything = make_units(kind, min_count=1).fit([text])
    assert (everything.size, everything.unknown(text)) == (5, None)
    for limit in ({"min_count": 2}, {"min_count": 1, "vocabulary_size": 4}):
        units = make_units(kind, **limit).fit([text])
        assert units.size == 4
        assert units.encode(text).tolist() == [2, 2, 2, 3, 3, UNKNOWN]
        assert units.unknown(text).unit == "c"


@pytest.mark.parametrize("kind", ["characters", "words"])
@pytest.mark.parametrize("documents", [[], [""]])
def test_nothing_to_learn_units_from(kind: str, documents: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"units={kind}: expected a \w+ that occurs \d times or more, got 0"):
        make_units(kind).fit(documents)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("word", {}, r"units: expected one of bytes, characters, words, bpe, got 'word'; did you mean words\?"),
        ("bytes", {"vocabulary_size": 300}, "units=bytes has no setting vocabulary_size; it has none"),
        ("bpe", {"min_count": 3}, "units=bpe has no setting min_count; it has vocabulary_size"),
        ("bpe", {"vocabulary_size": 256}, "units=bpe: expected a vocabulary_size of at least 257 .* got 256"),
        ("words", {"vocabulary_size": 2}, "units=words: expected a vocabulary_size of at least 3 .* got 2"),
        ("characters", {"min_count": 0}, "units=characters: expected a min_count of at least 1, got 0"),
    ],
)
def test_settings_out_of_range_are_errors(kind: str, settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_units(kind, **settings)


def test_a_setting_of_none_is_the_default() -> None:
    assert make_units("bytes", vocabulary_size=None, min_count=None).size == 257


def test_neither_pytorch_nor_tokenizers_is_loaded() -> None:
    code = "import sys, elman.data.units, elman.data.documents, elman.data.batches\n"
    code += "print({'torch', 'tokenizers'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bytes", "characters", "bpe"])
def test_a_line_of_50_megabytes(kind: str) -> None:
    code = f"""
import numpy, resource
from elman.data.units import make_units
text = numpy.random.default_rng(0).integers(97, 123, 50_000_000, numpy.uint8).tobytes().decode()
units = make_units("{kind}").fit([text])
print(len(units.encode(text)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    units, kilobytes = map(int, done.stdout.split())
    assert units <= 50_000_000
    assert kilobytes < 1_200_000  # 8 bytes an id, and the rest
