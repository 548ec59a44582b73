import numpy as np
import pytest
import torch

from elman import LSTM
from elman import state as states
from elman.data.units import shifted
from elman.layers import Bidirectional, Embedding, Stack
from elman.sequences import Sequences
from elman.tasks.encoder_decoder import EncoderDecoder, TeacherForcing
from elman.tasks.writer import DecoderSettings

SOURCES = Sequences(torch.tensor([3, 1, 4, 1, 5, 9, 2]), [3, 4])
UNITS = Sequences(np.array([2, 7, 1, 8]), [1, 3])


def make(**settings):
    torch.manual_seed(0)
    encoder = Stack(Embedding(10, 6), Bidirectional(LSTM(6, 5), LSTM(6, 5)))
    small = {"hidden_size": 8, "embedding_size": 6, "dropout": 0, "embedding_dropout": 0, "output_dropout": 0}
    return EncoderDecoder(encoder, DecoderSettings(**small | settings).decoder(9, 10, 20))


def by_stepping(net, units):
    """Compute the log-probability of each row, unit by unit."""
    state = net.begin(SOURCES)
    sums = []
    for row, ids in enumerate(units.to_list()):
        one, total, unit = states.select(state, [row]), 0.0, 0
        for target in [*ids.tolist(), 0]:
            logits, one = net.step(np.array([unit]), one)
            total += float(logits[0].log_softmax(-1)[target])
            unit = target
        sums.append(total)
    return sums


def log_probs(net, state, units):
    """Return the log-probability of each row, its end included."""
    inputs, targets = shifted(units)
    return np.bincount(inputs.rows, net.log_probs(state, inputs, targets), len(inputs))


def test_inputs_and_targets_of_a_decoder():
    inputs, targets = shifted(Sequences(np.array([2, 7, 1]), [1, 0, 2]))
    assert inputs.lengths.tolist() == [2, 1, 3]
    assert inputs.values.tolist() == [0, 2, 0, 0, 7, 1]
    assert targets.tolist() == [2, 0, 0, 7, 1, 0]


@pytest.mark.parametrize("attention", ["additive", "dot", "general", "none"])
@pytest.mark.parametrize("feeds", [False, True])
def test_teacher_forcing_equals_stepping(attention, feeds):
    size = {"hidden_size": 10} if attention == "dot" else {}
    net = make(attention=attention, input_feeding=feeds, **size).eval()
    expected = by_stepping(net, UNITS)
    np.testing.assert_allclose(log_probs(net, net.begin(SOURCES), UNITS), expected, atol=1e-4)
    loss, _ = net.loss(net.begin(SOURCES), UNITS)
    assert float(loss.detach()) == pytest.approx(-sum(expected) / 6, abs=1e-4)


def test_rows_that_share_a_source():
    net = make().eval()
    rows = np.array([1, 0, 1])
    shared, own = net.begin(SOURCES, rows), states.select(net.begin(SOURCES), rows)
    units = Sequences(np.array([2, 7, 1, 8, 2]), [1, 3, 1])
    np.testing.assert_allclose(log_probs(net, shared, units), log_probs(net, own, units), atol=1e-6)


def test_without_attention_the_decoder_reads_the_final_state_only():
    net = make(attention="none").eval()
    state = net.begin(SOURCES)
    assert not [leaf for leaf in states.leaves(state) if leaf.ndim == 2 and len(leaf) == SOURCES.num_steps]
    other = net.begin(Sequences(torch.tensor([8, 8, 8, 1, 5, 9, 2]), [3, 4]))
    before, after = log_probs(net, state, UNITS), log_probs(net, other, UNITS)
    assert before[0] != after[0]
    assert before[1] == pytest.approx(after[1])


def test_scheduled_sampling_reads_predicted_units():
    net = make().eval()
    inputs, _ = shifted(Sequences(np.full(400, 8), [200, 200]))
    torch.manual_seed(0)
    mixed = net._mixed(inputs, net.begin(SOURCES), 0.25)
    changed = mixed.values != inputs.values
    assert 0.15 < changed.mean() < 0.35
    assert not changed[inputs.times == 0].any()
    predicted = []
    state = net.begin(SOURCES)
    for unit in inputs.values[:50]:
        logits, state = net.step(np.full(2, unit), state)
        predicted.append(int(logits[0].argmax()))
    places = np.flatnonzero(changed[:50])
    assert mixed.values[places].tolist() == [predicted[place - 1] for place in places]


def test_every_parameter_has_a_gradient():
    net = make()
    loss, _ = net.loss(net.begin(SOURCES), UNITS, TeacherForcing(smoothing=0.1, own=0.5))
    loss.backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in net.parameters())
