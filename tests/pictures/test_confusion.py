from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.testing import assert_allclose

from elman.metrics import class_report
from elman.pictures import confusion


def report(counts, classes=None):
    counts = np.asarray(counts)
    return SimpleNamespace(confusion=counts, classes=classes or [f"class {number}" for number in range(len(counts))])


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    return figure


def names(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def test_cells_show_fractions_and_counts():
    figure = drawn(confusion(report([[30, 10], [0, 5]], ["cat", "dog"]), title="pets"))
    axis = figure.axes[0]
    assert_allclose(axis.images[0].get_array(), [[0.75, 0.25], [0, 1]])
    assert {text.get_position(): text.get_text() for text in axis.texts} == {(0, 0): "30", (1, 0): "10", (1, 1): "5"}
    assert names(axis) == [label.get_text() for label in axis.get_xticklabels()] == ["cat", "dog"]
    assert (axis.get_title(), axis.get_xlabel(), axis.get_ylabel()) == ("pets", "predicted", "true")


def test_a_class_without_rows_has_no_shade():
    axis = drawn(confusion(report([[3, 1], [0, 0]]))).axes[0]
    assert axis.images[0].get_array().mask.tolist() == [[False, False], [True, True]]


def test_a_class_unknown_to_the_model_is_labelled():
    axis = drawn(confusion(class_report(["a", "x"], ["a", "b"], ["a", "b"]))).axes[0]
    assert names(axis) == ["a", "b", "x (unknown)"]


@pytest.mark.parametrize(("count", "name"), [(2, "{}"), (2, "shaking hands {}"), (12, "{} hands"), (60, "shaking {}")])
def test_names_have_room_and_do_not_overlap(count, name):
    counts = 10_000 * np.eye(count, dtype=int) + 12_345
    figure = drawn(confusion(report(counts, [name.format(number) for number in range(count)])))
    axis, renderer = figure.axes[0], figure.canvas.get_renderer()
    page = figure.bbox
    assert len(axis.texts) == (count**2 if count <= 25 else 0)
    for labels in (axis.get_xticklabels(), axis.get_yticklabels(), axis.texts):
        boxes = [label.get_window_extent(renderer) for label in labels]
        assert all(page.contains(*corner) for box in boxes for corner in (box.min, box.max))
        assert not any(box.count_overlaps(boxes[number + 1 :]) for number, box in enumerate(boxes))


def test_a_long_name_keeps_both_ends():
    axis = drawn(confusion(report(np.eye(2), ["the beginning of it\nand then the end of it", "b"]))).axes[0]
    assert names(axis) == ["the beginnin…e end of it", "b"]


def test_dollar_signs_are_not_mathematics():
    assert names(drawn(confusion(report(np.eye(2, dtype=int), ["$x^", "$y_1$"]))).axes[0]) == ["$x^", "$y_1$"]


def test_very_many_classes_are_numbered():
    figure = drawn(confusion(report(np.eye(200, dtype=int))))
    assert max(figure.get_size_inches()) <= 12
    assert "class 0" not in names(figure.axes[0])


@pytest.mark.parametrize(
    "bad",
    [report([], []), report([[1, 2]], ["a"]), report(np.eye(2), ["a"]), report([[1, -1], [0, 1]])],
)
def test_wrong_arguments(bad):
    with pytest.raises(ValueError, match=r"pictures.confusion: expected counts of shape \[C=\d, C=\d\]"):
        confusion(bad)
