import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.testing import assert_allclose

from elman.pictures import alignment

RNG = np.random.default_rng(0)


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    return figure


def names(labels):
    return [label.get_text() for label in labels]


def test_a_row_per_target_word():
    weights = [[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]]
    axis = drawn(alignment(["a", "big", "dog"], ["ein", "Hund"], weights, title="dogs")).axes[0]
    assert_allclose(axis.images[0].get_array(), weights)
    assert axis.images[0].get_clim() == (0, 1)
    assert (names(axis.get_xticklabels()), names(axis.get_yticklabels())) == (["a", "big", "dog"], ["ein", "Hund"])
    assert axis.get_title() == "dogs"


@pytest.mark.parametrize(("source", "target"), [(1, 1), (3, 20), (25, 2), (40, 40), (120, 3)])
def test_words_have_room_and_do_not_overlap(source, target):
    words = [[f"sentence{number:03}" for number in range(count)] for count in (source, target)]
    figure = drawn(alignment(*words, RNG.dirichlet(np.ones(source), target)))
    axis, renderer = figure.axes[0], figure.canvas.get_renderer()
    for labels, count in ((axis.get_xticklabels(), source), (axis.get_yticklabels(), target)):
        assert len(labels) == count
        boxes = [label.get_window_extent(renderer) for label in labels]
        assert all(figure.bbox.contains(*corner) for box in boxes for corner in (box.min, box.max))
        assert not any(box.count_overlaps(boxes[number + 1 :]) for number, box in enumerate(boxes))


def test_very_many_words_are_numbered():
    figure = alignment([f"w{number}" for number in range(900)], ["a"] * 125, RNG.dirichlet(np.ones(900), 125))
    assert max(figure.get_size_inches()) <= 24
    assert "w0" not in names(figure.axes[0].get_xticklabels())


def test_dollar_signs_white_space_and_long_words():
    axis = drawn(alignment(["$x^", "a\nb"], ["x" * 50, ""], np.eye(2))).axes[0]
    assert names(axis.get_xticklabels()) == ["$x^", "a b"]
    assert names(axis.get_yticklabels()) == ["x" * 12 + "…" + "x" * 11, ""]


@pytest.mark.parametrize(
    ("source", "target", "weights", "message"),
    [
        (["a"], ["b"], [[0.5, 0.5]], r"expected weights of shape \[T=1, S=1\] for at least one .*, got \[1, 2\]"),
        (["a", "b"], ["c"], [[0.5], [0.5]], r"\[T=1, S=2\] .*, got \[2, 1\]"),
        ([], ["b"], np.zeros((1, 0)), "at least one target and one source word"),
        (["a"], ["b"], [[-0.5]], "expected weights from 0 to 1, got -0.5 to -0.5"),
        (["a"], ["b"], [[np.nan]], "expected weights from 0 to 1, got nan"),
    ],
)
def test_wrong_arguments(source, target, weights, message):
    with pytest.raises(ValueError, match=f"pictures.alignment: .*{message}"):
        alignment(source, target, weights)
