"""Which text stands above which step."""

import pytest

from elman.doctor.sentence import texts_of


@pytest.mark.parametrize(
    ("name", "texts", "first"),
    [("cells.1", 100, "0"), ("cells.1.backward_cell", 100, "99"), ("rnn.l0_reverse", 100, "99"), ("encoder", 40, "")],
)
def test_texts_go_with_their_steps(well, name, texts, first):
    found = well._replace(facts=well.facts._replace(texts=[str(number) for number in range(texts)]))
    layer = well.layers[0]._replace(name=name)
    seen = texts_of(found, layer, layer.gates["forget"])
    assert len(seen) == 100
    assert seen[0] == first


def test_without_texts_steps_have_numbers(well):
    seen = texts_of(well, well.layers[0], well.layers[0].gates["forget"])
    assert [text for text in seen if text] == [str(number) for number in range(10, 101, 10)]
