import numpy as np
import pytest
import torch

from elman import Classifier, LanguageModel, Tagger, Translator
from elman.tasks.probe_loss import few

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
def test_a_lesson_is_what_training_learns_from(made):
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


def test_the_steps_of_the_first_row_are_told():
    assert classifier()[0].probe_loss(["abab", "cd"], ["ab", "cd"]).steps == ["a", "b", "a", "b"]
    assert tagger()[0].probe_loss([["a", "c"]], [["X", "Z"]]).steps == ["a", "c"]
    assert language_model()[0].probe_loss("abc").steps == ["", "a", "b"]


def test_few_rows_are_one_at_least():
    assert few(np.array([5, 5, 5]), 10).tolist() == [0, 1]
    assert few(np.array([50, 5]), 10).tolist() == [0]
    assert few(np.array([], np.int64), 10).tolist() == []
