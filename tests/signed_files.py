"""Model files of every kind, and files with altered contents that are signed again."""

import hashlib
import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np

from elman.sequences import Sequences

VALUES = [None, True, -1, 0, 1, 7, 2**31, 10**12, 10**30, 0.5, -1e308, float("nan"), float("inf"), "", "x", "lstm", [],
          {}, [[]], [1, "a"], {"kind": "gru"}, ["a", "b"]]  # fmt: skip
DTYPES = ["F32", "F64", "F16", "I64", "U8", "BOOL", "BF16", "XX"]
WEIGHTS = [np.nan, np.inf, -np.inf, 1e38, -1.0, 0.0]


def read(path):
    """Return the table of tensors, the metadata and the bytes of the tensors."""
    blob = Path(path).read_bytes()
    size = int.from_bytes(blob[:8], "little")
    table = json.loads(blob[8 : 8 + size])
    return table, json.loads(table.pop("__metadata__")["elman"]), blob[8 + size :]


def sign(path, table, metadata, data):
    """Write a file with a valid digest."""
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode() + text.encode() + data).hexdigest()
    header = json.dumps({**table, "__metadata__": {"elman": text, "sha256": digest}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def altered(generator, table, metadata, data):
    """Return the parts of a file with one to three random changes."""
    whole, table, metadata, data = table, deepcopy(table), deepcopy(metadata), bytearray(data)
    for kind in generator.choice(
        ["metadata", "metadata", "metadata", "table", "entry", "data"], generator.integers(1, 4)
    ):
        match kind:
            case "metadata":
                metadata = _altered_json(generator, metadata)
            case "table":
                table = _altered_json(generator, table)
            case "entry":
                name = str(generator.choice([*whole]))
                table[name] = _altered_entry(generator, deepcopy(whole[name]))
            case _:
                dtype = np.dtype(generator.choice(["<f4", "<f8"]))
                place = int(generator.integers(len(data) // dtype.itemsize)) * dtype.itemsize
                data[place : place + dtype.itemsize] = dtype.type(generator.choice(WEIGHTS)).tobytes()
    return table, metadata, bytes(data)


def _altered_entry(generator, entry):
    """Return another place, shape or type of a tensor."""
    match generator.integers(4):
        case 0:
            return {**entry, "dtype": str(generator.choice(DTYPES))}
        case 1:
            return {**entry, "shape": entry["shape"][::-1]}
        case 2:
            return {**entry, "shape": [1, *entry["shape"]]}
        case _:
            return {
                **entry,
                "data_offsets": [place + int(generator.integers(-4, 5)) for place in entry["data_offsets"]],
            }


def _altered_json(generator, tree):
    """Return JSON in which a random part is replaced, left out, repeated or moved."""
    places = list(_places(tree))
    if not places:
        return tree
    parent, key = places[generator.integers(len(places))]
    match generator.integers(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(key, deepcopy(parent[key]))
        case 1:
            parent[f"{key}x"] = parent.pop(key)
        case 2:
            other, place = places[generator.integers(len(places))]
            parent[key] = deepcopy(other[place])
        case _:
            parent[key] = deepcopy(VALUES[generator.integers(len(VALUES))])
    return tree


def _places(tree):
    """Yield each part of JSON as the part that holds it and a key."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _places(value)


def models(folder):
    """Save a small model of every kind; return the function that loads each file."""
    import elman
    from elman import (
        CRF,
        HMM,
        LDS,
        BagOfWords,
        Captioner,
        Classifier,
        DelayTaps,
        LanguageModel,
        NGram,
        Tagger,
        Translator,
        runtime,
    )
    from elman.classical.hmm import Categorical, Gaussian, GaussianMixture, HMMTagger, Poisson, Words
    from elman.tasks.run import Run

    brief = {"epochs": 1, "hidden_size": 4, "validation": 0}
    texts, labels = ["a b", "a c", "d e", "d f"] * 4, ["x", "x", "y", "y"] * 4
    noise = np.random.default_rng(0)
    series = [noise.normal(size=(5, 2)) for _ in range(8)]
    found = {}

    def keep(name, model, load):
        path = folder / name / "model.safetensors"
        path.parent.mkdir(exist_ok=True)
        model.save(path)
        found[path] = load

    keep("words", Classifier(**brief).fit(texts, labels), elman.load)
    gone = [np.where(noise.random(row.shape) < 0.1, np.nan, row) for row in series]
    keep("series", Classifier(differences=True, **brief).fit(gone, [0, 1] * 4), elman.load)
    frames = [noise.integers(0, 255, (3, 8, 8), np.uint8) for _ in range(8)]
    keep("frames", Classifier(embedding_size=4, **brief).fit(frames, [True, False] * 4), elman.load)
    skeletons = [noise.normal(size=(3, 4, 3)) for _ in range(8)]
    keep("skeletons", Classifier(**brief).fit(skeletons, [0, 1] * 4), elman.load)
    tags = [["B-P", "I-P", "O"], ["O", "B-L", "O"]] * 4
    keep(
        "tagger",
        Tagger(embedding_size=4, character_size=4, **brief).fit([list("abc"), list("dea")] * 4, tags),
        elman.load,
    )
    sizes = {**brief, "embedding_size": 4, "encoder_size": 4}
    pairs = [f"{a} {b}" for a in "abcd" for b in "efgh"]
    keep("translator", Translator(units="bpe", **sizes).fit(pairs, pairs[::-1]), elman.load)
    pictures = [noise.integers(0, 255, (32, 32, 3), np.uint8) for _ in range(4)]
    captions = [["A cat.", "The cat."]] * 4
    settings = {"encoder": "convolutional", "image_size": 32, "min_count": 1}
    keep("captioner", Captioner(**settings, **sizes).fit(pictures, captions), elman.load)
    language, text = LanguageModel(steps=10, streams=2, ngram_order=2, **brief), "to be or not to be " * 8
    language.fit(text, run=folder / "language")
    for name in ("model.safetensors", "ngram.safetensors"):
        found[folder / "language" / name] = lambda path: elman.load(path.parent)
    training = {**brief, "validation": 0.1, "average": 0.9}
    run = Run(folder / "run")
    Classifier(**training).fit(texts, labels, run=run)
    for name in ("last.safetensors", "best.safetensors"):
        again = replace(run, resume=True)
        found[folder / "run" / name] = lambda _, run=again: Classifier(**training).fit(texts, labels, run=run)
    plain = LanguageModel(steps=10, streams=2, ngram_order=0, cell=elman.CellSettings("lstm", zoneout_c=0.1), **brief)
    keep("stepper", plain.fit("to be or not to be " * 8), lambda path: runtime.load(path).stepper())

    ids = Sequences.from_list([noise.integers(1, 5, 20) for _ in range(4)])
    keep("n-gram", NGram(5, 3).fit(ids), NGram.load)
    keep("bag", BagOfWords(5).fit(ids, list("abab")), BagOfWords.load)
    keep("taps", DelayTaps(2).fit(Sequences.from_list([noise.normal(size=(30, 2))])), DelayTaps.load)
    keep("crf", CRF(3).fit(Sequences(np.zeros((4, 3)), [4]), [0, 1, 2, 2]), CRF.load)
    level = LDS(np.eye(1), np.eye(1), np.array([[1.0]]), np.array([[2.0]]), start=(np.zeros(1), np.eye(1)))
    keep("lds", level, LDS.load)
    reals = Sequences.from_list([noise.normal(size=(20, 2)) for _ in range(3)])
    counts = Sequences.from_list([noise.poisson(3, size=(20, 2)) for _ in range(3)])
    for emission, data in ((Gaussian("full"), reals), (Gaussian("tied"), reals), (GaussianMixture(2), reals),
                           (Categorical(5), ids), (Poisson(), counts)):  # fmt: skip
        kind = f"{type(emission).__name__} {getattr(emission, 'covariance', '')}"
        keep(kind, HMM(2, emission, max_iterations=3).fit(data), HMM.load)
    words = Sequences.from_list([np.array(["ann", "went", "home"]), np.array(["home", "ann"])])
    keep("hmm tagger", HMMTagger().fit(words, [np.array(["N", "V", "N"]), np.array(["N", "N"])]), HMMTagger.load)
    keep("hmm words", HMM(2, Words()).fit_labelled(words, [np.array([0, 1, 0]), np.array([0, 0])]), HMM.load)
    return found


def use(name, model):
    """Run a trained model of `models` that runs without PyTorch."""
    noise = np.random.default_rng(0)
    rows = {
        "words": ["a b", ""],
        "series": [noise.normal(size=(5, 2))],
        "frames": [noise.integers(0, 255, (3, 8, 8), np.uint8)],
        "skeletons": [noise.normal(size=(3, 4, 3))],
        "tagger": [list("abz"), []],
        "translator": ["a e", ""],
        "captioner": [noise.integers(0, 255, (20, 30, 3), np.uint8)],
    }
    match getattr(model, "task", None):
        case "classifier" | "tagger":
            model.predict(rows[name])
        case "translator" | "captioner":
            model.predict(rows[name], beam=2, max_length=3)
        case "language-model":
            model.surprisal(["to be"])
