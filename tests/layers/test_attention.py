import numpy as np
import pytest
import torch

from elman import state as states
from elman.layers import Attention
from elman.memory import Memory
from elman.sequences import Sequences
from elman.testing import check_cell

SCORES = ("additive", "dot", "general")
SOURCES = Sequences(
    torch.randn(14, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), [3, 0, 5, 2, 4]
)


def start(cell, rows):
    """Return a state whose rows use the sources in rotation."""
    sources = SOURCES.map(lambda values: values.to(cell.combine.weight.dtype))
    return cell.initial_state(rows, Memory(sources, np.arange(rows) % 5))


@pytest.mark.parametrize("score", SCORES)
def test_laws_hold(score):
    torch.manual_seed(1)
    assert "numeric gradients" in check_cell(Attention(6, 6, 4, score), initial_state=start)


@pytest.mark.parametrize("score", SCORES)
def test_equals_its_equations(score):
    torch.manual_seed(2)
    cell = Attention(6, 6, 4, score).double()
    x = Sequences(torch.randn(9, 6, dtype=torch.float64), [2, 1, 3, 0, 3])
    y, _ = cell.scan(x, start(cell, 5))
    weights = cell.attention_weights(x, start(cell, 5))
    for row, (queries, memory) in enumerate(zip(x.to_list(), SOURCES.to_list(), strict=True)):
        if score == "dot":
            scores = queries @ memory.T
        elif score == "general":
            scores = queries @ (memory @ cell.weight_key.T).T
        else:
            sums = (queries @ cell.weight_query.T + cell.bias_query)[:, None] + (memory @ cell.weight_key.T)[None]
            scores = sums.tanh() @ cell.weight_score[0]
        shares = scores.softmax(-1)
        np.testing.assert_allclose(weights[row], shares.detach(), atol=1e-12)
        context = shares @ memory if len(memory) else torch.zeros(len(queries), 6, dtype=torch.float64)
        expected = (torch.cat([queries, context], 1) @ cell.combine.weight.T + cell.combine.bias).tanh()
        torch.testing.assert_close(y.to_list()[row], expected)


def test_dot_equals_torch():
    torch.manual_seed(3)
    cell = Attention(6, 6, 6, "dot").double()
    with torch.no_grad():  # the output is the context alone
        cell.combine.weight.copy_(torch.cat([torch.zeros(6, 6), torch.eye(6)], 1))
    query = torch.randn(1, 6, dtype=torch.float64)
    y, _ = cell.step(query, states.select(start(cell, 5), [2]))
    memory = SOURCES.to_list()[2]
    expected = torch.nn.functional.scaled_dot_product_attention(query[None], memory[None], memory[None], scale=1.0)
    torch.testing.assert_close(y, expected[0].tanh())


def test_a_beam_shares_its_memory():
    cell = Attention(6, 6, 4)
    state = start(cell, 2)
    assert states.select(state, [0, 0, 0, 1]).sequences.values.keys is state.sequences.values.keys


def test_without_a_memory_the_context_is_zero():
    cell = Attention(6, 3, 4)
    y, state = cell.step(torch.ones(2, 6), cell.initial_state(2))
    assert y.shape == (2, 4)
    assert state.sizes.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Attention(6, 6, 4, "adition"),
            r"attention: expected one of additive, dot, general, got 'adition'; did",
        ),
        (
            lambda: Attention(6, 5, 4, "dot"),
            r"attention: dot needs as many features in the memory as in x, got 5 and 6",
        ),
        (lambda: Attention(6, 5, 4).initial_state(3, Memory(SOURCES)), r"expected a memory for 3 rows, got one for 5"),
        (
            lambda: Attention(6, 5, 4).initial_state(5, Memory(SOURCES)),
            r"Attention: expected memory of shape \[M, D=5\]",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
