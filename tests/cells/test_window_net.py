import pytest
import torch

import elman
from elman import CellSettings, LanguageModel, Linear, Stack, WindowNet
from elman.kernels import native
from elman.sequences import Sequences


def test_it_is_a_feed_forward_net_over_the_last_inputs():
    torch.manual_seed(0)
    cell = WindowNet(3, 4, window=3).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    y, state = cell.scan(Sequences(x, [5]))
    seen = torch.cat([torch.zeros(2, 3, dtype=torch.float64), x])
    expected = torch.stack([(cell.weight @ seen[t : t + 3].ravel() + cell.bias).tanh() for t in range(5)])
    torch.testing.assert_close(y.values, expected)
    assert torch.equal(state, x[None, -2:])


def test_equals_a_convolution():
    torch.manual_seed(0)
    cell = WindowNet(3, 4, window=6, activation="relu")
    x = torch.randn(50, 3)
    kernel = cell.weight.reshape(4, 6, 3).transpose(1, 2)
    padded = torch.nn.functional.pad(x.T[None], (5, 0))
    expected = torch.nn.functional.conv1d(padded, kernel, cell.bias).relu()[0].T
    torch.testing.assert_close(cell.scan(Sequences(x, [50]))[0].values, expected, rtol=0, atol=1e-5)


@pytest.mark.needs_native
def test_a_scan_equals_its_steps_bitwise():
    torch.manual_seed(0)
    cell = WindowNet(3, 5, window=4)
    x, lengths = torch.randn(40, 3), [13, 0, 27]
    y, final = cell.scan(Sequences(x, lengths))
    for row, (steps, got) in enumerate(zip(x.split(lengths), y.to_list(), strict=True)):
        state = cell.initial_state(1)
        for t in range(len(steps)):
            out, state = cell.step(steps[t : t + 1], state)
            assert torch.equal(out[0], got[t])
        assert torch.equal(state[0], final[row])


def test_inputs_before_the_window_have_no_effect():
    cell = WindowNet(2, 3, window=4)
    x = torch.randn(9, 2, requires_grad=True)
    y, _ = cell.scan(Sequences(x, [9]))
    reached = torch.autograd.grad(y.values[8].sum(), x)[0].abs().sum(1) > 0
    assert reached.tolist() == [False] * 5 + [True] * 4


def test_parameters():
    shapes = {name: list(weight.shape) for name, weight in WindowNet(3, 5, window=7).named_parameters()}
    assert shapes == {"weight": [5, 21], "bias": [5]}
    assert WindowNet(3, 5).initial_state(2).shape == (2, 7, 3)
    assert WindowNet(3, 5, window=1).initial_state(2).shape == (2, 0, 3)


def test_settings_out_of_range_raise():
    with pytest.raises(ValueError, match=r"^WindowNet: expected a window of at least 1, got 0\.$"):
        WindowNet(3, 4, window=0)
    with pytest.raises(ValueError, match=r"^WindowNet: expected activation to be one of tanh, .*, got 'tanhh'\.$"):
        WindowNet(3, 4, activation="tanhh")


def test_describe_reports_native_kernels():
    text = elman.describe(Stack(WindowNet(3, 4), Linear(4, 2)))
    runner = f"native ({native.module.isa})" if native.available() else "reference: "
    assert runner in text.splitlines()[2]


def test_learns_the_input_of_two_steps_before():
    torch.manual_seed(0)
    net = Stack(WindowNet(4, 24, window=3), Linear(24, 4))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        rows = [torch.randint(4, (length,)) for length in torch.randint(3, 13, (32,)).tolist()]
        delayed = torch.cat([torch.cat([torch.zeros(2, dtype=torch.int64), row[:-2]]) for row in rows])
        x = Sequences.from_list([torch.nn.functional.one_hot(row, 4).float() for row in rows])
        loss = torch.nn.functional.cross_entropy(net(x)[0].values, delayed)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.2
    assert losses[-1] < 0.4


def test_a_language_model_of_windows(tmp_path):
    text = "the cat sat on the mat. " * 30
    settings = {"cell": CellSettings("window_net", window=4), "hidden_size": 24, "num_layers": 2, "dropout": 0.0}
    model = LanguageModel(**settings, epochs=8, steps=20, streams=4, validation=0, ngram_order=0, learning_rate=1e-2)
    model.fit(text, run=tmp_path / "run")
    assert model.evaluate(text).nats_per_character < 0.8
    loaded = elman.load(tmp_path / "run")
    assert "".join(loaded.generate("the c", length=20)) == "".join(model.generate("the c", length=20))
    with pytest.raises(ValueError, match=r"^cell.window: cell=lstm has no such option \(available for window_net\)"):
        LanguageModel(cell=CellSettings("lstm", window=4), ngram_order=0, validation=0).fit(text)
    with pytest.raises(ValueError, match=r"^cell.init: cell=window_net has no such option \(available for rnn"):
        LanguageModel(cell=CellSettings("window_net", init="pytorch"), ngram_order=0, validation=0).fit(text)
