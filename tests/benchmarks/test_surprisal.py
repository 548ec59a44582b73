import pytest
from bench_surprisal import UNITS, untrained


@pytest.mark.parametrize("units", UNITS)
def test_the_timed_models_have_a_network_and_an_ngram(units):
    texts = ["a cat sat on a mat"] * 30
    model = untrained(units, texts)
    assert {"surprisal", "ngram_surprisal"} <= model.surprisal(texts[:2]).columns.keys()
