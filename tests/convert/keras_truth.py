"""Script of a test: Keras writes models into a folder, and the outputs of all models in it.

    python keras_truth.py FOLDER

For each of its models: NAME.keras, NAME.weights.h5, NAME.json, and NAME.npz with `x`, `y` and the weights as
`get_weights` gives them. For each OURS.keras with OURS.npz that is there already, its `x` run through it: OURS.y.npy.
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from keras import layers


def sequential(*inner, features=3):
    return keras.Sequential([keras.Input((None, features)), *inner])


def everything():
    """Return a model with one layer of each kind; its file is in tests/golden."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(7, 3, mask_zero=True),
            layers.SpatialDropout1D(0.2),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
            layers.GRU(3, return_sequences=True, dropout=0.1),
            layers.GRU(3, return_sequences=True, reset_after=False),
            layers.LayerNormalization(),
            layers.Dropout(0.3),
            layers.TimeDistributed(layers.Dense(4)),
            layers.SimpleRNN(3, activation="relu"),
            layers.Dense(2, activation="softmax"),
        ]
    )


def functional():
    x = ids = keras.Input((None,), dtype="int32")
    for layer in (
        layers.Embedding(7, 3, mask_zero=True),
        layers.LSTM(4, return_sequences=True),
        layers.LSTM(4, use_bias=False, return_sequences=True),
        layers.Bidirectional(layers.GRU(3)),
        layers.Dense(2, use_bias=False),
    ):
        x = layer(x)
    return keras.Model(ids, x)


MODELS = {
    "everything": everything,
    "functional": functional,
    "lstm": lambda: sequential(layers.LSTM(4, return_sequences=True)),
    "gru": lambda: sequential(layers.GRU(4, return_sequences=True)),
    "gru before": lambda: sequential(layers.GRU(4, reset_after=False, use_bias=False, return_sequences=True)),
    "linear": lambda: sequential(layers.SimpleRNN(4, activation="linear", return_sequences=True)),
    "sigmoid": lambda: sequential(layers.SimpleRNN(4, activation="sigmoid", use_bias=False, return_sequences=True)),
    "backwards": lambda: sequential(layers.LSTM(4, go_backwards=True), layers.Dense(2)),
    "nested": lambda: sequential(layers.LSTM(3, return_sequences=True), sequential(layers.LSTM(3), layers.Dense(2))),
    "norms": lambda: sequential(
        layers.LayerNormalization(center=False),
        layers.LayerNormalization(scale=False, epsilon=0.1),
        layers.Masking(-1.0),
        layers.GRU(2),
    ),
    "mean": lambda: sequential(
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)), layers.GlobalAveragePooling1D()
    ),
    "maximum": lambda: sequential(layers.GRU(4, return_sequences=True), layers.GlobalMaxPooling1D(), layers.Dense(2)),
    "float64": lambda: sequential(layers.GRU(4, dtype="float64"), layers.Dense(2, dtype="float64")),
}


def write(folder: Path, name: str) -> None:
    model, rng = MODELS[name](), np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.6, weight.shape) for weight in model.get_weights()])
    ids = model.inputs[0].dtype == "int32"
    x = rng.integers(1, 7, (3, 5)) if ids else rng.normal(size=(3, 5, 3)).astype(np.float32)
    weights = {f"weight {number:02}": weight for number, weight in enumerate(model.get_weights())}
    np.savez(folder / f"{name}.npz", x=x, y=model.predict(x, verbose=0), **weights)
    model.save(folder / f"{name}.keras")
    model.save_weights(folder / f"{name}.weights.h5")
    (folder / f"{name}.json").write_text(model.to_json())


def read(path: Path) -> None:
    model = keras.saving.load_model(path)
    with np.load(path.with_suffix(".npz")) as given:
        np.save(path.with_suffix(".y.npy"), model.predict(given["x"], verbose=0))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for path in sorted(folder.glob("*.keras")):
        read(path)
    for name in MODELS:
        write(folder, name)
