"""ONNX files of the networks of tasks, run by onnxruntime and compared with PyTorch."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from elman import (
    GRU,
    LSTM,
    Attention,
    AttentionPooling,
    Bidirectional,
    Cell,
    Decoder,
    Dropout,
    Embedding,
    LastPooling,
    Linear,
    MaxPooling,
    MeanPooling,
    NGram,
    OutputFeedback,
    Sequences,
    Stack,
    Tagger,
)
from elman.cells import CellModule
from elman.convert import to_onnx
from elman.files import SCHEMA, write_tensors
from elman.layers.decoder import summary_width
from elman.layers.efficientnet_lite import EfficientNetLite0
from elman.layers.picture_encoder import PictureEncoder
from elman.layers.picture_net import PictureNet
from elman.tasks.classifier import ClassifierNet
from elman.tasks.encoder_decoder import EncoderDecoder

from .running import random_weights

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

LENGTHS = [3, 0, 5]


class Own(CellModule):
    """Cell of a user's own class."""

    def __init__(self):
        super().__init__()
        self.input_size = self.output_size = 3

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 3)

    def step(self, x, state):
        return x, state


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def session(path):
    file = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    about = json.loads(file.get_modelmeta().custom_metadata_map["elman"])
    names = [output.name for output in file.get_outputs()]
    read = {value.name for value in file.get_inputs()}

    def run(**given):
        outputs = file.run(names, {name: np.asarray(array) for name, array in given.items() if name in read})
        return dict(zip(names, outputs, strict=True))

    return run, about


def text_encoder():
    return Stack(Embedding(9, 4), Dropout(4, 0.1), Bidirectional(LSTM(4, 3), LSTM(4, 3)))


ENCODERS = {
    "text": text_encoder,
    "series": lambda: Stack(GRU(4, 6), GRU(6, 6)),
    "features": lambda: PictureEncoder(5, 6, 0.1),
    "pictures": lambda: PictureEncoder(16, 6, 0.1, PictureNet((8, 16))),
    "photos": lambda: PictureEncoder(1280, 6, 0.1, EfficientNetLite0()),
}
DECODERS = {
    "additive": lambda: Stack(LSTM(4, 5), Attention(5, 6, 5)),
    "general": lambda: Stack(GRU(4, 5), Dropout(5, 0.1), LSTM(5, 5), Attention(5, 6, 5, "general")),
    "dot, input feeding": lambda: OutputFeedback(Stack(LSTM(4 + 7, 6), Attention(6, 6, 7, "dot"))),
    "no attention": lambda: Stack(LSTM(4, 5, zoneout_c=0.1)),
}


def encoder_decoder(encoder, decoder):
    encoder, body = ENCODERS[encoder](), DECODERS[decoder]()
    size = encoder.output_size if isinstance(encoder, PictureEncoder) else summary_width(encoder.initial_state(0))
    net = EncoderDecoder(encoder, Decoder(Stack(Embedding(8, 4)), body, Linear(body.output_size, 8), size))
    return net.eval() if isinstance(getattr(encoder, "trunk", None), EfficientNetLite0) else random_weights(net)


def sources(encoder):
    """Return the inputs of the graph, and those of the network."""
    if encoder in ("features", "pictures", "photos"):
        x = torch.randn(3, 12, 5) if encoder == "features" else torch.randint(0, 256, (3, 3, 40, 35)).float()
        return {"x": x}, x
    x = torch.randint(0, 9, (3, 5)) if encoder == "text" else torch.randn(3, 5, 4)
    return {"x": x, "lengths": np.int64(LENGTHS)}, Sequences.from_padded(x, LENGTHS)


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [*(("text", name) for name in DECODERS), *((name, "additive") for name in ENCODERS if name != "text")],
)
def test_an_encoder_and_the_steps_of_its_decoder(encoder, decoder, tmp_path):
    """The outputs of the first file are inputs of the second one, by name."""
    net = encoder_decoder(encoder, decoder)
    to_onnx(net, tmp_path / "encoder.onnx")
    to_onnx(net, tmp_path / "step.onnx", steps=True)
    encode, _ = session(tmp_path / "encoder.onnx")
    step, about = session(tmp_path / "step.onnx")
    given, inputs = sources(encoder)
    found = encode(**given)
    assert found.keys() == {leaf["input"] for leaf in about["state"]}
    with torch.no_grad():
        state = net.begin(inputs)
        for unit in torch.randint(0, 8, (4, 3)):
            y, state = net.decoder.step(unit, state)
            computed = step(x=unit, **found)
            np.testing.assert_allclose(computed["y"], y, rtol=1e-5, atol=1e-6)
            found |= {leaf["input"]: computed[leaf["output"]] for leaf in about["state"] if leaf["output"]}


@pytest.mark.parametrize("settings", [{}, {"bidirectional": False}, {"bidirectional": False, "character_size": 0}])
def test_the_scores_of_a_tagger(settings, tmp_path, caplog):
    rows = [[("Ann", "NNP"), ("Lee", "NNP"), ("slept", "VBD")], [("Bob", "NNP"), ("saw", "VBD"), ("Rome", "NNP")]] * 4
    tags = [["B-PER", "I-PER", "O"], ["B-PER", "O", "B-LOC"]] * 4
    model = Tagger(epochs=1, hidden_size=6, embedding_size=4, **settings).fit(rows, tags)
    model.save(tmp_path / "model.safetensors")
    to_onnx(tmp_path / "model.safetensors", tmp_path / "model.onnx")
    assert "the decoding of the CRF is not in the graph" in caplog.text
    run, about = session(tmp_path / "model.onnx")
    assert np.shape(about["chain"]["transitions"]) == (len(model.tags_), len(model.tags_))
    assert about["task"] == "tagger"
    assert len(about["labels"]) == len(model.tags_)
    batch = model.words_.encode([rows[1], rows[0][:1]])
    word, spelling, given = batch.tokens.to_padded()
    inputs = {"word": word, "spelling": spelling, "given": given, "characters": batch.characters.to_padded(),
              "character_lengths": batch.characters.lengths}  # fmt: skip
    y = run(lengths=batch.tokens.lengths, **inputs)["y"]
    with model.evaluating():
        truth = np.asarray(model.scores(batch).values)
    np.testing.assert_allclose(np.concatenate([y[0], y[1, :1]]), truth, rtol=1e-5, atol=1e-6)
    if not settings:
        return
    to_onnx(tmp_path / "model.safetensors", tmp_path / "step.onnx", steps=True)
    run, about = session(tmp_path / "step.onnx")
    state = {leaf["input"]: np.zeros([2, *leaf["shape"][1:]], np.float32) for leaf in about["state"]}
    y = run(**inputs | {name: inputs[name][:, 0] for name in ("word", "spelling", "given")}, **state)["y"]
    np.testing.assert_allclose(y, truth[[0, 3]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", [LastPooling(4, 2), MeanPooling(4), MaxPooling(4), AttentionPooling(4)], ids=repr)
def test_the_class_probabilities_of_whole_rows(pooling, tmp_path):
    net = random_weights(ClassifierNet(Stack(Bidirectional(GRU(3, 2), GRU(3, 2))), pooling, Linear(4, 5)))
    to_onnx(net, tmp_path / "model.onnx")
    x = torch.randn(3, 5, 3)
    run, _ = session(tmp_path / "model.onnx")
    found = run(x=np.where(np.arange(5)[:, None] < np.array(LENGTHS)[:, None, None], x, np.nan), lengths=LENGTHS)
    with torch.no_grad():
        y = net.classify(Sequences.from_padded(x, LENGTHS))
    np.testing.assert_allclose(found["y"], y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["probabilities"], y.softmax(1), rtol=1e-5, atol=1e-6)
    with pytest.raises(
        ValueError, match="a classifier has no graph of whole rows with states; write its steps instead"
    ):
        to_onnx(net, tmp_path / "model.onnx", state=True)


def test_the_class_probabilities_of_the_steps_so_far(tmp_path):
    net = random_weights(ClassifierNet(Stack(GRU(3, 4)), MaxPooling(4), Linear(4, 5)))
    to_onnx(net, tmp_path / "model.onnx", steps=True)
    run, about = session(tmp_path / "model.onnx")
    assert [leaf["initial"] for leaf in about["state"]] == [0.0, "-inf"]
    state = {leaf["input"]: np.full((2, 4), float(leaf["initial"]), np.float32) for leaf in about["state"]}
    found = run(x=np.ones((2, 3), np.float32), **state)
    with torch.no_grad():
        y = net.classify(Sequences.from_padded(torch.ones(2, 1, 3), [1, 1]))
    np.testing.assert_allclose(found["y"], y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["probabilities"], y.softmax(1), rtol=1e-5, atol=1e-6)


def test_the_command_needs_no_pytorch(tmp_path):
    net = encoder_decoder("text", "additive")
    write_tensors(tmp_path / "model.safetensors", net.state_dict(), {"schema": SCHEMA, "spec": net.spec()})
    code = "import sys; sys.modules['torch'] = None; from elman.cli import main; main()"
    words = ["export", tmp_path / "model.safetensors", tmp_path / "model.onnx"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "reads x int64 [B, S], lengths int64 [B]"


def test_models_without_a_graph_of_rows_raise(tmp_path):
    ngram = NGram(3, 2).fit([np.array([1, 2])])
    ngram.save(tmp_path / "ngram.safetensors")
    Stack(Own(), Linear(3, 2)).save(tmp_path / "own.safetensors")
    alternative = r"build it from layers of elman, or export its step with torch\.onnx\.export\.$"
    for model, message in (
        (tmp_path / "ngram.safetensors", "ngram.safetensors: expected a network, got a classical model, NGram"),
        (ngram, "expected a network, got a classical model, NGram, which has no ONNX file; elman.runtime runs its"),
        (PictureEncoder(5, 6, 0.1), "PictureEncoder reads pictures, not steps; export the whole encoder-decoder"),
        (Cell(), f"Cell has no layer type in elman.network; {alternative}"),
        (Stack(Own(), Linear(3, 2)), rf"cells.0 \(Own\) has no layer type in elman.network; {alternative}"),
        (tmp_path / "own.safetensors", rf"cells.0 \(Own\) has no layer type in elman.network; {alternative}"),
    ):
        with pytest.raises(ValueError, match=f"^to_onnx: .*{message}"):
            to_onnx(model, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"^Tagger: not fitted yet; call fit first"):
        to_onnx(Tagger(), tmp_path / "model.onnx")
    with pytest.raises(TypeError, match=r"^to_onnx: expected .* got type;"):
        to_onnx(LSTM, tmp_path / "model.onnx")


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"opset": "18"}, TypeError, r"to_onnx: expected an opset that is a whole number, got str '18'\."),
    ({"opset": 18.0}, TypeError, r"to_onnx: expected an opset that is a whole number, got float 18\.0\."),
    ({"opset": 7}, ValueError, r"to_onnx: expected an opset from 18 to \d+, got 7\."),
    ({"steps": True, "state": True}, ValueError, "to_onnx: state is an option of whole rows; .* Leave it out."),
    ({"path": "none/model.onnx"}, FileNotFoundError, "the folder .*none does not exist; create it, or choose another "),
])  # fmt: skip
def test_arguments_are_checked_before_the_export(options, error, message, tmp_path):
    path = tmp_path / options.pop("path", "model.onnx")
    with pytest.raises(error, match=message):
        to_onnx(LSTM(3, 4), path, **options)
    assert not list(tmp_path.iterdir())


def test_the_progress_of_an_export(tmp_path, capsys):
    to_onnx(LSTM(3, 4), tmp_path / "model.onnx", verbose=2)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("model.onnx: ")[2] for line in lines] == [
        "reading the model", "writing the graph", "comparing onnxruntime with the model"]  # fmt: skip


def test_attention_without_an_encoder_raises(tmp_path):
    with pytest.raises(ValueError, match=r"^to_onnx: Attention reads the memory of an encoder; export the whole enc"):
        to_onnx(Stack(LSTM(3, 4), Attention(4, 4, 4)), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
