"""Examination of tasks and run folders."""

import pytest
import torch

from elman import Classifier, LanguageModel, Tagger, Translator, load
from elman.doctor import examine
from elman.tasks.run import Run
from elman.tasks.run_source import Source

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
    facts = found_in(load(run), TEXTS, LABELS, dependency=3, run=run).facts
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


def write(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    reviews = write(folder / "reviews.tsv", ["text\tlabel", *map("\t".join, zip(TEXTS, LABELS, strict=True))])
    sentences = write(folder / "names.conll", [f"1 {word} {tag}" for word, tag in zip(WORDS[0], TAGS[0], strict=True)])
    return {
        "classifier": [reviews],
        "tagger": [sentences],
        "translator": [write(folder / "a", ["a b", "c d"]), write(folder / "b", ["b", "d"])],
        "language-model": [write(folder / "text.txt", ["the cat sat on the mat"] * 20)],
    }


@pytest.mark.parametrize(
    ("model", "reading", "data"),
    [
        (Classifier(units="characters", **SMALL), {"text": "text", "label": "label"}, (TEXTS, LABELS)),
        (Tagger(embedding_size=4, character_size=4, **SMALL), {"word": "2"}, (WORDS[:1], TAGS[:1])),
        (Translator(embedding_size=4, **SMALL), {}, (["a b", "c d"], ["b", "d"])),
        (LanguageModel(ngram_order=0, **SMALL), {}, (["the cat sat on the mat\n" * 20],)),
    ],
    ids=lambda value: getattr(value, "task", None),
)
def test_a_run_is_examined_on_its_own_files(model, reading, data, files, tmp_path):
    folder = tmp_path / "run"
    model.fit(*data, run=Run(folder, source=Source(files[model.task], (), reading).to_config()))
    assert found_in(folder).loss == found_in(folder, *data).loss
    assert found_in(folder / "model.safetensors").loss == found_in(model, *data).loss


def test_the_files_of_a_run_that_cannot_be_read_are_one_clear_line(run, tmp_path):
    with pytest.raises(ValueError, match=r"files it was trained on are unknown; give the data: examine.*ab', X, y"):
        examine(run)
    folder, text = tmp_path / "run", write(tmp_path / "gone.txt", ["the cat sat on the mat"] * 20)
    LanguageModel(ngram_order=0, **SMALL).fit(text, run=folder)
    text.unlink()
    with pytest.raises(FileNotFoundError, match=r"gone.txt: is missing, and .*run was trained on it; give the data"):
        examine(str(folder))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"dependency": 0}, "dependency to be a number of steps, at least 1, got 0"),
        ({"dependency": "50"}, "dependency to be a number of steps, at least 1, got '50'"),
        ({"unrolled": 2.5}, "unrolled to be a number of steps"),
        ({"unrolled": 20}, "unrolled: has no effect, because the settings of the classifier set it"),
        ({"clip_norm": 1.0}, "clip_norm: has no effect"),
    ],
)
def test_wrong_facts(run, facts, message):
    with pytest.raises(ValueError, match=message):
        examine(run, TEXTS, LABELS, **facts)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Classifier(), TEXTS, LABELS), ValueError, "Classifier: not fitted yet"),
        (("nowhere", TEXTS, LABELS), FileNotFoundError, "nowhere"),
        ((Classifier(),), TypeError, r"data to examine the classifier on, got none; give examine\(model, X, y\), or"),
        ((torch.nn.LSTM(2, 3),), TypeError, "computes the loss of the module, got none; give"),
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
