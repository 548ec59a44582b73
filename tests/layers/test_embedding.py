import pytest
import torch

from elman.layers import Embedding
from elman.sequences import Sequences

LAYER = Embedding(5, 3)


def test_equals_torch():
    theirs = torch.nn.Embedding(5, 3)
    ids = torch.tensor([0, 4, 4, 1])
    with torch.no_grad():
        theirs.weight.copy_(LAYER.weight)
    y = LAYER.scan(Sequences(ids, [1, 3]))[0].values
    assert torch.equal(y, theirs(ids))
    weight = torch.randn(4, 3)
    ours, other = (torch.autograd.grad((out * weight).sum(), table)[0]
                   for out, table in ((y, LAYER.weight), (theirs(ids), theirs.weight)))  # fmt: skip
    assert torch.equal(ours, other)


def test_a_lazy_embedding_differs_in_its_sparse_gradient_only():
    lazy = Embedding(5, 3, lazy=True)
    lazy.load_state_dict(LAYER.state_dict())
    ids, weight = torch.tensor([2, 4, 4, 1]), torch.randn(4, 3)
    y, lazy_y = (layer.scan(Sequences(ids, [1, 3]))[0].values for layer in (LAYER, lazy))
    assert torch.equal(y, lazy_y)
    (gradient,) = torch.autograd.grad((y * weight).sum(), LAYER.weight)
    (sparse,) = torch.autograd.grad((lazy_y * weight).sum(), lazy.weight)
    assert sparse.coalesce().indices().tolist() == [[1, 2, 4]]
    assert torch.equal(sparse.to_dense(), gradient)


@pytest.mark.parametrize("ids", [torch.tensor([3, 5]), torch.tensor([3, -1])])
def test_ids_outside_the_vocabulary_raise(ids):
    message = rf"expected ids from 0 to 4, got {int(ids.min())} to {int(ids.max())}\.$"
    with pytest.raises(ValueError, match=r"^Embedding\.scan: " + message):
        LAYER.scan(Sequences(ids, [2]))
    with pytest.raises(ValueError, match=r"^Embedding\.step: " + message):
        LAYER.step(ids, ())


def test_other_inputs_raise():
    with pytest.raises(TypeError, match=r"^Embedding\.scan: expected integer ids, got torch\.float32\.$"):
        LAYER.scan(Sequences(torch.zeros(2), [2]))
    with pytest.raises(ValueError, match=r"^Embedding\.scan: expected ids of shape \[N\], got \[2, 5\]\.$"):
        LAYER.scan(Sequences(torch.zeros(2, 5, dtype=torch.int64), [2]))


def test_a_batch_without_ids():
    assert LAYER.scan(Sequences(torch.zeros(0, dtype=torch.int64), [0]))[0].values.shape == (0, 3)
