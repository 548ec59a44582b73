import numpy as np
import pytest
import sacrebleu

import elman
from elman.cells import CELLS
from elman.tasks import Summarizer, Translator
from elman.tasks.run import Run
from elman.training import Evaluation

SMALL = {"units": "words", "hidden_size": 24, "encoder_size": 16, "embedding_size": 16, "epochs": 25, "dropout": 0,
         "embedding_dropout": 0, "output_dropout": 0, "label_smoothing": 0, "learning_rate": 1e-2}  # fmt: skip
WORDS = {"the": "der", "old": "alte", "small": "kleine", "dog": "Hund", "cat": "Kater", "sleeps": "schläft",
         "sees": "sieht", "here": "hier"}  # fmt: skip


def pairs(count=150, seed=0):
    """Return sentences and their translations in reverse order, so that the attention has to jump."""
    generator = np.random.default_rng(seed)
    sources = [list(generator.choice([*WORDS], generator.integers(1, 6))) for _ in range(count)]
    return [" ".join(row) for row in sources], [" ".join(WORDS[word] for word in reversed(row)) for row in sources]


def interrupt(event):
    if event.update == 2:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def model():
    return Translator(**SMALL, validation=0).fit(*pairs(400))


def test_it_learns_to_reverse(model):
    sources, targets = pairs(60, seed=1)
    report = model.evaluate(sources, targets)
    assert report.bleu > 90
    assert report.bleu == pytest.approx(sacrebleu.corpus_bleu(model.predict(sources), [targets], force=True).score)
    assert model.score(sources, targets) == report.bleu / 100


def test_attention_is_on_the_word_that_is_translated(model):
    (alignment,) = model.align(["the old dog sleeps"], ["schläft Hund alte der"])
    assert alignment.source == ["the", "old", "dog", "sleeps"]
    assert alignment.target == ["schläft", "Hund", "alte", "der", ""]
    assert alignment.weights[:4].argmax(1).tolist() == [3, 2, 1, 0]


def test_alignments_come_in_the_order_of_the_pairs(model):
    sources, targets = ["the old dog sleeps", "cat", "old dog"], ["schläft Hund alte der", "Kater", "Hund alte"]
    assert [one.source for one in model.align(sources, targets)] == [source.split() for source in sources]


def test_the_source_matters(model):
    sources, targets = pairs(60, seed=1)
    true, shuffled = model.log_probs(sources, targets), model.log_probs(sources[7:] + sources[:7], targets)
    assert true.mean() > shuffled.mean() + 2


def test_n_best_are_different_sorted_and_scored(model):
    (found,) = model.n_best(["the cat sees"], 4, beam=6, length_penalty=0.0)
    texts, scores = zip(*found, strict=True)
    assert len({*texts}) == 4
    assert [*scores] == sorted(scores, reverse=True)
    each = model.log_probs(["the cat sees"] * 4, texts)
    np.testing.assert_allclose(each, scores, atol=1e-4)


def test_an_error_names_the_row_that_was_given(model):
    sources = ["the dog sees the cat here", "the dog"]  # searched in the order of their lengths
    with pytest.raises(ValueError, match=r"^row 0: expected a prefix of at most max_length=2 units, got 3\.$"):
        model.predict(sources, prefixes=["hier hier hier", "hier"], max_length=2)


def test_searches_agree_on_sure_texts(model):
    sources, _ = pairs(20, seed=2)
    scores = [[best[0][1] for best in model.n_best(sources, 1, beam=beam, length_penalty=0.5)] for beam in (1, 5)]
    np.testing.assert_allclose(*scores, atol=1e-5)
    assert model.predict(sources, beam=1) == model.predict(sources, beam=5)
    assert model.predict(sources, beam=1) == [model.predict([source], beam=1)[0] for source in sources]


def test_search_constraints(model):
    source = ["the old cat"]
    assert model.predict(source, prefixes="hier")[0].startswith("hier")
    assert "alte" not in model.predict(source, forbidden=["alte"])[0].split()
    assert len(model.predict(source, min_length=6)[0].split()) >= 6
    assert len(model.predict(source, max_length=1)[0].split()) <= 1
    scores = [model.n_best(source, 1, max_length=1, coverage=coverage)[0][0][1] for coverage in (0.5, 0)]
    assert scores[0] < scores[1] - 0.1  # most of the source is left unread
    with pytest.raises(ValueError, match=r"prefixes: 'Xaver' has a unit that is not in the vocabulary"):
        model.predict(source, prefixes="Xaver")
    with pytest.raises(TypeError, match=r"^beem: unknown; did you mean beam\?$"):
        model.predict(source, beem=3)
    with pytest.raises(ValueError, match=r"forbidden: expected texts of one unit each, got 'der alte', which is 2\."):
        model.predict(source, forbidden=["der alte"])
    with pytest.raises(ValueError, match=r"prefixes: expected one for each of 1 rows, or one text for all, got 2\."):
        model.predict(source, prefixes=["der", "alte"])
    with pytest.raises(ValueError, match=r"beam: expected at least 1, got 0\."):
        model.predict(source, beam=0)


def test_prefix_and_minimum_length_have_room(model):
    most = 2 * model.longest_
    assert len(model.predict(["the"], min_length=most + 3)[0].split()) == most + 3
    prefix = " ".join(["der"] * (most + 1))
    assert model.predict(["the"], prefixes=prefix)[0].startswith(prefix)


def test_samples(model):
    drawn = model.sample(["the dog"] * 200, temperature=3.0, seed=1)
    assert len({*drawn}) > 20
    assert drawn == model.sample(["the dog"] * 200, temperature=3.0, seed=1)
    assert model.sample(["the dog"], temperature=0) == model.predict(["the dog"], beam=1)


def test_a_loaded_model_predicts_the_same(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    again = elman.load(tmp_path / "model.safetensors")
    sources, targets = pairs(20, seed=3)
    assert again.predict(sources) == model.predict(sources)
    assert again.log_probs(sources, targets).tolist() == model.log_probs(sources, targets).tolist()


def test_unknown_words_are_copied():
    sources, targets = pairs(400)
    names = [f"name{number}" for number in range(400)]  # each of them once: rarer than min_count
    sources = [f"{name} {source}" for name, source in zip(names, sources, strict=True)]
    targets = [f"{target} {name}" for name, target in zip(names, targets, strict=True)]
    model = Translator(**SMALL, validation=0, min_count=2).fit(sources, targets)
    assert "name0" not in model.units_.source.ids
    found = model.predict(["Xaver the old dog", "Yvonne sleeps"])
    assert [text.split()[-1] for text in found] == ["Xaver", "Yvonne"]
    model.copy_unknown = False
    assert "<unk>" not in " ".join(model.predict(["Xaver the old dog"]))


@pytest.mark.parametrize(
    ("units", "shared", "attention"),
    [("characters", True, "additive"), ("bpe", False, "additive"), ("words", False, "none")],
)
def test_units_and_shapes_of_nets(tmp_path, units, shared, attention):
    size = {"vocabulary_size": 300} if units == "bpe" else {}
    settings = SMALL | {"units": units, "shared_vocabulary": shared, "attention": attention, "epochs": 1} | size
    events = []
    model = Translator(**settings).fit(*pairs(80), run=Run(tmp_path / "run", observers=[events.append]))
    assert model.units_.shared == shared
    assert [event.epoch for event in events if isinstance(event, Evaluation)] == [1]
    assert len({*model.held_out_[0]}) == 3  # a twentieth of the sources
    assert elman.load(tmp_path / "run").predict(["the dog"]) == model.predict(["the dog"])
    if attention == "none":
        with pytest.raises(ValueError, match="expected a decoder with an Attention layer"):
            model.align(["the"], ["der"])
        with pytest.raises(ValueError, match="coverage: has no effect without attention"):
            model.predict(["the"], coverage=0.1)


def test_options_of_the_net_train(tmp_path):
    settings = SMALL | {"epochs": 2, "num_layers": 2, "input_feeding": True, "scheduled_sampling": 0.5, "cell": "gru",
                        "dropout": 0.1, "tie_weights": False, "bidirectional": False}  # fmt: skip
    model = Translator(**settings).fit(*pairs(40))
    assert len(model.predict(["the dog", "the cat"])) == 2
    assert model.net_.decoder.readout.weight is not model.net_.decoder.embedding.cells[0].weight
    plain = Translator(**settings | {"scheduled_sampling": 0.0}).fit(*pairs(40))
    assert model.log_probs(["the"], ["der"]) != plain.log_probs(["the"], ["der"])


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_can_read_and_write(cell):
    settings = SMALL | {"epochs": 1, "cell": cell, "num_layers": 2, "variational": True, "layer_norm": True,
                        "residual": True, "dropout": 0.1}  # fmt: skip
    model = Translator(**settings, average=0.9, clip_norm=0.5).fit(*pairs(40))
    assert len(model.predict(["the dog"], beam=2)) == 1
    model.probe_loss(["the dog"], ["der"]).loss().backward()
    assert model.net_.decoder.bridge.weight.grad.abs().sum() > 0


def test_a_source_with_several_targets_is_held_out_whole():
    sources = [f"{word} {other}" for word in WORDS for other in WORDS] * 3
    model = Translator(**SMALL | {"epochs": 1}, validation=0.2).fit(sources, [f"a{n % 3}" for n in range(len(sources))])
    held, _ = model.held_out_
    assert all(held.count(source) == 3 for source in held)
    assert len({*held}) == 13


def test_other_targets_are_other_data(tmp_path):
    sources, targets = ["the dog", "the cat"] * 4, ["der Hund", "der"] * 4
    settings = SMALL | {"epochs": 2, "validation": 0}
    with pytest.raises(KeyboardInterrupt):
        Translator(**settings).fit(sources, targets, run=Run(tmp_path / "run", observers=[interrupt]))
    with pytest.raises(ValueError, match=r"the checkpoint of another run: data\.training is"):
        Translator(**settings).fit(sources, ["der", "Hund der"] * 4, run=Run(tmp_path / "run", resume=True))


def test_an_interrupted_run_ends_with_the_same_bits(tmp_path):
    settings = SMALL | {"epochs": 2, "dropout": 0.2, "scheduled_sampling": 0.3}
    whole = Translator(**settings).fit(*pairs(200), run=tmp_path / "whole")

    with pytest.raises(KeyboardInterrupt):
        Translator(**settings).fit(*pairs(200), run=Run(tmp_path / "cut", observers=[interrupt]))
    again = Translator(**settings).fit(*pairs(200), run=Run(tmp_path / "cut", resume=True))
    for one, other in zip(whole.net_.parameters(), again.net_.parameters(), strict=True):
        assert one.tolist() == other.tolist()


@pytest.mark.parametrize("units", ["bpe", "words", "characters", "bytes"])
def test_a_blank_source_is_empty(units):
    model = Translator(**SMALL | {"units": units, "epochs": 1}).fit(*pairs(20))
    assert model.predict(["", " \t "], beam=1) == ["", ""]


def test_empty_and_endless_sources(model, caplog):
    assert model.predict(["", "   ", "the dog"])[:2] == ["", ""]
    assert model.predict([]) == []
    text = "the dog " * 5000
    assert len(model.predict([text], beam=2)[0].split()) <= 2 * model.longest_
    assert "1 of 1 sources have more than 1000 units" in caplog.text


def test_a_beam_wider_than_the_vocabulary(model):
    assert len(model.n_best(["the dog"], 30, max_length=1)[0]) == 10  # each unit and the end; <unk> is copied


def test_long_targets_are_left_out_of_training(caplog):
    sources, targets = pairs(40)
    Translator(**SMALL | {"epochs": 1}, target_limit=3).fit(sources, targets)
    assert "are left out: their targets have more than 3 units (target_limit)" in caplog.text
    with pytest.raises(ValueError, match=r"target_limit: no target has 1 units or less"):
        Translator(**SMALL, target_limit=1).fit(["a a", "b b"] * 4, ["a b", "b a"] * 4)


@pytest.mark.parametrize(
    ("change", "data", "message"),
    [
        ({}, (["a"], ["b", "c"]), r"Translator: expected a target for each of 1 sources, got 2\."),
        ({}, (["a", " "], ["b", "c"]), r"row 1: the source is empty; leave the pair out\."),
        ({}, (["a", "b"], ["b", ""]), r"row 1: the target is empty; leave the pair out\."),
        ({}, ([], []), r"expected rows, got none"),
        ({"attention": "soft"}, (["a"], ["b"]), r"attention: expected one of additive, dot, general, none, got 'soft'"),
        (
            {"shared_vocabulary": True, "target_units": "bpe"},
            (["a"], ["b"]),
            r"shared_vocabulary: has no effect with units",
        ),
        ({"scheduled_sampling": 1.0}, (["a"], ["b"]), r"scheduled_sampling: expected at least 0 and less than 1, got"),
        ({"encoder_size": 0}, (["a"], ["b"]), r"encoder_size: expected at least 1, got 0\."),
    ],
)
def test_bad_input(change, data, message):
    with pytest.raises(ValueError, match=message):
        Translator(**SMALL | change).fit(*data)


def test_a_bad_validation_row_is_named():
    with pytest.raises(ValueError, match=r"^validation row 1: the target is empty"):
        Translator(**SMALL).fit(["a"], ["b"], validation_data=(["a", "b"], ["b", " "]))


def test_one_text_instead_of_a_list(model):
    with pytest.raises(TypeError, match=r"Translator\.predict: expected a list of rows, got one text; put it"):
        model.predict("the dog")
    with pytest.raises(TypeError, match=r"row 0: expected a source that is text, got int\."):
        Translator(**SMALL).fit([1], ["a"])
    with pytest.raises(TypeError, match=r"row 1: expected a source that is text, got NoneType\."):
        model.predict(["the dog", None])


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"beam": 2.5}, r"beam: expected a whole number, got 2\.5\."),
        ({"forbidden": "Hund"}, r"forbidden, prefixes: expected lists of texts, got 'Hund', None\."),
        ({"prefixes": [None]}, r"forbidden, prefixes: expected lists of texts, got \(\), \[None\]\."),
    ],
)
def test_search_options_of_a_wrong_type(model, search, message):
    with pytest.raises(TypeError, match=message):
        model.predict(["the dog"], **search)


def test_summarizer_is_a_translator_with_other_defaults():
    sources, targets = pairs(150)
    model = Summarizer(**SMALL | {"epochs": 3}).fit(sources, [" ".join(text.split()[:2]) for text in targets])
    assert model.units_.shared
    report = model.evaluate(sources[:10], [[text] for text in targets[:10]])
    assert model.score(sources[:10], targets[:10]) == report.rougeL / 100
