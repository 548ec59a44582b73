"""Words and punctuation marks of plain text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elman.data.tokenizer import tokenize


def words(text):
    return " ".join(token.text for token in tokenize(text))


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("Mr. Smith went to London.", "Mr. Smith went to London ."),
        ("The U.S. and the E.U., e.g. J. Smith at Acme Inc.", "The U.S. and the E.U. , e.g. J. Smith at Acme Inc."),
        ("No. 5 said no.", "No. 5 said no ."),
        ("I don't, can't, cannot: it's John's.", "I do n't , ca n't , can not : it 's John 's ."),
        ("It\u2019s we\u2019ll, wouldn\u2019t\u2019ve", "It \u2019s we \u2019ll , would n\u2019t \u2019ve"),
        ("O'Brien, the boys' well-known 'plan'", "O'Brien , the boys ' well-known ' plan '"),
        ("$1,000.50 (5%) at 10:30pm on 2024-05-01", "$ 1,000.50 ( 5 % ) at 10:30 pm on 2024-05-01"),
        ("-3/4, 1st of the 90s.", "- 3/4 , 1st of the 90s ."),
        ("Write to ada.b+c@example.org.", "Write to ada.b+c@example.org ."),
        ("(see https://example.org/a?b=1), www.example.org!", "( see https://example.org/a?b=1 ) , www.example.org !"),
        ("@ada likes #maths and Node.js :-)", "@ada likes #maths and Node.js :-)"),
        ('"Yes," he said... “no”—«oui» ¿sí?', '" Yes , " he said ... “ no ” — « oui » ¿ sí ?'),
        ("wow!!! what?! a--b", "wow !!! what ?! a -- b"),
        ("US$5 at .500, 1.5-point U.S.-led", "US$ 5 at .500 , 1.5-point U.S.-led"),
        ("1. Kim 2. Lee", "1. Kim 2 . Lee"),
        ("AT&T and x=1;[y]", "AT&T and x = 1 ; [ y ]"),
        ("你好\uff0c世界。これはペンです。", "你好 \uff0c 世界 。 これはペンです 。"),
        ("हिन्दी में।", "हिन्दी में ।"),
        ("Cafe\u0301, naïve", "Cafe\u0301 , naïve"),
        ("ok 👩\u200d💻👍🏽🇩🇪🇫🇷!", "ok 👩\u200d💻 👍🏽 🇩🇪 🇫🇷 !"),
        ("\ufeffHi\u00a0there\u200b!", "Hi there !"),
        ("", ""),
        (" \n\t", ""),
    ],
)
def test_texts_are_split_as_in_tagged_corpora(text, split):
    assert words(text) == split


@pytest.mark.parametrize(
    "text",
    [
        "EU rejects German call to boycott British lamb .",
        "BRUSSELS 1996-08-22",
        "He did n't go to John 's , but to O'Neill 's 'house ' .",
        "`` I ca n't , '' said Mr. Jones of Acme Corp. in the U.S. .",
        "Rate : 5.5 % ( up 1,000 -- or so ) ...",
    ],
)
def test_text_that_has_been_split_before_stays_as_it_is(text):
    assert words(text) == text.replace("'house", "' house")


@given(st.text() | st.text(st.sampled_from("aZ.'\u2019- \n1,@:/!é́\u200d👍🏽n'ts"), max_size=40))
@example("can't've")
@example("cannot cannot's")
@example("''s")
def test_every_character_is_in_one_word_but_for_white_space(text):
    end = 0
    for token in tokenize(text):
        assert token.text == text[token.start : token.stop] != ""
        assert not any(character.isspace() for character in token.text)
        gap = text[end : token.start]
        assert all(character.isspace() or character in "\u200b\ufeff" for character in gap)
        end = token.stop
    assert not text[end:].strip("\u200b\ufeff").strip() or all(
        character.isspace() or character in "\u200b\ufeff" for character in text[end:]
    )


@pytest.mark.parametrize("part", ["'s", "a.A", "1,", "A.", "(", "don't", "http://", "a@", "é'", "x "])
def test_long_texts_take_little_time(part):
    text = part * 20_000  # quadratic time would take minutes
    assert sum(token.stop - token.start for token in tokenize(text)) == len(text.replace(" ", ""))
