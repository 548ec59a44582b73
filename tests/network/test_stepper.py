"""A stepper equals a scan, to the bit where both are native; its errors; its state as a value and as bytes."""

import copy
import gc
import json
import os
import re
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch

import elman
from elman import (
    GRU,
    LSTM,
    RNN,
    Dropout,
    Embedding,
    LastPooling,
    LayerNorm,
    Linear,
    MaxPooling,
    MinGRU,
    OutputFeedback,
    Residual,
    Stack,
    WindowNet,
    network,
)
from elman import state as states
from elman.cells import CellModule
from elman.files import write_tensors
from elman.kernels import native
from elman.layers import Bidirectional, VariationalDropout
from elman.network import NoSpec, Stepper, make_layer
from elman.sequences import Sequences

pytestmark = pytest.mark.needs_native

IDS = 11
NATIVE = {  # values of H: models that equal their scan bitwise
    **{f"rnn {name}": lambda h, name=name: RNN(7, h, name) for name in ("tanh", "sigmoid", "relu", "identity")},
    "lstm": lambda h: LSTM(7, h),
    "lstm without forget": lambda h: LSTM(7, h, forget_gate=False),
    "gru after": lambda h: GRU(7, h),
    "gru before": lambda h: GRU(7, h, reset="before"),
    "linear": lambda h: Linear(7, h),
    "deep": lambda h: Stack(LSTM(7, h), Dropout(h, 0.2), Residual(GRU(h, h)), RNN(h, 3), Linear(3, h)),
    "language model": lambda h: Stack(Embedding(IDS, 7), LSTM(7, h), VariationalDropout(h, 0.2), Linear(h, IDS)),
    "feedback": lambda h: Stack(OutputFeedback(Stack(LSTM(9, h), Linear(h, 2))), GRU(2, 3)),
    "nothing": lambda h: Stack(Dropout(h, 0.5)),
}
THROUGH_PYTORCH = {
    "min_gru": lambda h: MinGRU(7, h),
    "layer_norm": lambda h: LayerNorm(h),
    **{
        f"window_net {name}": lambda h, name=name: WindowNet(7, h, 5, name)
        for name in ("tanh", "sigmoid", "relu", "identity")
    },
    "windows of one": lambda h: Stack(WindowNet(7, h, window=1), WindowNet(h, 3, window=2), Linear(3, h)),
    "both": lambda h: Residual(Stack(LayerNorm(h), MinGRU(h, h))),
}


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


def made(recipe, hidden: int) -> CellModule:
    """Return a cell in evaluation mode whose weights and biases are not zero."""
    cell = recipe(hidden)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.add_(torch.randn_like(weight) / 4)
    return cell.eval()


def drawn(cell: CellModule, rows: int, steps: int) -> torch.Tensor:
    """Return inputs [rows, steps, ...]."""
    if cell.spec()["kind"] == "stack" and isinstance(cell.cells[0], Embedding):
        return torch.randint(IDS, (rows, steps))
    return torch.randn(rows, steps, cell.input_size)


def stepped(stepper: Stepper, x: torch.Tensor) -> np.ndarray:
    outputs = []
    for step in x.unbind(1):
        stepper.input[...] = step.numpy()
        assert stepper() is None
        outputs.append(stepper.output.copy())
    return np.stack(outputs, 1)


def compare(cell: CellModule, rows: int, steps: int, equal) -> None:
    x = drawn(cell, rows, steps)
    stepper = cell.stepper(rows)
    with torch.no_grad():
        y, final = cell.scan(Sequences(x.flatten(0, 1), [steps] * rows))
    equal(stepped(stepper, x), y.values.numpy().reshape(rows, steps, -1))
    for own, scanned in zip(states.leaves(stepper.state), states.leaves(final), strict=True):
        equal(own, scanned.numpy())


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("rows", [1, 3, 25, 50])
@pytest.mark.parametrize("hidden", [1, 16, 37])
def test_steps_are_the_same_bits_as_a_scan(name, rows, hidden):
    compare(made(NATIVE[name], hidden), rows, 5, np.testing.assert_array_equal)


@pytest.mark.parametrize("name", THROUGH_PYTORCH)
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("hidden", [1, 16, 37, 512])
def test_steps_are_close_to_a_scan_in_pytorch(name, rows, hidden):
    compare(
        made(THROUGH_PYTORCH[name], hidden),
        rows,
        5,
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    )


INSTRUCTION_SETS = [
    "avx2",
    "baseline",
    *(pytest.param(isa, marks=pytest.mark.slow) for isa in ("avx512bf16", "avx512")),
]


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_every_instruction_set_gives_the_bits_of_its_own_scan(isa):
    if isa == native.module.isa or not native.module.supported(isa):
        pytest.skip("the tests above cover it" if isa == native.module.isa else f"this processor has no {isa}")
    tests = "(same_bits or close) and 37"  # a fraction of the cases above
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", tests]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, env=environment | {"ELMAN_ISA": isa}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_long_row_has_the_bits_of_its_scan():
    compare(made(NATIVE["lstm"], 64), 1, 1000, np.testing.assert_array_equal)


def test_a_stepper_continues_from_any_state():
    cell = made(NATIVE["deep"], 16)
    x = drawn(cell, 3, 6)
    with torch.no_grad():
        _, middle = cell.scan(Sequences(x[:, :3].flatten(0, 1), [3] * 3))
        y, _ = cell.scan(Sequences(x[:, 3:].flatten(0, 1), [3] * 3), middle)
    stepper = cell.stepper(3)
    stepper.state = middle
    np.testing.assert_array_equal(stepped(stepper, x[:, 3:]).reshape(9, -1), y.values.numpy())


def test_a_state_as_bytes_continues_in_another_stepper_and_in_pytorch():
    cell = made(NATIVE["deep"], 16)
    x, stepper = drawn(cell, 2, 4), cell.stepper(2)
    stepped(stepper, x)
    sent = states.to_bytes(stepper.state)
    other = cell.stepper(2)
    other.state = states.from_bytes(sent, other.state)
    trained = states.from_bytes(sent, cell.initial_state(1))
    expected = stepped(stepper, x)
    np.testing.assert_array_equal(stepped(other, x), expected)
    with torch.no_grad():
        y, _ = cell.scan(Sequences(x.flatten(0, 1), [4, 4]), trained)
    np.testing.assert_array_equal(y.values.numpy().reshape(expected.shape), expected)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_not_finite_raises_and_changes_nothing(number):
    for cell in (LSTM(3, 4), GRU(3, 4), Stack(WindowNet(3, 4, 3), LSTM(4, 4, zoneout_c=0.1))):
        stepper = cell.stepper(3)
        before, wrong = states.to_bytes(stepper.state), states.map(np.copy, stepper.state)
        [*(leaf for leaf in states.leaves(wrong) if leaf.dtype == np.float32)][-1][2, -1] = number
        with pytest.raises(
            ValueError, match=rf"^Stepper\.state: expected finite numbers, got {number} at row 2; the state"
        ):
            stepper.state = wrong
        assert states.to_bytes(stepper.state) == before
        stepper.reset()


def test_reset_restores_the_initial_state():
    cell = made(NATIVE["deep"], 5)
    x, stepper = drawn(cell, 2, 4), cell.stepper(2)
    first = stepped(stepper, x)
    assert not np.array_equal(stepped(stepper, x), first)
    stepper.reset()
    np.testing.assert_array_equal(stepped(stepper, x), first)


def test_the_state_has_the_structure_of_the_cells_state():
    state = made(NATIVE["deep"], 5).stepper(2).state
    assert (state[0].h.shape, state[0].c.dtype) == ((2, 5), np.float32)
    assert state[1].row.tolist() == [0, 1]
    assert state[-1] == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda s: s.h, r"expected 2 leaves, got 1; the state is of another model"),
        (lambda s: (s.h, s.c[:1]), r"expected a leaf of shape \[B=2, H=3\], got \[1, 3\]"),
        (lambda s: (s.h + 1, s.c.astype(np.float64)), r"expected a leaf of float32, got float64"),
    ],
)
def test_a_state_of_another_model_raises_and_changes_nothing(wrong, message):
    stepper = LSTM(4, 3).stepper(2)
    with pytest.raises((ValueError, TypeError), match=rf"^Stepper\.state: {message}"):
        stepper.state = wrong(states.map(np.copy, stepper.state))
    assert not np.any(stepper.state.h)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_input_that_is_not_finite_raises_and_changes_nothing(value):
    cell = made(NATIVE["deep"], 8)
    stepper = cell.stepper(3)
    stepped(stepper, drawn(cell, 3, 2))
    output, state = stepper.output.copy(), states.to_bytes(stepper.state)
    stepper.input[1, 4] = value
    message = rf"^Stepper: expected finite input, got {value} at row 1, feature 4; the state is unchanged"
    with pytest.raises(ValueError, match=message):
        stepper()
    assert np.array_equal(stepper.output, output)
    assert states.to_bytes(stepper.state) == state
    stepper.input[1, 4] = 0
    stepper()


@pytest.mark.parametrize("unit", [-1, IDS, 2**62])
def test_an_id_out_of_range_raises_and_changes_nothing(unit):
    stepper = made(NATIVE["language model"], 8).stepper(2)
    stepper.input[...] = 3
    stepper()
    output, state = stepper.output.copy(), states.to_bytes(stepper.state)
    stepper.input[1] = unit
    with pytest.raises(ValueError, match=rf"^Stepper: expected ids from 0 to 10, got {unit} at row 1; the state"):
        stepper()
    assert np.array_equal(stepper.output, output)
    assert states.to_bytes(stepper.state) == state


@pytest.mark.parametrize("call", [lambda s: s(1), lambda s: s(x=1)])
def test_a_call_takes_no_arguments(call):
    with pytest.raises(TypeError, match=r"^Stepper: a call takes no arguments; write them into stepper\.input"):
        call(Linear(2, 2).stepper())


def test_arrays_stay_in_place_and_cannot_be_replaced():
    stepper = made(NATIVE["lstm"], 4).stepper()
    before = [array.ctypes.data for array in (stepper.input, stepper.output, *states.leaves(stepper.state))]
    stepper()
    stepper.reset()
    assert [array.ctypes.data for array in (stepper.input, stepper.output, *states.leaves(stepper.state))] == before
    for name in ("input", "output"):
        with pytest.raises(AttributeError):
            setattr(stepper, name, np.zeros((1, 7), np.float32))
    with pytest.raises(ValueError, match="read-only"):
        stepper.output[...] = 0


def test_the_output_is_not_the_input():
    stepper = made(NATIVE["nothing"], 4).stepper()
    stepper.input[...] = 1
    stepper()
    stepper.input[...] = 2
    assert stepper.output.tolist() == [[1] * 4]


def test_arrays_outlive_the_stepper_and_memory_is_released():
    stepper = made(NATIVE["lstm"], 4).stepper()
    stepper.input[...] = 1
    stepper()
    y, kept = stepper.output, stepper.output.copy()
    del stepper
    gc.collect()
    assert np.array_equal(y, kept)
    cell = LSTM(256, 256)
    for _ in range(10):
        cell.stepper()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):  # of 2 MB each
        cell.stepper()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_weights_are_copied():
    cell = made(NATIVE["language model"], 8)
    stepper, x = cell.stepper(), drawn(cell, 1, 3)
    first = stepped(stepper, x)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.zero_()
    stepper.reset()
    np.testing.assert_array_equal(stepped(stepper, x), first)


@pytest.mark.parametrize(("output", "law"), [("probs", torch.softmax), ("log_probs", torch.log_softmax)])
def test_distributions(output, law):
    cell = made(NATIVE["language model"], 8)
    x = drawn(cell, 3, 4)
    logits, own = stepped(cell.stepper(3), x), stepped(cell.stepper(3, output=output), x)
    assert own.dtype == np.float64
    np.testing.assert_allclose(own, law(torch.from_numpy(logits).double(), -1).numpy(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("rows", [1, 2, 5, 30])
@pytest.mark.parametrize("name", ["lstm", "gru after", "gru before", "rnn tanh", "linear", "deep", "large"])
def test_bfloat16_weights_are_those_that_pytorch_rounds(name, rows):
    torch.manual_seed(0)
    large = Stack(LSTM(7, 300), LSTM(300, 40, projection_size=21), LSTM(21, 20, layer_norm=True), Linear(20, 5))
    cell = large if name == "large" else NATIVE[name](19)
    rounded = copy.deepcopy(cell)
    with torch.no_grad():
        for weight in rounded.parameters():
            if weight.dim() == 2:
                weight.copy_(weight.bfloat16().float())
    halves, exact = cell.stepper(rows, weights="bfloat16"), rounded.stepper(rows)
    generator = np.random.default_rng(0)
    for _ in range(3):
        halves.input[...] = exact.input[...] = generator.standard_normal(exact.input.shape)
        halves()
        exact()
        assert np.array_equal(halves.output, exact.output)
    whole = cell.stepper(rows)
    whole.input[...] = halves.input
    whole()
    assert not np.array_equal(whole.output, halves.output)


def test_settings_out_of_range_raise():
    with pytest.raises(ValueError, match="expected a batch_size of at least 1, got 0"):
        Linear(2, 2).stepper(0)
    with pytest.raises(ValueError, match="expected output to be one of logits, probs, log_probs, got 'prob'"):
        Linear(2, 2).stepper(output="prob")
    with pytest.raises(ValueError, match="expected weights to be one of float32, bfloat16, got 'float16'"):
        Linear(2, 2).stepper(weights="float16")


def saved(cell: CellModule, path, **more) -> network.ModelFile:
    tensors = {name: weight.detach().numpy() for name, weight in cell.named_parameters()}
    write_tensors(path / network.MODEL, tensors, {"schema": 1, "spec": cell.spec(), **more})
    return network.read_model(path)


def test_a_file_steps(tmp_path):
    cell = made(NATIVE["language model"], 8)
    cell.cells[3].weight = torch.nn.Parameter(torch.randn(IDS, 8))
    file, x = saved(cell, tmp_path), drawn(cell, 2, 4)
    assert file.runs
    np.testing.assert_array_equal(stepped(file.network().stepper(2), x), stepped(cell.stepper(2), x))


def test_tied_weights_have_one_name(tmp_path):
    cell = Stack(Embedding(IDS, 7), GRU(7, 7), Linear(7, IDS))
    cell.cells[2].weight = cell.cells[0].weight
    assert cell.spec()["cells"][2]["tensors"] == {"weight": "cells.0.weight", "bias": "cells.2.bias"}
    x = drawn(cell, 1, 4)
    with torch.no_grad():
        y, _ = cell.scan(Sequences(x[0], [4]))
    np.testing.assert_array_equal(stepped(saved(cell, tmp_path).stepper(), x)[0], y.values.numpy())


def test_a_spec_is_plain_data_without_code():
    spec = made(NATIVE["deep"], 5).spec()
    assert json.loads(json.dumps(spec)) == spec
    assert spec["cells"][2] == {
        "kind": "residual",
        "settings": {"input_size": 5, "output_size": 5},
        "tensors": {},
        "cells": [
            {
                "kind": "gru",
                "settings": {"input_size": 5, "output_size": 5, "reset": "after"},
                "tensors": {name: f"cells.2.cell.{name}" for name in ("weight_ih", "weight_hh", "bias", "bias_hn")},
                "cells": [],
            }
        ],
    }


class Own(CellModule):
    """Cell of a user."""

    input_size, output_size = 4, 4

    def initial_state(self, batch_size):
        return ()

    def advance(self, x, state):
        return x, state


NO_STEPPER = {
    "both ways": (
        lambda: Bidirectional(GRU(3, 2), GRU(3, 2)), "Bidirectional reads whole sequences, so it cannot stream"
    ),
    "own cell": (Own, "Own has no layer type in elman.runtime"),
    "own cell in a stack": (
        lambda: Stack(Linear(3, 4), Residual(Stack(GRU(4, 4), Own()))),
        "cells.1.cell.cells.1 (Own) has no layer type in elman.runtime",
    ),
    "pooling": (
        lambda: Stack(Stack(GRU(3, 4)), MaxPooling(4)), "cells.1 (MaxPooling) has no layer type in elman.runtime"
    ),
    "pooling both ways": (
        lambda: Stack(LastPooling(4, 2), Linear(4, 2)),
        "cells.0 (LastPooling) reads whole sequences, so it cannot stream",
    ),
    "first of several": (
        lambda: Stack(Bidirectional(GRU(3, 2), GRU(3, 2)), MaxPooling(4)),
        "cells.0 (Bidirectional) reads whole sequences, so it cannot stream",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "reason"), list(NO_STEPPER.values()), ids=list(NO_STEPPER))
def test_the_part_without_a_spec_is_named_everywhere(make, reason, tmp_path):
    cell = make()
    with pytest.raises(NoSpec, match=f"^{re.escape(reason)}$"):
        cell.spec()
    assert not cell.streams_natively()
    way_out = "use step" if cell.streams else "use scan, or layers that read forward only"
    with pytest.raises(ValueError, match=rf"^{type(cell).__name__}\.stepper: {re.escape(reason)}; {way_out}\.$"):
        cell.stepper()
    if native.available():
        assert elman.describe(cell).endswith(f"(elman.runtime): no, {reason}.")
    cell.save(tmp_path / network.MODEL)
    file = network.read_model(tmp_path)
    assert not file.runs
    with pytest.raises(ValueError, match=rf"model\.safetensors: {re.escape(reason)}; run the model in PyTorch: "):
        file.network().stepper()


SAVED = {
    "lstm": lambda: LSTM(3, 4),
    "stack": lambda: Stack(LSTM(3, 4, zoneout_c=0.1), Linear(4, 2)),
    "tied": lambda: _tied(),
    "double": lambda: Stack(GRU(3, 4), LayerNorm(4)).double(),
    "own": Own,
}


def _tied():
    net = Stack(Embedding(7, 3), Linear(3, 7))
    net.cells[1].weight = net.cells[0].weight
    return net


@pytest.mark.parametrize("make", SAVED.values(), ids=list(SAVED))
def test_a_saved_model_is_loaded_by_the_same_layers_and_by_the_runtime(make, tmp_path):
    torch.manual_seed(0)
    cell, other, path = make().eval(), make().eval(), tmp_path / "cell.safetensors"
    cell.save(path)
    assert other.load(str(path)) is other
    assert all(map(torch.equal, cell.state_dict().values(), other.state_dict().values()))
    file = network.read_model(path)
    assert file.metadata["version"] == elman.__version__
    if cell.streams_natively():
        pair = file.network().stepper(2), cell.stepper(2)
        for stepper in pair:
            stepper.input[...] = 1
            stepper()
        assert np.array_equal(pair[0].output, pair[1].output)
    with pytest.raises(ValueError, match=r"expected the model of a task, .* elman\.runtime\.load\(path\)\.stepper\(\)"):
        elman.load(path)


def test_a_file_of_float64_does_not_step(tmp_path):
    for path, cell, steps in (("a", LSTM(3, 4), True), ("b", LSTM(3, 4).double(), False)):
        cell.save(tmp_path / path)
        file = network.read_model(tmp_path / path)
        assert file.runs == steps
        assert f"streams {'yes' if steps else 'no'}" in repr(file)
    with pytest.raises(ValueError, match=r"b: Stepper: lstm: .* got float64 .*; .* model\.float\(\)"):
        file.network().stepper()


def test_a_folder_is_not_loaded(tmp_path):
    with pytest.raises(IsADirectoryError, match="expected a model file, got a folder; give the path of the file"):
        LSTM(3, 4).load(tmp_path)


def test_weights_of_other_layers_are_not_loaded(tmp_path):
    path = tmp_path / "cell.safetensors"
    Stack(LSTM(3, 4), Linear(4, 2)).save(path)
    for other, message in (
        (Stack(LSTM(3, 5), Linear(5, 2)), r"cells\.0\.bias \(20,\), got \(16,\)"),
        (Stack(LSTM(3, 4)), r"cells\.1\.bias nothing, got \(2,\)"),
        (LSTM(3, 4), r"bias \(16,\), got nothing"),
    ):
        before = [weight.clone() for weight in other.parameters()]
        with pytest.raises(ValueError, match=rf"cell\.safetensors: expected {message}; construct the layers"):
            other.load(path)
        assert all(map(torch.equal, before, other.parameters()))
    damaged = Linear(2, 2)
    damaged.bias.data.fill_(float("nan"))
    damaged.save(path)
    with pytest.raises(ValueError, match="bias: expected finite numbers, got 2"):
        network.read_model(path)


def wrong_specs():
    spec = Stack(Linear(3, 4), LSTM(4, 5)).spec()
    unknown = json.loads(json.dumps(spec).replace("lstm", "lsmt"))
    yield unknown, r"expected a layer type of this version \(rnn, lstm, .*\), got 'lsmt'; did you mean lstm\?"
    missing = json.loads(json.dumps(spec).replace("cells.1.bias", "cells.7.bias"))
    yield missing, r"lstm: expected cells\.7\.bias float32 \[20\], got nothing"
    other = json.loads(json.dumps(spec).replace('"output_size": 5', '"output_size": 6'))
    yield other, r"lstm: expected cells\.1\.weight_ih float32 \[24, 4\], got float32 \[20, 4\]"
    late = {**spec, "cells": [spec["cells"][1], Embedding(4, 3).spec()]}
    yield late, "lstm: expected an input of 4 features, got 3 features"
    late = {**spec, "cells": [spec["cells"][0], {**Embedding(4, 5).spec(), "kind": "embedding"}]}
    yield late, "embedding: expected an input of ids, got 4 features"
    wide = {**spec, "cells": [{**spec["cells"][0], "settings": {"input_size": 3, "output_size": 8}}]}
    yield wide, r"linear: expected cells\.0\.weight float32 \[8, 3\], got float32 \[4, 3\]"
    for kind in ("stack", "residual", "output_feedback"):
        yield {**spec, "kind": kind, "cells": []}, f"{kind}: expected 1 cells, got 0"
    yield {**spec, "settings": {"input_size": 3, "output_size": 7}}, "stack: expected an output of 7 features, got 5"
    around = {**spec, "kind": "residual", "settings": {"input_size": 3, "output_size": 3}, "cells": [spec["cells"][0]]}
    yield around, "residual: expected a cell with an output of 3 features, got 4"
    huge = {"kind": "dropout", "settings": {"input_size": 2**40, "output_size": 2**40}}
    yield huge, r"dropout: expected sizes from 1 to 16777215, got 1099511627776"
    deep = spec
    for _ in range(60):
        deep = {**spec, "cells": [deep]}
    yield deep, "stack: expected at most 50 layers inside one another, got more"


@pytest.mark.parametrize(("spec", "message"), list(wrong_specs()))
def test_a_spec_that_does_not_fit_raises(spec, message):
    cell = Stack(Linear(3, 4), LSTM(4, 5))
    tensors = {name: weight.detach().numpy() for name, weight in cell.named_parameters()}
    with pytest.raises(ValueError, match=f"{message}"):
        make_layer(spec, tensors)


def test_the_dtype_is_that_of_the_weights():
    cell = Linear(3, 4).double()
    assert not cell.streams_natively()
    with pytest.raises(
        ValueError,
        match=r"^linear: expected weight float32 \[4, 3\], got float64 \[4, 3\]; .*model\.float\(\)",
    ):
        cell.stepper()


def test_a_file_without_a_spec_has_no_stepper(tmp_path):
    write_tensors(tmp_path / network.MODEL, {"weight": np.zeros(3, np.float32)}, {"schema": 1})
    file = network.read_model(tmp_path)
    assert not file.runs
    with pytest.raises(ValueError, match=r"model\.safetensors: the file describes no step; run the model in PyTorch"):
        file.network().stepper()


def test_without_native_kernels_a_stepper_raises(tmp_path):
    saved(Linear(2, 3), tmp_path)
    code = "import sys\nfrom elman import network\nfile = network.read_model(sys.argv[1]); print(file.runs)\nfile.network().stepper()"
    environment = {**os.environ, "ELMAN_NATIVE": "0"}
    done = subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, capture_output=True, text=True)
    assert done.stdout == "False\n"
    assert done.stderr.splitlines()[-1].startswith("RuntimeError: Stepper: native kernels are not available (")
