"""Surprisal of words against evaluation, against stepping, and against the enumeration of all words."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import elman
from elman import LanguageModel
from elman.metrics import MinimalPairs

TEXT = "the cat sat on the mat and the dog sat on the log\n" * 30
SMALL = {"hidden_size": 8, "embedding_size": 8, "epochs": 1, "steps": 20, "streams": 4, "learning_rate": 1e-2,
         "ngram_order": 3, "validation": 0}  # fmt: skip
TEXTS = ["the cat sat", "", "the €og\n\n  sat  ", "  the \tmat on\n", "mat"]
KINDS = ["characters", "bytes", "words", "bpe"]


@pytest.fixture(scope="module")
def models():
    sizes = {"bpe": 300}
    return {kind: LanguageModel(**SMALL, units=kind, vocabulary_size=sizes.get(kind)).fit(TEXT) for kind in KINDS}


@pytest.fixture(scope="module")
def model(models):
    return models["characters"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_is_the_log_probability_of_evaluate(models, kind):
    model = models[kind]
    found, figures = model.surprisal(TEXTS), [model.evaluate(text) for text in TEXTS]
    assert found.bits * math.log(2) == pytest.approx(model.evaluate(TEXTS).nats, rel=1e-6)
    baseline = found["ngram_surprisal"].sum() * math.log(2)
    assert baseline == pytest.approx(model.evaluate_ngram(TEXTS).nats, rel=1e-12)
    texts = found.per_document()
    assert texts["surprisal"] * math.log(2) == pytest.approx([figure.nats for figure in figures], rel=1e-5)
    assert texts["perplexity"] == pytest.approx([figure.perplexity for figure in figures], rel=1e-4)
    assert texts["units"].tolist() == [figure.units for figure in figures]
    assert texts["unknown"].tolist() == [figure.unknown for figure in figures]
    assert texts["words"].tolist() == [3, 0, 3, 3, 1]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_line_ends_change_nothing(models, kind, end, tmp_path):
    model, other = models[kind], tmp_path / "other.txt"
    text = "the cat\nsat on\n\nthe mat\n"
    other.write_bytes(text.replace("\n", end).encode())
    for same in (other, other.read_bytes().decode()):  # a file, and a Python string
        assert model.evaluate(same) == model.evaluate(text)
        assert list(model.surprisal(same)) == list(model.surprisal(text))
        assert model.evaluate_ngram(same) == model.evaluate_ngram(text)
    prompts = "the cat\n", f"the cat{end}"
    assert len({"".join(model.generate(prompt, length=9)) for prompt in prompts}) == 1
    assert model.stream().read(prompts[0]).tolist() == model.stream().read(prompts[1]).tolist()


def test_line_ends_change_no_training():
    sized = {**SMALL, "units": "characters"}
    unix, windows = (LanguageModel(**sized).fit(text) for text in (TEXT, TEXT.replace("\n", "\r\n")))
    assert windows.units_.to_json() == unix.units_.to_json()
    assert windows.evaluate(TEXTS) == unix.evaluate(TEXTS)


def test_bytes_read_line_ends_unchanged(models):
    model = models["bytes"]
    assert model.evaluate("the cat\r\n").units == model.evaluate("the cat\n").units + 1
    assert model.stream().read("cat\r\n").tolist() != model.stream().read("cat\n").tolist()


@pytest.mark.parametrize("data", [3, None, 2.5, object()])
def test_other_data_than_texts(model, data):
    with pytest.raises(TypeError, match="expected a text, the Path of a file, or a list of them, got"):
        model.evaluate(data)


@pytest.mark.parametrize("kind", KINDS)
def test_no_context_is_carried_from_one_text_to_the_next(models, kind):
    together = models[kind].surprisal(TEXTS)
    for number, text in enumerate(TEXTS):
        alone = models[kind].surprisal(text)
        for name in "surprisal", "ngram_surprisal":
            assert alone[name] == pytest.approx(together[name][together["document"] == number], abs=1e-4)


def probabilities(model, text):
    """Return the probabilities of each unit of a text, and of the units before which a word has ended, by stepping."""
    stream, follows = model.stream(), model.units_.follows_word
    found = []
    for unit in [*model.units_.encode(text).tolist(), 0]:
        probs = np.exp(stream.log_probs)
        found.append((probs[unit], probs[follows].sum()))
        stream.read_unit(unit)
    return np.array(found)


@pytest.mark.parametrize(("kind", "sizes"), [("characters", [3, 4, 1]), ("bytes", [3, 4, 1]), ("bpe", [1, 1, 1])])
def test_a_word_is_its_units_and_its_end(models, kind, sizes):
    units, ends = np.split(-np.log2(probabilities(models[kind], "the cat")), 2, axis=1)
    first, second = sizes[0], sizes[0] + sizes[1]
    expected = [units[:first].sum() + ends[first], units[first:second].sum() - ends[first] + ends[second],
                units[second:].sum() - ends[second]]  # fmt: skip
    assert models[kind].surprisal("the cat")["surprisal"] == pytest.approx(np.ravel(expected), abs=1e-4)


def test_the_probabilities_of_all_words_add_up_to_one():
    model = LanguageModel(**{**SMALL, "epochs": 3}).fit("a aa aaa a aa " * 20)
    assert model.units_.size == 4  # the boundary, <unk>, a and the blank
    longest = 4
    for context, fewest_blanks in ("", 0), ("aa", 1):  # the first word, and the word after aa
        blanks = [" " * count for count in range(fewest_blanks, longest + 1)]
        words = [before + "".join(letters) for before in blanks for size in range(1, longest - len(before) + 1)
                 for letters in product("a?", repeat=size)]  # fmt: skip
        texts = [context + word for word in [*words, *blanks, ""]]
        found = model.surprisal(sorted(set(texts)))
        total = np.exp2(-found["surprisal"][found["position"] == len(context.split())]).sum()
        for text in texts:  # those of `longest` units that go on
            if len(text) == len(context) + longest:
                units, ends = probabilities(model, text).T
                stop = ends[-1] if text.strip() != context else units[-1]
                begun = ends[len(context)] if context else 1
                total += units[len(context) : -1].prod() / begun * (1 - stop)
        assert total == pytest.approx(1, abs=1e-5)


def test_minimal_pairs(model):
    good, bad = ["the cat sat", "the dog sat on", "the log"], ["cat the sat", "the dog sat on", "teh log"]
    pairs = model.minimal_pairs(good, bad)
    assert isinstance(pairs, MinimalPairs)
    for name, evaluate in ("", model.evaluate), ("ngram_", model.evaluate_ngram):
        bits = [[evaluate(text).nats / math.log(2) for text in texts] for texts in (good, bad)]
        assert pairs[f"{name}good_surprisal"] == pytest.approx(bits[0], rel=1e-5)
        assert pairs[f"{name}bad_surprisal"] == pytest.approx(bits[1], rel=1e-5)
        assert pairs[f"{name}correct"].tolist() == [first < second for first, second in zip(*bits, strict=True)]
    assert pairs["ngram_correct"].tolist() == [True, False, True]  # equally probable texts are not correct
    assert pairs.to_json()["n-gram"]["accuracy"] == pytest.approx(2 / 3)
    assert pairs.to_json()["model"]["accuracy"] == pairs.accuracy
    assert repr(pairs) == f"MinimalPairs(3 pairs, accuracy {pairs.accuracy:.4f})"
    assert "3 pairs" in pairs.table()
    assert "0.6667" in pairs.table()


@pytest.mark.parametrize(("good", "bad"), [(["a"], []), ([], [])])
def test_pairs_that_do_not_match_are_errors(model, good, bad):
    with pytest.raises(ValueError, match="expected as many good texts as bad ones"):
        model.minimal_pairs(good, bad)


def test_one_pair_and_other_values(model):
    assert len(model.minimal_pairs("the cat", "cat the")) == 1
    with pytest.raises(TypeError, match=r"minimal_pairs: expected texts, got \w*Path"):
        model.minimal_pairs([Path("a.txt")], ["b"])
    with pytest.raises(ValueError, match="expected at least one text, got none"):
        model.surprisal([])


def test_one_line_and_a_table_in_a_notebook(model):
    found = model.surprisal(["the cat", "<unk>\n"])
    assert repr(found).startswith("Surprisal(3 words of 2 documents, ")
    assert "&lt;unk&gt;" in found._repr_html_()
    names = ["document", "position", "word", "surprisal", "ngram_surprisal", "units", "unknown"]
    assert found.to_pandas().columns.tolist() == names


def test_files_are_read_as_for_evaluate_and_no_ngram_is_no_column(model, tmp_path):
    (tmp_path / "texts.txt").write_text("the cat\nthe dog\n")
    model.save(tmp_path / "model.safetensors")
    alone = elman.load(tmp_path / "model.safetensors").set_params(documents="line")
    found = alone.surprisal(tmp_path / "texts.txt")
    assert "ngram_surprisal" not in found.columns
    assert found["word"].tolist() == ["the", "cat", "</s>", "the", "dog", "</s>"]
    assert alone.minimal_pairs(["the"], ["teh"]).to_json().keys() == {"model"}


def test_probabilities_below_the_smallest_float32(model):
    again = elman.LanguageModel(**SMALL).fit(TEXT)
    for parameter in again.net_.parameters():
        parameter.data.mul_(300)
    found = again.surprisal(TEXTS)
    assert np.isfinite(found["surprisal"]).all()
    assert found.bits * math.log(2) == pytest.approx(again.evaluate(TEXTS).nats, rel=1e-5)


def test_windows_of_an_evaluation_do_not_change_it(model, monkeypatch):
    found = model.surprisal(TEXTS)
    monkeypatch.setattr("elman.runtime.language_model.LOGITS", 5 * model.units_.size)
    monkeypatch.setattr("elman.runtime.ngram_baseline.STEPS", 7)
    again = model.surprisal(TEXTS)
    for name in "surprisal", "ngram_surprisal":
        assert again[name] == pytest.approx(found[name], abs=1e-4)


@pytest.mark.parametrize("X", [None, 5, float("nan"), np.array("a"), object()])
@pytest.mark.parametrize("method", ["fit", "evaluate", "score", "surprisal"])
def test_documents_that_are_no_list(model, method, X):
    again = LanguageModel(**SMALL) if method == "fit" else model
    with pytest.raises(TypeError, match=f"^LanguageModel: expected a .*list of .*, got {type(X).__name__}"):
        getattr(again, method)(X)


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_surrogate_pair_is_an_error_of_its_row(models, kind):
    for method in (models[kind].surprisal, models[kind].evaluate, LanguageModel(**SMALL, units=kind).fit):
        with pytest.raises(ValueError, match=r"^row 1: the text has half a surrogate pair \(U\+D800\) at offset 2"):
            method(["the cat", "a \ud800"])
