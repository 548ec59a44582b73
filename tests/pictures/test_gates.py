"""Heat maps of gates and states along a row."""

import numpy as np
import pytest
import torch

from elman import GRU, LSTM, Classifier, LanguageModel, Linear, Sequences, Tagger, Translator
from elman.pictures import gates

SMALL = {"hidden_size": 6, "epochs": 1, "validation": 0}
WORDS, TAGS = ["Ann", "Lee", "went", "to", "Rome"], ["B-PER", "I-PER", "O", "O", "B-LOC"]


def shown(axis):
    return axis.images[0].get_array().T


def words_below(axis):
    return [label.get_text() for label in axis.get_xticklabels()]


@pytest.fixture(scope="module")
def tagger():
    return Tagger(embedding_size=4, character_size=4, **SMALL).fit([WORDS] * 4, [TAGS] * 4)


def test_a_tagger_shows_both_directions_above_the_words(tagger):
    figure = gates(tagger, WORDS)
    axes = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in axes] == 2 * ["input gate", "forget gate", "output gate", "cell state",
                                                       "hidden state"]  # fmt: skip
    assert all(words_below(axis) == WORDS for axis in axes)
    assert all(shown(axis).shape == (5, 6) for axis in axes)


def test_the_states_are_those_that_the_network_computes(tagger):
    forward, backward = tagger.activations(WORDS)
    seen = []
    hook = tagger.net_.readout.apply_to
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tagger.net_.readout, "apply_to", lambda x: seen.append(x) or hook(x))
        tagger.predict([WORDS])
    both = np.concatenate([forward.values["hidden state"], backward.values["hidden state"]], 1)
    np.testing.assert_allclose(both, seen[0], atol=1e-5)


def test_every_task_labels_the_steps_of_its_parts():
    classifier = Classifier(cell="gru", units="words", min_count=1, **SMALL).fit(["a b c", "d e"] * 4, [0, 1] * 4)
    assert [words_below(axis) for axis in gates(classifier, "a b c").axes[:3]] == 3 * [["a", "b", "c"]]
    series = Classifier(**SMALL).fit([np.eye(5)[:, :2] * row for row in range(8)], [0, 1] * 4)
    assert gates(series, np.zeros((5, 2))).axes[0].get_xlabel() == "step"
    model = LanguageModel(ngram_order=0, **SMALL).fit(["the cat sat; " * 20])
    [cell] = model.activations("the cat sat; " * 9)
    assert "".join(cell.texts).startswith("the cat")
    assert len(cell.values["forget gate"]) == len(cell.texts) == 9 * 13 + 1
    words = Translator(units="words", encoder_size=4, embedding_size=4, **SMALL)
    parts = words.fit(["a b", "a c b"] * 4, ["x y", "x z"] * 4).activations("a c b")
    assert [(part.name.split(".")[0], part.texts and part.texts[:3]) for part in parts][:2] == [
        ("encoder", ["a", "c", "b"])
    ] * 2
    assert parts[-1].name.startswith("decoder")
    assert parts[-1].texts[0] == ""


def test_a_bare_cell_is_drawn_without_words_and_with_gates_between_0_and_1():
    figure = gates(GRU(3, 4), Sequences(torch.randn(7, 3), [7]), "a GRU")
    assert [axis.get_title() for axis in figure.axes[:3]] == ["reset gate", "update gate", "hidden state"]
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    low, high = figure.axes[2].images[0].get_clim()
    assert low == -high == -np.abs(shown(figure.axes[2])).max()


def test_a_notebook_displays_the_figure():
    figure = gates(LSTM(3, 4), Sequences(torch.randn(7, 3), [7]))
    assert figure._repr_png_().startswith(b"\x89PNG")
    formatters = pytest.importorskip("IPython.core.formatters")
    data, _ = formatters.DisplayFormatter().format(figure)
    assert data["image/png"].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("model", "row", "error", "message"),
    [
        (Linear(3, 4), Sequences(torch.zeros(2, 3), [2]), ValueError, "expected a recurrent cell"),
        (torch.nn.LSTM(3, 4), torch.zeros(2, 3), TypeError, "a trained task or a cell of elman, got LSTM"),
        (Classifier(), "a text", ValueError, "not fitted yet"),
        (LSTM(3, 4), Sequences(torch.zeros(4, 3), [2, 2]), ValueError, "a single row"),
    ],
)
def test_models_without_gates_are_refused(model, row, error, message):
    with pytest.raises(error, match=message):
        gates(model, row)
