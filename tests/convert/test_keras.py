"""Files of Keras 3.15 in tests/golden, and wrong files and configs; test_live_keras.py runs Keras itself."""

import io
import json
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from elman import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dropout,
    Embedding,
    LastPooling,
    LayerNorm,
    Linear,
    MeanPooling,
    MinGRU,
    Stack,
    VariationalDropout,
)
from elman.convert import from_keras, to_keras
from elman.layers import Reversed

from .running import last, random_weights, same_nets, scanned

h5py = pytest.importorskip("h5py")
GOLDEN = Path(__file__).parents[1] / "golden" / "keras-3.15.keras"  # `everything` of keras_truth.py, compressed again


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def members(path=GOLDEN):
    """Return config and weights of an archive."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json")), archive.read("model.weights.h5")


def archive(path, config, weights):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights)
    return path


def arrays_of(weights):
    """Return the arrays in a file of Keras, in the order of its model."""
    with h5py.File(io.BytesIO(weights)) as file:
        places = ["embedding", "bidirectional/forward_layer/cell", "bidirectional/backward_layer/cell",
                  "gru/cell", "gru_1/cell", "layer_normalization", "time_distributed/layer", "simple_rnn/cell",
                  "dense"]  # fmt: skip
        groups = [file[f"layers/{place}/vars"] for place in places]
        return [group[str(number)][()] for group in groups for number in range(len(group))]


def test_a_model_of_keras_computes_the_same():
    net = from_keras(GOLDEN, logits=True)
    kinds = [Embedding, VariationalDropout, Bidirectional, VariationalDropout, GRU, GRU, LayerNorm, Dropout, Linear,
             RNN, LastPooling, Linear]  # fmt: skip
    assert [type(layer) for layer in net] == kinds
    assert [layer.p for layer in net if isinstance(layer, Dropout)] == [0.2, 0.1, 0.3]
    assert not net.training
    with np.load(GOLDEN.with_suffix(".npz")) as truth:
        y = torch.from_numpy(last(scanned(net, truth["x"]).numpy(), [truth["x"].shape[1]] * 3))
        np.testing.assert_allclose(y.softmax(-1), truth["y"], rtol=1e-5, atol=1e-6)


def test_weights_return_to_keras_unchanged():
    found, truth = to_keras(from_keras(GOLDEN, logits=True)), arrays_of(members()[1])
    assert [array.shape for array in found] == [array.shape for array in truth]
    for place, (one, other) in enumerate(zip(found, truth, strict=True)):
        if place == 9:  # a GRU with reset_after: its two biases are summed, except that of the candidate
            np.testing.assert_allclose(one.sum(0), other.sum(0), rtol=1e-6)
            one, other = one[:, -3:], other[:, -3:]
        np.testing.assert_array_equal(one, other)


def test_a_file_of_weights_or_arrays_with_a_config(tmp_path):
    config, weights = members()
    (tmp_path / "model.weights.h5").write_bytes(weights)
    truth = from_keras(GOLDEN, logits=True)
    for given in (json.dumps(config), config):
        same_nets(from_keras(str(tmp_path / "model.weights.h5"), given, logits=True), truth)
        same_nets(from_keras(arrays_of(weights), given, logits=True), truth)


def test_a_layer_by_its_class_name():
    for layer, kind in ((LSTM(3, 4), "LSTM"), (GRU(3, 4), "GRU"), (RNN(3, 4), "SimpleRNN")):
        same_nets(from_keras(to_keras(random_weights(layer)), kind), Stack(layer, LastPooling(4)))
    same_nets(from_keras(to_keras(linear := Linear(3, 4)), "Dense"), linear)


def test_recurrent_dropout_of_keras_is_hidden_dropout():
    config = {"class_name": "LSTM", "config": {"name": "mine", "recurrent_dropout": 0.2, "return_sequences": True}}
    cell = from_keras(to_keras(LSTM(3, 4)), config)
    assert (cell.hidden_dropout, cell.recurrent_dropout, cell.training) == (0.2, 0, False)
    with pytest.raises(ValueError, match=r"further options"):
        to_keras(cell)


def test_a_layer_object():
    class GRU:  # with the interface of a Keras layer
        def __init__(self, arrays):
            self.get_weights = lambda: arrays

        def get_config(self):
            return {"name": "gru", "reset_after": False, "return_sequences": True, "use_bias": False}

    arrays = [np.float32(np.random.default_rng(0).normal(size=shape)) for shape in ((3, 12), (4, 12))]
    cell = from_keras(GRU(arrays))
    assert cell.reset == "before"
    assert not cell.bias.any()
    for found, given in zip(to_keras(cell), arrays, strict=False):
        np.testing.assert_array_equal(found, given)


MODELS = {
    "everything": lambda: Stack(Embedding(7, 3), VariationalDropout(3, 0.2), Bidirectional(LSTM(3, 4), LSTM(3, 4)),
                                Dropout(8, 0.3), GRU(8, 3), GRU(3, 4, reset="before"), LayerNorm(4, 0.01),
                                Linear(4, 2)),
    "last": lambda: Stack(Bidirectional(GRU(3, 4), GRU(3, 4)), LastPooling(8, 4), Linear(8, 2)),
    "reversed": lambda: Stack(Reversed(RNN(3, 4, "identity")), LastPooling(4, 4)),
    "float64": lambda: Stack(LSTM(3, 4), LSTM(4, 4)).double(),
    "mean": lambda: Stack(GRU(3, 4), MeanPooling(4), Linear(4, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_round_trip(name, tmp_path):
    net = random_weights(MODELS[name]())
    arrays = to_keras(net, tmp_path / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    back = from_keras(tmp_path / "model.keras")
    same_nets(back, net)
    x = torch.randint(0, 7, (3, 5)) if name == "everything" else torch.randn(3, 5, 3)
    assert torch.equal(scanned(back, x), scanned(net, x))
    assert arrays[0].dtype == (np.float64 if name == "float64" else np.float32)
    to_keras(net, tmp_path / "again.keras")
    assert (tmp_path / "again.keras").read_bytes() == (tmp_path / "model.keras").read_bytes()


GIVEN = {name: to_keras(layer) for name, layer in (("LSTM", LSTM(3, 4)), ("GRU", GRU(3, 4)), ("SimpleRNN", RNN(3, 4)))}


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("LSTM", {"activation": "relu"}, "expected activation='tanh', got 'relu'"),
        (
            "LSTM",
            {"recurrent_activation": "hard_sigmoid"},
            "expected recurrent_activation='sigmoid', got 'hard_sigmoid'",
        ),
        ("GRU", {"recurrent_dropout": 0.2}, "expected recurrent_dropout=0, got 0.2"),
        ("LSTM", {"return_state": True}, "expected return_state=False, got True"),
        ("LSTM", {"go_backwards": True, "return_sequences": True}, "expected return_sequences=False with go_backwards"),
        ("LSTM", {"dtype": "mixed_float16"}, "expected dtype='float32' or 'float64', got 'mixed_float16'"),
        ("LSTM", {"activation": {"class_name": "mine"}}, "expected activation='tanh', got mine"),
        ("GRU", {"reset_after": False}, "expected bias of shape [GH=12], got [2, 12]"),
        ("SimpleRNN", {"activation": "gelu"}, "expected activation='tanh' or activation='relu' or"),
        ("Bidirectional", {"merge_mode": "sum"}, "expected merge_mode='concat', got 'sum'"),
        ("Bidirectional", {"layer": {"class_name": "RNN"}}, "expected layer of SimpleRNN or LSTM or GRU, got RNN"),
        (
            "Dense",
            {"activation": "softmax"},
            "expected no activation, got 'softmax'; remove it at the end by logits",
        ),
        ("Dense", {"activation": "tanh"}, "expected activation='linear', got 'tanh'"),
        ("LayerNormalization", {"axis": 1}, "expected axis=-1"),
        ("LayerNormalization", {"scale": False, "center": False}, "expected scale=True or center=True"),
        ("Dropout", {"noise_shape": [None, 1, None]}, "expected no noise_shape"),
    ],
)
def test_an_unsupported_setting_raises(kind, settings, message):
    with pytest.raises(ValueError, match=f"^from_keras: {kind} 'mine': {re.escape(message)}"):
        from_keras(GIVEN.get(kind, []), {"class_name": kind, "config": {"name": "mine", **settings}})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Lambda", "contains code"),
        ("Conv1D", "is not supported"),
        ("ConvLSTM1D", "is not supported"),
    ],
)
def test_an_unsupported_layer_raises(kind, message):
    with pytest.raises(ValueError, match=f"^from_keras: {kind} 'mine' {message}"):
        from_keras([], {"class_name": kind, "config": {"name": "mine"}})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (GIVEN["LSTM"][:2], "expected 3 more arrays, got 2"),
        ([*GIVEN["LSTM"], np.zeros(3, np.float32)], "expected 3 arrays according to the config, got 4"),
        (
            [GIVEN["LSTM"][0], GIVEN["LSTM"][1].T, GIVEN["LSTM"][2]],
            "expected recurrent kernel of shape [H=16, GH=64], got",
        ),
        ([GIVEN["LSTM"][0].T, *GIVEN["LSTM"][1:]], "expected kernel of shape [D, GH=16], got [16, 3]"),
        ([np.zeros((3, 16), int), *GIVEN["LSTM"][1:]], "expected arrays of floating-point numbers, got int64 [3, 16]"),
        ([GIVEN["LSTM"][0], np.zeros((4, 16)), GIVEN["LSTM"][2]], "expected arrays of one type"),
    ],
)
def test_arrays_that_do_not_match_the_config_raise(arrays, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_keras(arrays, "LSTM")


def functional(*edges, inputs=("a",), outputs=("c",)):
    """Return a model of dense layers with these inputs."""

    def nodes(names):
        args = [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in names]
        return [{"args": args, "kwargs": {}}] if args else []

    layers = []
    for name, names in edges:
        kind = "Dense" if names else "InputLayer"
        layers.append({"class_name": kind, "config": {"name": name}, "inbound_nodes": nodes(names)})
    ends = {"input_layers": [[name, 0, 0] for name in inputs], "output_layers": [[name, 0, 0] for name in outputs]}
    return {"class_name": "Functional", "config": {"layers": layers, **ends}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            functional(("a", []), ("b", ["a"]), ("c", ["b"]), ("d", ["b"])),
            "Dense 'd' is not between the input and",
        ),
        (functional(("a", []), ("b", ["a"]), ("c", ["b", "b"])), "'c' is used more than once or reads several"),
        (functional(("a", []), ("b", ["c"]), ("c", ["b"])), "'c' is used more than once or reads"),
        (
            functional(("a", []), ("b", ["a"]), ("c", ["b"]), outputs=("b", "c")),
            "one output, got 2 outputs",
        ),
        ({"class_name": "Sequential", "config": {}}, "the config is not one that Keras 3 writes: KeyError"),
        ({"config": {}}, "the config is not one that Keras 3 writes: KeyError('class_name')"),
        ("{", "config is not valid JSON"),
        (None, "expected a config with arrays"),
    ],
)
def test_configs_that_are_not_a_chain_or_not_valid_raise(config, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_keras([np.zeros((3, 3)), np.zeros(3)] * 3, config)


def test_files_of_another_format_and_truncated_files_raise(tmp_path):
    config, weights = members()
    path = tmp_path / "model.keras"
    with pytest.raises(FileNotFoundError, match=r"model\.keras: no such file; name a \.keras or \.weights\.h5 file"):
        from_keras(path)
    whole = GOLDEN.read_bytes()
    for cut in (0, 3, 100, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match=r"^from_keras: .*model\.keras: (neither a|not a) \.keras archive"):
            from_keras(path, logits=True)
    for cut in (8, 600, len(weights) // 2, len(weights) - 1):
        archive(path, config, weights[:cut])
        with pytest.raises(
            ValueError, match=r"^from_keras: .*model\.keras: (its weights|layers/.*) (are|is) truncated"
        ):
            from_keras(path, logits=True)
    archive(path, [], weights)
    with pytest.raises(ValueError, match=r"expected the config of a model in config\.json, got a list"):
        from_keras(path)
    path.write_bytes(weights)
    with pytest.raises(ValueError, match=r"the file has weights only; pass config=model\.to_json\(\)"):
        from_keras(path)


def test_weights_that_do_not_match_the_config_raise(tmp_path):
    config, weights = members()
    config["config"]["layers"][4]["config"]["use_bias"] = False
    with pytest.raises(ValueError, match="expected 2 weights in layers/gru/cell according to the config, got 3"):
        from_keras(archive(tmp_path / "model.keras", config, weights))
    config["config"]["layers"].append(config["config"]["layers"][4])
    config["config"]["layers"][4] = {"class_name": "LSTM", "config": {"name": "other"}}
    with pytest.raises(ValueError, match="expected weights in layers/lstm/cell, got none"):
        from_keras(archive(tmp_path / "model.keras", config, weights))


def test_hdf5_links_external_files_and_bombs_raise(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(4 * 16))
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {"name": "dense"}}]}}

    def outside(group):
        group.create_dataset("0", (4, 4), "f4", external=[(str(tmp_path / "secret"), 0, 64)])

    def link(group):
        group["0"] = h5py.ExternalLink(str(tmp_path / "secret"), "/0")

    def bomb(group):
        group.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")

    def text(group):
        group.create_dataset("0", data="weights")

    for make in (outside, link, bomb, text):
        memory = io.BytesIO()
        with h5py.File(memory, "w") as file:
            group = file.create_group("layers/dense/vars")
            make(group)
            group["1"] = np.zeros(4, np.float32)
        with pytest.raises(
            ValueError,
            match=r"layers/dense(, got something else| is a link, which is not read)",
        ):
            from_keras(archive(tmp_path / "model.keras", config, memory.getvalue()))


def test_a_file_of_keras_2_raises(tmp_path):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_group("model_weights")
    path = tmp_path / "model.h5"
    path.write_bytes(memory.getvalue())
    with pytest.raises(ValueError, match=r"expected a file of Keras 3, got one of Keras 2; save it as \.keras"):
        from_keras(path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MinGRU(3, 4), "to_keras: MinGRU is not supported by Keras"),
        (LSTM(3, 4, forget_gate=False), "to_keras: LSTM: expected a plain LSTM"),
        (Reversed(GRU(3, 4)), "to_keras: Reversed: expected a LastPooling after it"),
        (
            Stack(GRU(3, 4), LastPooling(4), GRU(4, 4)),
            "to_keras: GRU: expected sequences, got single steps",
        ),
        (Stack(Linear(3, 4), LastPooling(4)), "to_keras: LastPooling is not supported"),
        (Stack(Bidirectional(GRU(3, 4), GRU(3, 4)), LastPooling(8)), "to_keras: LastPooling is not supported"),
    ],
)
def test_a_model_that_keras_does_not_support_raises(model, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_keras(model, tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_arguments_of_another_type_raise(tmp_path):
    with pytest.raises(TypeError, match="from_keras: expected a path, arrays or a layer of Keras, got int"):
        from_keras(3)
    with pytest.raises(TypeError, match="from_keras: expected config as text or a dict, got list"):
        from_keras([], [])
    with pytest.raises(TypeError, match="to_keras: expected a cell, a layer or a Stack of elman, got int"):
        to_keras(3)
    with pytest.raises(ValueError, match=r"to_keras: expected a path that ends in \.keras, got .*model\.h5"):
        to_keras(GRU(3, 4), tmp_path / "model.h5")


def test_without_h5py_the_error_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "h5py", None)
    for call in (lambda: from_keras(GOLDEN), lambda: to_keras(GRU(3, 4), tmp_path / "model.keras")):
        with pytest.raises(
            ModuleNotFoundError, match="needs the package h5py; install it with: pip install h5py"
        ) as error:
            call()
        assert error.value.name == "h5py"
    assert to_keras(GRU(3, 4))  # arrays need no h5py


def test_damaged_weights_are_one_line(tmp_path):
    config, weights = members()
    generator, refused = np.random.default_rng(0), 0
    for _ in range(40):
        damaged = bytearray(weights)
        for place in generator.integers(len(weights), size=5):
            damaged[place] = generator.integers(256)
        try:
            from_keras(archive(tmp_path / "m.keras", config, bytes(damaged)), logits=True)
        except ValueError as error:
            refused += 1
            assert str(error).startswith("from_keras: ")  # noqa: PT017
    assert refused
