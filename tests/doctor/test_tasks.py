"""Examination of tasks and run folders."""

import pytest
import torch

from elman import Classifier, LanguageModel, Tagger, load
from elman.doctor import Facts, examine

SMALL = {"hidden_size": 6, "epochs": 2, "validation": 0}
TEXTS, LABELS = ["abab", "aba", "cdc", "cdcd"] * 4, ["ab", "ab", "cd", "cd"] * 4
WORDS, TAGS = [["Ann", "met", "Lee"], ["Rome"]] * 8, [["B-PER", "O", "B-PER"], ["B-LOC"]] * 8


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "ab"
    Classifier(units="characters", **SMALL).fit(TEXTS, LABELS, run=folder)
    return folder


def found_in(model, *data, **options):
    return examine(model, *data, trajectories=0, context=False, **options)


def test_a_run_folder_and_the_model_in_it_give_the_same_figures(run):
    model = load(run)
    by_folder, by_file, by_model = (
        found_in(one, TEXTS, LABELS) for one in (str(run), run / "model.safetensors", model)
    )
    assert by_folder.loss == by_file.loss == by_model.loss
    with torch.no_grad():
        assert by_model.loss == pytest.approx(float(model.probe_loss(TEXTS, LABELS).loss()))
    assert [layer.name for layer in by_folder.layers] == [layer.name for layer in by_model.layers]
    assert by_folder.facts.run == by_file.facts.run == run
    assert len(by_folder.facts.history.updates) > 0
    assert by_model.facts.history is None
    assert f"<h1>classifier: {run}</h1>" in by_folder._repr_html_()


def test_known_facts_are_kept_and_those_of_the_task_are_filled_in(run):
    facts = found_in(load(run), TEXTS, LABELS, facts=Facts(dependency=3, run=run)).facts
    assert (facts.dependency, facts.task, facts.clip_norm) == (3, "classifier", load(run).clip_norm)
    assert facts.texts == {"": [*"abab"]}
    assert facts.history is not None


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (Tagger(embedding_size=4, character_size=4, **SMALL), (WORDS, TAGS)),
        (LanguageModel(ngram_order=0, **SMALL), (["the cat sat on the mat; " * 20],)),
    ],
)
def test_tasks_are_examined_on_the_data_of_their_fit(model, data):
    found = found_in(model.fit(*data), *data)
    assert found.facts.task == model.task
    assert all(layer.cell.class_name == "LSTM" for layer in found.layers)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Classifier(), TEXTS, LABELS), ValueError, "Classifier: not fitted yet"),
        (("nowhere", TEXTS, LABELS), FileNotFoundError, "nowhere"),
        ((3, TEXTS), TypeError, "expected a trained task, a run folder or a PyTorch module, got int"),
        ((torch.nn.LSTM(2, 3), torch.zeros(4, 2)), TypeError, "computes the loss of the module, got Tensor; give"),
        ((torch.nn.LSTM(2, 3), lambda: 0, LABELS), TypeError, "got data and targets"),
    ],
)
def test_other_models_and_data_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        examine(*arguments)


def test_targets_that_do_not_fit_are_an_error_about_the_data(run):
    with pytest.raises(ValueError, match="16"):
        examine(run, TEXTS, LABELS[:3])
