import itertools

import numpy as np
import pytest
import torch

import elman
from elman import Tagger
from elman.classical.tag_schemes import check_tags, convert
from elman.errors import RowError
from elman.tasks.run import Run
from elman.tasks.tagger_net import as_tensors
from elman.training import Evaluation, Interrupted, Score

PEOPLE, PLACES, VERBS = ["Ann", "Bob", "Lee", "Kim"], ["Rome", "Oslo", "Lima"], ["saw", "left", "met"]
SMALL = {"hidden_size": 16, "embedding_size": 12, "character_size": 6, "learning_rate": 1e-2, "epochs": 6,
         "dropout": 0.1, "input_dropout": 0.1}  # fmt: skip


def sentences(count=120, scheme="BIO"):
    """Return sentences with persons of one or two words, and places; two persons may be adjacent."""
    generator = np.random.default_rng(0)
    rows, tags = [], []
    for _ in range(count):
        words, inside = [], []
        for part in ("person", "person", "verb", "place"):
            if part == "person" and generator.random() < 0.8:
                size = int(generator.integers(1, 3))
                words += generator.choice(PEOPLE, size).tolist()
                inside += ["B-PER"] + ["I-PER"] * (size - 1)
            elif part != "person":
                words.append(str(generator.choice(VERBS if part == "verb" else PLACES)))
                inside.append("O" if part == "verb" else "B-LOC")
        rows.append(words)
        tags.append(convert(inside, "BIO", scheme))
    return rows, tags


@pytest.fixture(scope="module")
def model():
    return Tagger(**SMALL).fit(*sentences())


def test_it_learns():
    events = []
    rows, tags = sentences(300)
    model = Tagger(**SMALL | {"epochs": 12}).fit(rows[:200], tags[:200], run=Run(observers=[events.append]))
    scores = [event.score for event in events if isinstance(event, Evaluation)]
    assert len(scores) == 12
    assert {score._replace(value=0) for score in scores} == {Score("F1", 0, higher_is_better=True)}
    assert scores[-1].value > scores[0].value
    assert model.result_.best == max(score.value for score in scores)
    report = model.evaluate(rows[200:], tags[200:])
    assert report.by_label.f1[list(report.labels).index("LOC")] == 1.0
    assert model.score(rows[200:], tags[200:]) == report.f1 > 0.6  # the boundary between adjacent persons is random


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "IOBES", "BILOU"])
def test_tags_come_back_in_their_scheme(scheme):
    rows, tags = sentences(40, scheme)
    model = Tagger(**SMALL | {"epochs": 1}).fit(rows, tags)
    assert model.scheme_ == scheme
    for row in model.predict(rows):
        check_tags(row, scheme)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_forbidden_tags_are_never_predicted(output):
    rows, tags = sentences(40)
    model = Tagger(**SMALL | {"epochs": 1}, output=output).fit(rows, tags)
    with torch.no_grad():
        model.net_.readout.weight.normal_(0, 5)  # random scores, which favour forbidden tags too
    for row in model.predict(rows):
        check_tags(row, "BIO")


def test_softmax_predicts_the_most_probable_tag_of_each_word():
    rows, tags = sentences(40)
    plain = [["P" if tag.endswith("PER") else tag[0] for tag in row] for row in tags]
    model = Tagger(**SMALL, output="softmax").fit(rows, plain)
    assert model.scheme_ is None
    best = [[model.tags_[k] for k in row.argmax(1)] for row in model.predict_proba(rows)]
    assert model.predict(rows) == best
    pairs = zip(itertools.chain(*best), itertools.chain(*plain), strict=True)
    assert model.score(rows, plain) == np.mean([found == true for found, true in pairs])


def test_marginals_are_those_of_all_rows_of_tags(model):
    row = ["Ann", "met", "Zoe"]
    [marginals] = model.predict_proba([row])
    chain = model.net_.chain.crf()
    with model.evaluating():
        x = model.net_(as_tensors(model.words_.encode([row]))).values.double().numpy()
    total = np.zeros_like(x)
    for path in itertools.product(range(len(model.tags_)), repeat=3):
        weight = chain.start_[path[0]] + chain.end_[path[2]] + sum(x[t, k] for t, k in enumerate(path))
        weight += sum(chain.transitions_[a, b] for a, b in itertools.pairwise(path))
        for t, k in enumerate(path):
            total[t, k] += np.exp(weight)
    np.testing.assert_allclose(marginals, total / total.sum(1, keepdims=True), rtol=1e-6, atol=1e-12)


def test_order_and_batch_of_sentences_do_not_matter(model):
    rows, _ = sentences(30)
    alone = [model.predict([row])[0] for row in rows]
    assert model.predict(rows) == alone
    assert model.predict(rows[::-1]) == alone[::-1]


def test_empty_sentences_have_no_tags(model):
    assert model.predict([[], ["Ann"], []])[::2] == [[], []]
    assert model.predict([]) == []


def test_a_loaded_model_predicts_the_same(model, tmp_path):
    rows, _ = sentences(20)
    model.save(tmp_path / "model.safetensors")
    again = elman.load(tmp_path / "model.safetensors")
    assert again.predict(rows) == model.predict(rows)
    assert again.get_params() == model.get_params()
    assert (again.tags_, again.scheme_) == (model.tags_, model.scheme_)


def test_a_run_resumed_after_an_interrupt_ends_with_the_same_bits(tmp_path):
    rows, tags = sentences(60)

    def stop(event):
        if getattr(event, "update", 0) == 5:
            raise KeyboardInterrupt

    whole = Tagger(**SMALL | {"epochs": 3}).fit(rows, tags, run=tmp_path / "whole")
    with pytest.raises(Interrupted):
        Tagger(**SMALL | {"epochs": 3}).fit(rows, tags, run=Run(tmp_path / "cut", observers=[stop]))
    cut = Tagger(**SMALL | {"epochs": 3}).fit(rows, tags, run=Run(tmp_path / "cut", resume=True))
    for one, other in zip(whole.net_.parameters(), cut.net_.parameters(), strict=True):
        assert torch.equal(one, other)


def test_additional_columns_are_read():
    """Here the word carries no information, and the additional column determines the tag."""
    generator = np.random.default_rng(0)
    kinds = [generator.integers(0, 2, 5).tolist() for _ in range(80)]
    rows = [[("w", "ab"[kind]) for kind in row] for row in kinds]
    tags = [["XY"[kind] for kind in row] for row in kinds]
    assert Tagger(**SMALL).fit(rows, tags).score(rows, tags) == 1.0


def test_broken_tags_are_an_error_or_repaired():
    rows, tags = sentences(40)
    tags[7] = ["O"] * (len(tags[7]) - 1) + ["I-LOC"]
    broken = (
        r"^row 7, step \d: expected O or B-... after O in BIO, got I-LOC; correct it, .*\(--repair\) .* scheme=none"
    )
    with pytest.raises(ValueError, match=broken):
        Tagger(**SMALL).fit(rows, tags)
    model = Tagger(**SMALL | {"epochs": 1}, repair=True).fit(rows, tags)
    assert model.scheme_ == "BIO"


@pytest.mark.parametrize(
    ("rows", "tags", "error"),
    [
        ([["a", "b"]], [["X"]], "row 0: expected a tag for each of 2 words, got 1 tags"),
        ([["a"]], [["X"], ["Y"]], "expected tags for each of 1 sentences, got tags for 2"),
        ([["a"], ["b"]], [["X"], ["X"]], r"expected at least two tags, got \['X'\]"),
        ([["a"], ["b"]], [["B-"], ["O"]], "B-"),
    ],
)
def test_unusable_rows(rows, tags, error):
    with pytest.raises(ValueError, match=error):
        Tagger(**SMALL, validation=0).fit(rows, tags)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"output": "crv"}, "output: expected one of crf, softmax, got 'crv'; did you mean crf?"),
        ({"scheme": "BOI"}, "BOI"),
        ({"hidden_size": 0}, "hidden_size: expected at least 1, got 0"),
        ({"validation": 1.0}, "validation: expected at least 0 and less than 1, got 1.0"),
        ({"variational": True, "dropout": 0.0}, "variational: has no effect without dropout"),
    ],
)
def test_settings_without_effect(settings, error):
    with pytest.raises(ValueError, match=error.replace("?", r"\?")):
        Tagger(**SMALL | settings).fit(*sentences(10))


def test_an_unfitted_model_raises():
    with pytest.raises(ValueError, match="Tagger: not fitted yet; call fit first"):
        Tagger().predict([["a"]])


@pytest.mark.parametrize("seed", range(50))
def test_a_tag_of_one_sentence_is_never_held_out(seed):
    rows, tags = [["a", "b"], ["b", "a"], ["a"]] * 6 + [["c"]], [["X", "Y"], ["Y", "X"], ["X"]] * 6 + [["Z"]]
    model = Tagger(**SMALL | {"epochs": 1, "seed": seed}, validation=0.2)
    training, held_out = model.split(model.read(rows, tags))
    assert ["Z"] in training.targets
    assert len(held_out) > 0
    if seed < 3:
        assert model.fit(rows, tags).tags_ == ["X", "Y", "Z"]


@pytest.mark.parametrize(
    ("rows", "tags", "message"),
    [
        ([["a"], ["b"]], [["X"], [1]], "row 1: expected tags that are text, got int 1"),
        ([["a"], ["b"]], [["X"], [None]], "row 1: expected tags that are text, got NoneType None"),
        ([["a"], iter(["b"])], [["X"], ["Y"]], "row 1: expected a list of words, got list_iterator"),
        ([["a"], 3], [["X"], ["Y"]], "row 1: expected a list of words, got int"),
        (None, [["X"]], "Tagger: expected a list of rows, got NoneType"),
        ([["a"]], 3, "Tagger: expected a list of rows, got int"),
        ("ab", ["X", "Y"], "Tagger: expected a list of rows, got one text"),
    ],
)
def test_sentences_and_tags_of_a_wrong_type(rows, tags, message):
    with pytest.raises(TypeError, match=message):
        Tagger(**SMALL).fit(rows, tags)


def test_a_tag_of_the_validation_data_alone_is_an_error():
    with pytest.raises(RowError, match="validation row 1, step 0: the training rows do not have the tag 'Z'") as caught:
        Tagger(**SMALL).fit([["a", "b"]] * 4, [["X", "Y"]] * 4, validation_data=([["a"], ["b"]], [["X"], ["Z"]]))
    assert (caught.value.row, caught.value.kind) == (1, "validation row")
    with pytest.raises(RowError, match="the training rows do not have the tag 'B-NEW'"):  # not S-NEW, as it is learnt
        Tagger(**SMALL).fit([["a", "b"]] * 4, [["B-OLD", "O"]] * 4, validation_data=([["a"]], [["B-NEW"]]))


@pytest.mark.parametrize(
    ("rows", "tags", "changes"),
    [
        ([[], []], [[], []], {}),
        ([[]], [[]], {"scheme": "none"}),
        (None, None, {"validation": 0.5}),  # the held-out sentences are empty
    ],
)
def test_a_validation_set_without_words_is_an_error_before_the_training(rows, tags, changes):
    sentences, given = [["Ann", "left"], [], [], []], [["B-PER", "O"], [], [], []]
    with pytest.raises(ValueError, match=r"Tagger\.fit: expected words to validate on, got \d empty sentences; give"):
        Tagger(**SMALL | changes).fit(sentences, given, validation_data=None if rows is None else (rows, tags))


def test_plain_text_is_split_and_its_tags_have_their_places(model):
    text = "Ann saw Lee in Rome."
    found = model.predict(text)
    words = ["Ann", "saw", "Lee", "in", "Rome", "."]
    assert [word.word for word in found] == [text[word.start : word.stop] for word in found] == words
    assert [word.tag for word in found] == model.predict([words])[0]
    assert model.predict([text, "", "Oslo!"]) == [found, [], model.predict("Oslo!")]
    assert model.predict([]) == []
    assert [part.texts for part in model.activations(text)] == 2 * [words]


def test_plain_text_for_training_or_with_given_tags_is_refused(model):
    with pytest.raises(TypeError, match=r"got a string; split it with elman.data.tokenizer.tokenize"):
        Tagger(**SMALL).fit(["ab", "cd"] * 10, [["X", "Y"]] * 20)
    with pytest.raises(TypeError, match="expected a list of words, got a string"):
        model.predict([["Ann"], "Lee"])
    given = Tagger(**SMALL | {"epochs": 1}, validation=0).fit([[("Ann", "N"), ("saw", "V")]] * 8, [["A", "B"]] * 8)
    with pytest.raises(ValueError, match="as in training, got plain text; give a list of tuples"):
        given.predict("Ann saw")
