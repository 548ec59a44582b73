import numpy as np
import pytest

from elman import Deviations, Differences, Stack
from elman.network import make_layer


@pytest.mark.parametrize("change", [{"shape": [5]}, {"shape": [2, 2]}, {"shape": []}, {"shape": [4, -1, -1]}])
def test_another_shape_raises(change):
    spec = Deviations(4).spec()
    spec["settings"] |= change
    with pytest.raises(ValueError, match=r"deviations: expected (a )?shape"):
        make_layer(spec, {})


def test_layers_whose_shapes_differ_do_not_stack():
    spec = Stack(Deviations((2, 1, 2)), Deviations(4)).spec()
    with pytest.raises(ValueError, match=r"stack: expected steps of shape \[4\] as the input of deviations, got \[2, "):
        make_layer(spec, {})


def test_a_caller_may_reuse_the_array_of_a_step():
    layer, x = Differences(2).network(), np.ones((1, 2), np.float32)
    _, state = layer.step(x, layer.initial_state(1))
    x += 4
    assert layer.step(x, state)[0].tolist() == [[5, 5, 4, 4]]
