"""Preprocessing of the models of tasks, as JSON for programs without elman; docs/onnx.md has the rules that use it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from elman.classical.tag_schemes import OUTSIDE
from elman.data.units import BOUNDARY, UNKNOWN, Units, bpe, words
from elman.data.units.bytes import Bytes
from elman.data.units.characters import Characters
from elman.data.units.merges import LETTERS
from elman.data.units.pairs import BLANK_BEFORE
from elman.inputs import Frames, Inputs, Series, Skeletons, TextInputs
from elman.inputs.text import TOKEN
from elman.network import Layer
from elman.runtime.captioner import TrainedCaptioner
from elman.runtime.classifier import TrainedClassifier
from elman.runtime.language_model import TrainedLanguageModel
from elman.runtime.model import TrainedModel
from elman.runtime.tagger import TrainedTagger
from elman.runtime.translator import TrainedTranslator

Facts = dict[str, Any]

FORBIDDEN = -1e9  # weight of a transition that the scheme of the tags forbids: JSON has no infinity


def preprocessing_of(model: TrainedModel, network: Layer) -> Facts:
    """Return the task of a trained model, and all that a program needs to prepare inputs and to read outputs.

    Args:
        model: a trained model; one of your own task is described by its `metadata`.
        network: its network.
    """
    described = PREPROCESSING.get(model.task)
    return {"task": model.task, **(model.metadata() if described is None else described(model, network))}


def _classifier(model: TrainedClassifier, network: Layer) -> Facts:
    return {"labels": model.classes_.tolist(), "inputs": _inputs(model.inputs_)}


def _language_model(model: TrainedLanguageModel, network: Layer) -> Facts:
    return {"text": _text(model.units_, line_feeds=model.units_.name != "bytes")}


def _tagger(model: TrainedTagger, network: Any) -> Facts:
    known, rules = model.words_, model.rules()
    chain = dict(zip(("transitions", "start", "end"), network.chain, strict=True))
    if rules is not None:
        chain = {name: np.where(getattr(rules, name), weights, FORBIDDEN) for name, weights in chain.items()}
    return {
        "words": {"lowercase": True, "digits": "0", "vocabulary": ["", *known.words]},
        "characters": None if network.spelling is None else ["", *known.characters],
        "given": [["", *tags] for tags in known.given],
        "labels": [_written(model, tag) for tag in model.tags_],
        "scheme": model.scheme_,
        "chain": {name: weights.tolist() for name, weights in chain.items()},
    }


def _written(model: TrainedTagger, tag: str) -> str:
    """Return a tag of the network in the spelling of the training data, inside the shortest span that has it."""
    letter, _, label = tag.partition("-")
    if model.scheme_ is None or tag == OUTSIDE:
        return model.written([tag])[0]
    span = "S" if letter == "S" else "BE" if letter in "BE" else "BIE"
    return model.written([f"{part}-{label}" for part in span])[span.index(letter)]


def _translator(model: TrainedTranslator, network: Layer) -> Facts:
    def side(units: Units) -> Facts:
        blank = units.name in BLANK_BEFORE
        return _text(units, lowercase=model.lowercase, single_blanks=True, blank_before=blank)

    source, target = side(model.units_.source), side(model.units_.target)
    return {"source": source | {"limit": model.source_limit}, "target": target | {"longest": model.longest_}}


def _captioner(model: TrainedCaptioner, network: Layer) -> Facts:
    pixels = {"height": model.picture_size, "width": model.picture_size, "channels": "RGB", "range": [0, 255]}
    return {"pictures": pixels | {"resize": "bilinear"}, "target": _text(model.units_) | {"longest": model.longest_}}


PREPROCESSING: dict[str, Callable[[Any, Any], Facts]] = {
    "classifier": _classifier,
    "tagger": _tagger,
    "language-model": _language_model,
    "translator": _translator,
    "summarizer": _translator,
    "captioner": _captioner,
}


def _inputs(inputs: Inputs) -> Facts:
    """Return the preprocessing of the rows of a classifier."""
    if isinstance(inputs, TextInputs):
        tokens = TOKEN.pattern if inputs.kind == "words" else None
        rules = _text(inputs.units, lowercase=inputs.lowercase, line_feeds=inputs.kind != "bytes", tokens=tokens)
        return {"kind": inputs.name, **rules}
    if isinstance(inputs, Frames):
        return {"kind": inputs.name, "shape": list(inputs.shape), "mean": inputs.mean, "scale": inputs.scale}
    assert isinstance(inputs, Series)
    numbers = {"mean": inputs.mean.tolist(), "scale": inputs.scale.tolist(), "missing": inputs.missing.tolist()}
    variables = None if inputs.variables is None else list(inputs.variables)
    size = {"dimensions": inputs.dimensions} if isinstance(inputs, Skeletons) else {}
    return {"kind": inputs.name, "variables": variables, **numbers, **size}


def _text(
    units: Units,
    *,
    lowercase: bool = False,
    line_feeds: bool = False,
    tokens: str | None = None,
    single_blanks: bool = False,
    blank_before: bool = False,
) -> Facts:
    """Return units of text, and what is done to a text before it is split into them, in this order.

    Args:
        lowercase: convert to lower case.
        line_feeds: replace CR LF and CR by LF.
        tokens: regular expression whose matches are joined by blanks.
        single_blanks: strip the text, and replace all white space by single blanks.
        blank_before: put a blank before the text.
    """
    rules = {"lowercase": lowercase, "line_feeds": line_feeds, "tokens": tokens, "single_blanks": single_blanks,
             "blank_before": blank_before}  # fmt: skip
    special = {"boundary": BOUNDARY, "unknown": UNKNOWN if units.has_unknown else None}
    return {**rules, "units": units.name, **special, **_vocabulary(units)}


def _vocabulary(units: Units) -> Facts:
    """Return the units in the order of their ids, and what splits a text into them."""
    if isinstance(units, bpe.BPE):
        letters = "".join(LETTERS[byte] for byte in range(256))
        merges = [list(pair) for pair in units.merges]
        return {"split": bpe.WORD, "byte_letters": letters, "merges": merges, "vocabulary": ["", *units.tokens]}
    if isinstance(units, words.Words):
        return {"split": words.WORD.pattern, "vocabulary": ["", "<unk>", *units.vocabulary]}
    if isinstance(units, Characters):
        return {"vocabulary": ["", "\ufffd", *units.vocabulary]}
    assert isinstance(units, Bytes)
    return {"vocabulary": None}  # the id of byte b is b + 1
