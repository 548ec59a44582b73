import numpy as np
import pytest
import torch

from elman import Classifier, LanguageModel, Tagger, Translator
from elman.data.examples import Encoded

SMALL = {"hidden_size": 8, "epochs": 1}


def language_model():
    text = "abcabcabcabc" * 20
    return LanguageModel(**SMALL, steps=10, streams=4, ngram_order=0, validation=0).fit(text), ("abcabc" * 40,)


def classifier():
    X, y = ["abab", "aba", "cdc", "cdcd"] * 8, ["ab", "ab", "cd", "cd"] * 8
    return Classifier(**SMALL, units="characters", validation=0).fit(X, y), (X, y)


def tagger():
    X, y = [["a", "b", "c"]] * 20, [["X", "Y", "Z"]] * 20
    return Tagger(**SMALL).fit(X, y), (X, y)


def translator():
    X = ["abc", "bcd", "cde"] * 9
    return Translator(**SMALL, encoder_size=8, embedding_size=8, units="characters").fit(X, X), (X, X)


@pytest.mark.parametrize("made", [language_model, classifier, tagger, translator])
def test_the_probe_loss_falls_along_its_gradient(made):
    task, data = made()
    probe = task.probe_loss(*data)
    loss = probe.loss()
    assert loss.requires_grad
    assert loss.dim() == 0
    assert probe.loss() == loss
    for weight, gradient in zip(
        task.net_.parameters(), torch.autograd.grad(loss, [*task.net_.parameters()], allow_unused=True), strict=True
    ):
        with torch.no_grad():
            weight -= 0.01 * (0 if gradient is None else gradient.to_dense())
    assert probe.loss() < loss


def test_the_steps_of_the_first_row_have_their_text():
    assert classifier()[0].probe_loss(["abab", "cd"], ["ab", "cd"]).texts == {"": ["a", "b", "a", "b"]}
    assert tagger()[0].probe_loss([["a", "c"]], [["X", "Z"]]).texts == {"body": ["a", "c"]}
    assert language_model()[0].probe_loss("abc").texts == {"": ["", "a", "b", "c"]}


def test_the_probe_has_at_least_one_row():
    def rows(lengths):
        found = Encoded(np.arange(len(lengths)), None, np.array(lengths, np.int64))
        return found.first(10).inputs.tolist()

    assert rows([5, 5, 5]) == [0, 1]
    assert rows([50, 5]) == [0]
    assert rows([]) == []
