"""Texts above the columns of a heatmap."""

import pytest

from elman.doctor.heatmaps import texts_of


@pytest.mark.parametrize(
    ("backward", "texts", "first"),
    [(False, 100, "0"), (True, 100, "99"), (False, 40, "")],
)
def test_texts_are_in_reading_order(healthy, backward, texts, first):
    found = healthy._replace(facts=healthy.facts._replace(texts={"": [str(number) for number in range(texts)]}))
    layer = healthy.layers[0]._replace(reversed=backward)
    shown = texts_of(found, layer, layer.gates["forget"])
    assert len(shown) == 100
    assert shown[0] == first


def test_steps_without_texts_are_numbered(healthy):
    shown = texts_of(healthy, healthy.layers[0], healthy.layers[0].gates["forget"])
    assert [text for text in shown if text] == [str(number) for number in range(10, 101, 10)]
