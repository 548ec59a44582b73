import functools
from pathlib import Path

import numpy as np
import pytest
import torch

import elman
from elman import CellSettings, LanguageModel
from elman.runtime.ngram_baseline import NGRAM
from elman.tasks.run import Run
from elman.training import Evaluation, NonFinite, Update

TEXT = "the cat sat on the mat and the dog sat on the log; " * 40
SMALL = {
    "hidden_size": 12,
    "embedding_size": 8,
    "epochs": 2,
    "steps": 20,
    "streams": 4,
    "learning_rate": 1e-2,
    "ngram_order": 3,
}


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel(**SMALL, dropout=0.1).fit(TEXT)


def new_net(model):
    """Return an untrained network with the same settings."""
    with model.seeded():
        return model.build()


def test_it_learns():
    events = []
    model = LanguageModel(**{**SMALL, "epochs": 10}).fit(TEXT, run=Run(observers=[events.append]))
    evaluations = [event.score.value for event in events if isinstance(event, Evaluation)]
    assert len(evaluations) == 10
    assert evaluations[-1] < 1.0 < evaluations[0]
    assert min(evaluations) == model.result_.best
    assert model.evaluate(TEXT).nats_per_character < 1.0


def nats_by_stepping(model: LanguageModel, text: str) -> float:
    stream = model.stream()
    nats = 0.0
    for unit in [*model.units_.encode(text).tolist(), 0]:
        nats -= stream.log_probs[unit]
        stream.read_unit(unit)
    return nats


def test_evaluation_equals_the_stream(model):
    texts = ["the dog sat", "", "a mat; and the cat"]
    report = model.evaluate(texts)
    assert report.nats == pytest.approx(sum(nats_by_stepping(model, text) for text in texts), rel=1e-5)
    assert (report.units, report.characters) == (29 + 3, 29)


@pytest.mark.parametrize("call", ["evaluate", "surprisal"])
def test_an_interrupted_evaluation_restores_gradients_and_the_mode(model, call, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("elman.tasks.language_model.cross_entropy", interrupted)
    monkeypatch.setattr("elman.tasks.language_model.unit_cross_entropy", interrupted)
    model.net_.train()
    with pytest.raises(KeyboardInterrupt) as kept:  # a notebook keeps the traceback, with its frames
        getattr(model, call)(TEXT[:200])
    assert kept.tb is not None
    assert torch.is_grad_enabled()
    assert model.net_.training
    model.net_.eval()


def test_streams_of_an_evaluation_lose_only_context(model):
    together, apart = model.evaluate(TEXT), model.evaluate(TEXT, streams=8)
    assert together.units == apart.units
    assert together.nats < apart.nats < 1.2 * together.nats


def test_the_ngram_is_a_baseline(model):
    report, own = model.evaluate_ngram("the dog sat"), model.evaluate("the dog sat")
    assert (report.units, report.characters) == (own.units, own.characters)
    ids = model.units_.encode("the dog sat")
    state, nats, before = model.ngram_.initial_state(1), 0.0, 0
    for unit in [*ids.tolist(), 0]:
        log_probs, state = model.ngram_.step(np.array([before]), state)
        nats -= log_probs[0, unit]
        before = unit
    assert report.nats == pytest.approx(nats)


def test_generation_continues_a_prompt_and_repeats_with_its_seed(model):
    text = "".join(model.generate("the ", length=60, seed=3))
    assert 0 < len(text) <= 60
    assert text == "".join(model.generate("the ", length=60, seed=3))
    assert text != "".join(model.generate("the ", length=60, seed=4))
    assert set(text) <= set(TEXT)


def test_words_are_separated_from_the_prompt():
    model = LanguageModel(**SMALL, units="words").fit(TEXT)
    assert next(model.generate("the dog", length=1)).startswith(" ")
    assert not next(model.generate(length=1)).startswith(" ")


def test_evaluation_during_training_uses_no_dropout():
    figures = []

    def measure(event):
        if isinstance(event, Evaluation):
            figures.append((model.evaluate("the dog"), model.evaluate("the dog"), model.net_.training))

    model = LanguageModel(**SMALL, dropout=0.5)
    model.fit(TEXT, run=Run(observers=[measure]))
    assert all(first == second and training for first, second, training in figures)


def test_generation_yields_while_it_runs(model):
    pieces = model.generate(length=10_000_000)
    assert next(iter(pieces))


def test_the_greedy_text_is_the_likeliest_unit_of_the_stream(model):
    text = "".join(model.generate("the c", length=5, temperature=0))
    stream = model.stream()
    stream.read("the c")
    for character in text:
        assert stream.most_probable(1)[0][0] == character
        stream.read(character)


def test_a_stream_can_be_forked_and_its_state_put_back(model):
    stream = model.stream()
    stream.read("the cat ")
    twin, kept = stream.fork(), stream.state
    first = stream.read("sat")
    assert np.array_equal(twin.read("sat"), first)
    stream.state = kept
    assert np.array_equal(stream.read("sat"), first)
    assert np.exp(first).sum() == pytest.approx(1)


def test_a_prompt_with_an_unseen_character_leaves_the_stream_where_it_was(model):
    stream = model.stream()
    before = stream.log_probs
    with pytest.raises(
        ValueError, match=r"TextStream.read: character '€' \(U\+20AC\) at offset 4 is not in the vocabulary"
    ):
        stream.read("the €")
    assert stream.log_probs is before


def test_unknown_units_are_counted(model):
    assert model.evaluate("the €og").unknown == 1


@pytest.mark.parametrize("units", ["bytes", "characters", "words", "bpe"])
def test_all_units(units):
    settings = {**SMALL, "units": units, "vocabulary_size": 300 if units == "bpe" else None}
    model = LanguageModel(**settings).fit(TEXT.encode() if units == "bytes" else TEXT)
    report = model.evaluate("the dog sat on the mat" if units != "bytes" else b"the dog sat on the mat")
    assert report.characters == 22
    assert 0 < report.nats_per_character < 6
    assert isinstance("".join(model.generate("the dog", length=5)), str)


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": CellSettings("gru", reset="before")},
        {"cell": CellSettings("rnn", activation="relu", init="identity")},
        {"cell": "rnn", "num_layers": 2, "layer_norm": True, "residual": True},
        {"cell": "min_gru", "variational": True, "dropout": 0.2},
        {"tie_weights": True, "embedding_size": None},
        {"reduction": "sum", "optimizer": "sgd", "learning_rate": 0.5, "clip_norm": 0.25},
        {"steps": None, "streams": 1},
        {"steps": None, "shuffle": False, "init_range": 0.1, "schedule": "step"},
        {"embedding_dropout": 0.2, "dropout": 0.0},
    ],
)
def test_settings_train_and_come_back_from_the_file(settings, tmp_path):
    model = LanguageModel(**{**SMALL, **settings}).fit([TEXT[:600], TEXT[600:1100], TEXT[1100:]])
    model.save(tmp_path / "model.safetensors")
    again = elman.load(tmp_path / "model.safetensors")
    assert again == model  # the settings
    assert again.evaluate("the dog") == model.evaluate("the dog")
    assert again.ngram_ is None


def test_the_recipe_of_zaremba_et_al_is_a_plain_pytorch_loop():
    shape = {"num_layers": 2, "dropout": 0.0, "init_range": 0.5, "reduction": "sum", "shuffle": False, "validation": 0}
    training = {"optimizer": "sgd", "learning_rate": 1.0, "schedule": "step", "epochs": 3, "clip_norm": 5.0}
    text, events = TEXT[:847], []
    recipe = LanguageModel(**{**SMALL, **shape, **training, "hidden_size": 8})
    recipe.fit(text, run=Run(observers=[events.append]))
    ids = torch.tensor([0, *recipe.units_.encode(text), 0])  # 847 targets and the end: 4 streams of 212
    inputs, targets = ids[:-1].view(4, 212), ids[1:].view(4, 212)

    embedding, first, second, readout = new_net(recipe)
    net = torch.nn.LSTM(8, 8, 2, batch_first=True)
    with torch.no_grad():
        for number, cell in enumerate((first, second)):
            theirs = (getattr(net, f"{name}_l{number}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            for weight, ours in zip(theirs, (cell.weight_ih, cell.weight_hh, cell.bias, 0 * cell.bias), strict=True):
                weight.copy_(ours)
    net.bias_hh_l0.requires_grad_(False)  # elman has one bias, PyTorch two
    net.bias_hh_l1.requires_grad_(False)
    weights = [p for p in [*embedding.parameters(), *net.parameters(), *readout.parameters()] if p.requires_grad]
    for epoch in (1, 2, 3):
        state = None
        for window in range(0, 212, 20):
            steps = slice(window, window + 20)
            y, state = net(embedding.weight[inputs[:, steps]], state)
            state = tuple(part.detach() for part in state)
            logits = y @ readout.weight.T + readout.bias
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets[:, steps].flatten(), reduction="sum")
            gradients = torch.autograd.grad(loss / 4, weights)
            norm = sum((gradient**2).sum() for gradient in gradients) ** 0.5
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight -= 0.5 ** (epoch - 1) * min(1, 5 / norm) * gradient
    ours = dict(recipe.net_.named_parameters())
    theirs = {
        "cells.0.weight": embedding.weight,
        "cells.1.weight_ih": net.weight_ih_l0,
        "cells.2.weight_hh": net.weight_hh_l1,
        "cells.2.bias": net.bias_ih_l1,
        "cells.3.weight": readout.weight,
        "cells.3.bias": readout.bias,
    }
    for name, before in new_net(recipe).named_parameters():
        assert (ours[name] - before).abs().max() > 0.1, name
        if name in theirs:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)
    assert any(event.gradient_norm > 5 for event in events)


def test_without_shuffling_all_epochs_cut_the_text_alike():
    def sizes(shuffle):  # of the windows of each epoch
        events = []
        settings = {**SMALL, "epochs": 3, "shuffle": shuffle}
        LanguageModel(**settings).fit([TEXT[:900], TEXT[900:]], run=Run(observers=[events.append]))
        updates = [event for event in events if isinstance(event, Update)]
        return [[event.steps for event in updates if event.epoch == epoch] for epoch in (1, 2, 3)]

    first, *others = sizes(shuffle=False)
    assert others == [first, first]
    assert set(first[:-1]) == {4 * 20}
    first, *others = sizes(shuffle=True)
    assert others != [first, first]


def test_init_range_initialises_every_weight_but_those_of_norms():
    model = LanguageModel(**SMALL, num_layers=2, dropout=0.0, layer_norm=True, init_range=0.3).fit(TEXT)
    for name, weight in new_net(model).named_parameters():
        if name == "cells.2.weight":  # the layer norm
            assert (weight == 1).all()
        elif name == "cells.2.bias":
            assert (weight == 0).all()
        else:
            assert weight.abs().max() <= 0.3, name
            assert weight.std().item() == pytest.approx(0.3 / 3**0.5, rel=0.4), name


def test_weights_before_a_failing_update_are_kept(tmp_path, monkeypatch):
    often = functools.partial(elman.training.train, save_every=0.0)
    monkeypatch.setattr("elman.tasks.base.train", often)
    model, weights = LanguageModel(**SMALL, validation=0), {}

    def corrupt(event):
        if event.update == 3:
            weights.update({name: weight.clone() for name, weight in model.net_.state_dict().items()})
            next(model.net_.parameters()).register_hook(lambda gradient: gradient * torch.nan)

    with pytest.raises(NonFinite, match="update 4"):
        model.fit(TEXT, run=Run(tmp_path / "run", observers=[corrupt]))
    kept = elman.load(tmp_path / "run").net_.state_dict()
    assert weights
    assert all(torch.equal(weight, kept[name]) for name, weight in weights.items())


def test_a_run_folder_is_enough(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    model = LanguageModel(**SMALL).fit(path, run=tmp_path / "run")
    assert {file.name for file in (tmp_path / "run").iterdir()} == {
        "config.toml", "model.safetensors", "log.jsonl", "last.safetensors", "best.safetensors", NGRAM
    }  # fmt: skip
    again = elman.load(tmp_path / "run")
    assert again.evaluate("the dog") == model.evaluate("the dog")
    assert again.evaluate_ngram("the dog") == model.evaluate_ngram("the dog")
    with pytest.raises(FileExistsError, match="exists already"):
        LanguageModel(**SMALL).fit(path, run=tmp_path / "run")


@pytest.mark.parametrize(
    "more",
    [
        {"dropout": 0.3, "embedding_dropout": 0.2, "variational": True},
        {
            "optimizer": "sgd",
            "learning_rate": 1.0,
            "schedule": "step",
            "reduction": "sum",
            "shuffle": False,
            "epochs": 3,
        },
    ],
)
@pytest.mark.parametrize("update", [5, 31])  # in the first epoch, of 26 or 27, and in the second
def test_a_resumed_run_ends_with_the_same_bits(more, update, tmp_path):
    def stop(event):
        if isinstance(event, Update) and event.update == update:
            raise KeyboardInterrupt

    settings = {**SMALL, **more}
    whole = LanguageModel(**settings).fit(TEXT)
    with pytest.raises(KeyboardInterrupt):
        LanguageModel(**settings).fit(TEXT, run=Run(tmp_path / "run", observers=[stop]))
    assert "".join(elman.load(tmp_path / "run").generate(length=3))
    resumed = LanguageModel(**settings).fit(TEXT, run=Run(tmp_path / "run", resume=True))
    for name, tensor in whole.net_.state_dict().items():
        assert torch.equal(tensor, resumed.net_.state_dict()[name]), name


def test_a_run_does_not_go_on_with_another_text(tmp_path):
    LanguageModel(**SMALL).fit(TEXT, run=tmp_path / "run")
    with pytest.raises(ValueError, match="data"):
        LanguageModel(**SMALL).fit(TEXT + "!", run=Run(tmp_path / "run", resume=True))


def test_the_global_generators_are_not_touched():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    LanguageModel(**SMALL).fit(TEXT)
    after = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert torch.equal(after[0], torch.rand(3))
    assert np.array_equal(after[1], np.random.rand(3))  # noqa: NPY002


@pytest.mark.parametrize(
    ("settings", "text", "message"),
    [
        ({}, "to be", "less than one window of 20"),
        ({}, "a" * 500, "expected at least two different ones"),
        ({"cell": "lstn"}, TEXT, "expected one of rnn, lstm"),
        ({"tie_weights": True}, TEXT, "leave it out"),
        ({"dropout": 0.0, "variational": True}, TEXT, "has no effect without dropout"),
        ({"cell": CellSettings("lstm", activation="relu")}, TEXT, "cell.activation: cell=lstm has no such option"),
        ({"residual": True}, TEXT, "has no effect with one layer"),
        ({"validation": 1.5}, TEXT, "at least 0 and less than 1"),
        ({"validation": 0.0, "patience": 2}, TEXT, "has no effect without a validation part"),
        ({"units": "bytes", "min_count": 2}, TEXT, "no setting min_count"),
        ({"reduction": "total"}, TEXT, "mean, sum"),
        ({"init_range": 0.0}, TEXT, "init_range: expected a number above 0, got 0.0"),
        ({"init_range": float("nan")}, TEXT, "init_range: expected a number above 0, got nan"),
        ({"init_range": 0.1, "cell": CellSettings("lstm", init="pytorch")}, TEXT, "cell.init: has no effect"),
        ({"init_range": 0.1, "cell": CellSettings("lstm", forget_bias=3.0)}, TEXT, "cell.forget_bias: has no effect"),
        ({"cell": CellSettings("gru", forget_bias=3.0)}, TEXT, "cell.forget_bias: cell=gru has no such option"),
    ],
)
def test_bad_settings_and_texts_leave_no_run_behind(settings, text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        LanguageModel(**{**SMALL, **settings}).fit(text, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_golden_model_file_has_the_same_likelihood():
    model = elman.load(Path(__file__).parents[1] / "golden" / "language-model-1.safetensors")
    assert model.evaluate("to be or not to be").nats == pytest.approx(54.59797286987305, rel=1e-5)
