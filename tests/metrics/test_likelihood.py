import math

import pytest

from elman.metrics import Likelihood


def test_measures_of_a_uniform_model():
    text = Likelihood(nats=40 * math.log(8), units=40, characters=120)
    assert text.perplexity == pytest.approx(8)
    assert text.nats_per_unit == pytest.approx(math.log(8))
    assert text.bits_per_character == pytest.approx(1)
    assert text.nats_per_character == pytest.approx(math.log(2))


def test_a_perplexity_that_overflows_is_infinite():
    assert Likelihood(nats=1e6, units=1, characters=1).perplexity == math.inf
