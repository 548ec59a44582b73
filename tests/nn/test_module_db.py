"""Entries of PyTorch's `module_db` for recurrent modules: inputs, references and errors, with elman's modules."""

import pickle
import warnings
from copy import deepcopy

import pytest
import torch
from torch import nn

import elman.nn

pytest.importorskip("expecttest")
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")

NAMES = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]


@pytest.fixture(scope="module")
def entries():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_modules import module_db
    return {entry.name.removeprefix("nn."): entry for entry in module_db}


def made(entry, name, dtype, training):
    """Yield (input, module of PyTorch, module of elman with the same weights) for every input of the entry."""
    for sample in entry.module_inputs_func(entry, device="cpu", dtype=dtype, requires_grad=True, training=training):
        args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
        theirs = getattr(nn, name)(*args, **kwargs, dtype=dtype).train(training)
        ours = getattr(elman.nn, name)(*args, **kwargs, dtype=dtype).train(training)
        ours.load_state_dict(theirs.state_dict())
        yield sample, theirs, ours


def leaves(thing):
    """Return the tensors in an input or an output, including a PackedSequence's data."""
    if isinstance(thing, torch.Tensor):
        return [thing] if thing.is_floating_point() else []
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    return [leaf for part in parts for leaf in leaves(part)]


def close(got, expected, tolerance=1e-5):
    for a, b in zip(leaves(got), leaves(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


CASES = [(name, True) for name in NAMES] + [(name, False) for name in ("RNN", "LSTM", "GRU")]


@pytest.mark.parametrize(("name", "training"), CASES)
def test_values_gradients_references_copies(name, training, entries):
    count = 0
    for sample, theirs, ours in made(entries[name], name, torch.float32, training):
        args, kwargs = sample.forward_input.args, sample.forward_input.kwargs
        torch.manual_seed(0)
        expected = theirs(*args, **kwargs)
        torch.manual_seed(0)
        got = ours(*args, **kwargs)
        close(got, expected)
        read = [leaf for leaf in leaves((args, kwargs)) if leaf.requires_grad]
        sent = [torch.randn_like(leaf) for leaf in leaves(got)]
        first, second = (
            torch.autograd.grad(leaves(out), [*read, *module.parameters()], sent, allow_unused=True)
            for module, out in ((ours, got), (theirs, expected))
        )
        assert [a is None for a in first] == [b is None for b in second]
        close([a for a in first if a is not None], [b for b in second if b is not None])
        if sample.reference_fn is not None:
            close(got, sample.reference_fn(deepcopy(ours), *args, **kwargs))
        for copy in (deepcopy(ours), pickle.loads(pickle.dumps(ours))) if training else ():
            torch.manual_seed(0)
            close(copy(*args, **kwargs), got, 0)
        count += 1
    assert count > 1


@pytest.mark.parametrize("name", NAMES)
def test_errors(name, entries):
    entry = entries[name]
    if entry.module_error_inputs_func is None:
        pytest.skip("it has none")
    from torch.testing._internal.common_modules import ModuleErrorEnum

    samples = entry.module_error_inputs_func(
        entry, device="cpu", dtype=torch.float32, requires_grad=False, training=True
    )
    assert samples
    for error in samples:
        built, kind = error.module_error_input.constructor_input, getattr(elman.nn, name)
        if error.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(error.error_type, match=error.error_regex):
                kind(*built.args, **built.kwargs)
        else:
            given = error.module_error_input.forward_input
            with pytest.raises(error.error_type, match=error.error_regex):
                kind(*built.args, **built.kwargs)(*given.args, **given.kwargs)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_gradcheck_and_gradgradcheck(name, entries):
    for number, (sample, _, ours) in enumerate(made(entries[name], name, torch.float64, False)):
        if number % 9:  # a selection, because each takes many passes
            continue
        given, kwargs = sample.forward_input.args, sample.forward_input.kwargs
        if not all(isinstance(part, torch.Tensor) for part in given):
            continue
        arguments, count = [*given, *ours.parameters()], len(given)

        def function(*tensors, ours=ours, kwargs=kwargs, many=count):
            weights = dict(zip((key for key, _ in ours.named_parameters()), tensors[many:], strict=True))
            return tuple(leaves(torch.func.functional_call(ours, weights, tensors[:many], kwargs)))

        assert torch.autograd.gradcheck(function, arguments, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, arguments, fast_mode=True)
