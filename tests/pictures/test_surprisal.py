import numpy as np
import pytest

from elman.pictures import surprisal


def test_a_curve_per_model_above_the_words():
    figure = surprisal(["the", "$a$", "\n"], {"LSTM": [1.0, 2.0, 3.0], "3-gram": [2.0, 1.0, 4.0]}, title="a $b$")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["the", "$a$", "\\n"]
    assert [line.get_ydata().tolist() for line in axis.get_lines()] == [[1, 2, 3], [2, 1, 4]]
    assert axis.get_legend() is not None
    figure.canvas.draw()


def test_one_array_has_no_legend_and_many_words_have_numbers():
    (axis,) = surprisal(["word"] * 200, np.ones(200)).axes
    assert axis.get_legend() is None
    assert "word" not in [label.get_text() for label in axis.get_xticklabels()]


@pytest.mark.parametrize(("words", "bits"), [([], []), (["a"], [1.0, 2.0]), (["a"], {"LSTM": [[1.0]]})])
def test_other_shapes_are_errors(words, bits):
    with pytest.raises(ValueError, match=r"pictures.surprisal: expected bits.* of shape \[T="):
        surprisal(words, bits)
