import pytest

from elman import Deviations, Stack
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
