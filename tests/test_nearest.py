"""Errors about unknown arguments of `fit`."""

import inspect

import pytest

import elman
from elman.classical.hmm import Gaussian, HMMTagger

MODELS = {
    "Classifier": elman.Classifier(),
    "LanguageModel": elman.LanguageModel(),
    "HMM": elman.HMM(2, Gaussian()),
    "HMMTagger": HMMTagger(),
    "LDS": elman.LDS([[1.0]], [[1.0]]),
    "CRF": elman.CRF(2),
    "DelayTaps": elman.DelayTaps(1),
    "BagOfWords": elman.BagOfWords(3),
    "NGram": elman.NGram(3, 2),
}


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_argument_of_fit_is_named_with_those_that_exist(name):
    fit = MODELS[name].fit
    last = list(inspect.signature(fit).parameters)[-1]
    with pytest.raises(TypeError, match=rf"^{name}\.fit: progress: unknown argument; expected (\w+, )*{last}\.$"):
        fit([], progress=True)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("Classifier", {"verbos": True}, "Classifier.fit: verbos: unknown argument; did you mean verbose?"),
        ("Classifier", {"Validation_data": []}, "Validation_data: unknown argument; did you mean validation_data?"),
        ("Classifier", {"epochs": 3}, "epochs: is a setting; set it in the constructor: Classifier(epochs=...)."),
        ("LanguageModel", {"hidden_size": 3}, "hidden_size: is a setting; set it in the constructor: LanguageModel(hi"),
        ("HMM", {"restarts": 3}, "HMM.fit: restarts: is a setting; set it in the constructor: HMM(restarts=...)."),
        ("LDS", {"iterations": 3}, "LDS.fit: iterations: unknown argument; did you mean max_iterations?"),
    ],
)
def test_similar_arguments_and_settings_are_suggested(name, arguments, message):
    with pytest.raises(TypeError) as caught:
        MODELS[name].fit([], **arguments)
    assert message in str(caught.value)


def test_the_signature_of_fit_is_unchanged():
    assert list(inspect.signature(elman.Classifier.fit).parameters)[:3] == ["self", "X", "y"]
    assert elman.Classifier.fit.__doc__.startswith("Train on rows")
