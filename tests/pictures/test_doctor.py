"""The picture of an examination."""

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from elman.doctor import Facts, examine
from elman.doctor.facts import History
from elman.pictures import doctor


@pytest.fixture(scope="module")
def found():
    torch.manual_seed(0)
    net, x = torch.nn.LSTM(3, 5), torch.randn(30, 4, 3)
    return examine(net, lambda: net(x)[0][-1].square().mean())


def axes(figure):
    FigureCanvasAgg(figure).draw()
    return {axis.get_title(): axis for axis in figure.axes}


def history(examined=()):
    updates = np.arange(1, 501)
    return History(updates, 3 / updates, np.abs(np.sin(updates)) + 0.1, 0.5, 1.2, 0, list(examined))


def event(update, name, mean):
    shares = np.zeros(20)
    shares[int(mean * 20)] = 1
    return {"update": update, "layers": {name: {"horizon": 10.0 * update, "forget_histogram": shares.tolist()}}}


def test_the_curves_show_the_measurements(found):
    shown = axes(doctor(found, "a title with $"))
    first, second = ["gradient by lag", "loss by context"], ["singular values by lag", "gates", "memory of the units"]
    assert list(shown) == [*first, *second, "norm of the state"]
    curve = found.layers[0].lags.curve
    line = shown["gradient by lag"].lines[0]
    np.testing.assert_allclose(line.get_ydata(), curve[: len(line.get_ydata())])
    assert shown["gradient by lag"].get_yscale() == "log"
    np.testing.assert_allclose(shown["loss by context"].lines[0].get_ydata(), found.context.losses)
    labels = [text.get_text() for text in shown["singular values by lag"].get_legend().get_texts()]
    assert labels == ["h: largest", "h: smallest", "c: largest", "c: smallest", "product of forget gates"]
    np.testing.assert_allclose(shown["norm of the state"].lines[0].get_ydata(), found.layers[0].units.state_norm)


def test_the_training_and_its_gates(found):
    name = found.layers[0].name
    examined = [event(update, name, mean) for update, mean in ((1, 0.2), (100, 0.5), (500, 0.9))]
    shown = axes(doctor(found._replace(facts=Facts(clip_norm=0.7, history=history(examined)))))
    assert {"gradient norm in training", "horizon in training", "gates in training"} <= shown.keys()
    assert [line.get_ydata()[0] for line in shown["gradient norm in training"].lines[1:]] == [0.7]
    np.testing.assert_allclose(shown["horizon in training"].lines[0].get_xydata(), [[1, 10], [100, 1000], [500, 5000]])
    mesh = shown["gates in training"].collections[0].get_array()
    np.testing.assert_array_equal(np.asarray(mesh).reshape(20, 3).argmax(0), [4, 10, 18])


def test_missing_measurements_are_left_out(found):
    layer = found.layers[0]
    bare = found._replace(context=None, layers=[layer._replace(gates={})])
    assert list(axes(doctor(bare))) == ["gradient by lag", "singular values by lag", "norm of the state"]
    assert list(axes(doctor(bare._replace(layers=[])))) == []


@pytest.mark.parametrize("scale", [0.01, 1.4])
def test_gradients_that_vanish_and_explode(scale):
    torch.manual_seed(0)
    net, x = torch.nn.RNN(3, 8, nonlinearity="relu"), torch.rand(200, 2, 3)
    torch.nn.init.orthogonal_(net.weight_hh_l0, scale)
    shown = axes(doctor(examine(net, lambda: net(x)[0][-1].log1p().mean(), context=False)))
    low, high = shown["gradient by lag"].get_ylim()
    assert 1e-10 < low < high < 1e10


def test_many_layers(found):
    six = found._replace(layers=[found.layers[0]._replace(name=f"l{number}") for number in range(6)])
    figure = doctor(six)
    assert max(figure.get_size_inches()) < 30
    assert len(figure.axes[0].get_legend().get_texts()) >= 6
