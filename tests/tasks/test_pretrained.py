"""Fine-tuning: a training that starts from the weights of another model."""

import logging
import tomllib

import numpy as np
import pytest

import elman
from elman import Captioner, Classifier, LanguageModel, Tagger, Translator
from elman.tasks.run import Run
from elman.training import Interrupted

ROWS, LABELS = ["a b", "b c", "c a a"] * 8, ["x", "y", "x"] * 8
SERIES = [np.cos(np.arange(6.0) * k)[:, None] for k in range(1, 13)]
SENTENCES, TAGS = [["Ann", "Lee", "left"], ["Bob", "left"]] * 8, [["B-PER", "I-PER", "O"], ["B-PER", "O"]] * 8
SMALL = {"hidden_size": 4, "embedding_size": 4, "epochs": 2, "validation": 0}
TINY = {**SMALL, "encoder_size": 4, "units": "characters"}
PICTURES = [np.full((32, 32, 3), shade, np.uint8) for shade in (0, 255)] * 4
TASKS = {
    "classifier": (Classifier(**SMALL), ROWS, LABELS, "predict_proba"),
    "series": (Classifier(hidden_size=4, epochs=2, validation=0, deviations=True), SERIES, [0, 1] * 6, "predict_proba"),
    "balanced": (Classifier(**SMALL, class_weight="balanced"), ROWS, LABELS, "predict_proba"),
    "tagger": (Tagger(**SMALL, character_size=4), SENTENCES, TAGS, "predict_proba"),
    "softmax": (Tagger(**SMALL, character_size=4, output="softmax"), SENTENCES, TAGS, "predict"),
    "language model": (LanguageModel(**SMALL, steps=8, streams=2, tie_weights=True), "abcab" * 20, None, "score"),
    "words": (LanguageModel(**SMALL, steps=8, streams=2, units="words"), "a b c a b " * 20, None, "score"),
    "translator": (Translator(**TINY), ["ab", "ba"] * 8, ["xy", "yx"] * 8, "predict"),
    "captioner": (Captioner(**SMALL, encoder="convolutional", image_size=32, encoder_size=4, min_count=1), PICTURES,
                  ["dark", "bright"] * 4, "predict"),
}  # fmt: skip


def predictions(model, X, method):
    found = getattr(model, method)(X)
    return [np.asarray(row).tolist() for row in found] if isinstance(found, list) else np.asarray(found).tolist()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the run folder of a classifier."""
    run = tmp_path_factory.mktemp("runs") / "pretrained"
    Classifier(**SMALL).fit(ROWS, LABELS, run=run)
    return run


@pytest.mark.parametrize("name", TASKS)
def test_no_epochs_give_the_predictions_of_the_pretrained_model(name, tmp_path):
    model, X, y, method = TASKS[name]
    model.fit(X, y, run=tmp_path / "a")
    settings = model.get_params(deep=False) | {"epochs": 0, "seed": 1}
    for number, pretrained in enumerate([tmp_path / "a", str(tmp_path / "a" / "model.safetensors")]):
        tuned = type(model)(**settings).fit(X, y, pretrained=pretrained, run=tmp_path / f"b{number}")
        assert predictions(tuned, X, method) == predictions(model, X, method)
        assert predictions(elman.load(tmp_path / f"b{number}"), X, method) == predictions(model, X, method)
        assert tuned.result_[:2] == (0, 0)


def test_training_starts_from_the_pretrained_weights(trained):
    before = elman.load(trained).net_.state_dict()
    tuned = Classifier(**SMALL | {"epochs": 1, "learning_rate": 1e-9}).fit(ROWS, LABELS, pretrained=trained)
    for name, tensor in tuned.net_.state_dict().items():
        np.testing.assert_allclose(tensor, before[name], atol=1e-6)


def test_the_vocabulary_is_that_of_the_pretrained_model(trained):
    tuned = Classifier(**SMALL | {"epochs": 0}).fit(["d e f g h"] * 4 + ["a"] * 4, ["x", "y"] * 4, pretrained=trained)
    assert tuned.inputs_.to_json() == elman.load(trained).inputs_.to_json()


def test_known_classes_keep_the_output_layer(trained, caplog):
    caplog.set_level(logging.INFO, "elman")
    before = elman.load(trained)
    tuned = Classifier(**SMALL | {"epochs": 0}).fit(["a", "b"], ["y", "y"], pretrained=trained)  # no row of x
    assert tuned.classes_.tolist() == ["x", "y"]
    assert predictions(tuned, ROWS, "predict_proba") == predictions(before, ROWS, "predict_proba")
    assert caplog.messages[0].startswith(f"weights from {trained}/model.safetensors: cells.0.cells.0.weight, ")
    assert caplog.messages[0].endswith("cells.2.weight, cells.2.bias; new: none")


def test_new_classes_get_a_new_output_layer(trained, caplog):
    caplog.set_level(logging.INFO, "elman")
    before = elman.load(trained).net_.state_dict()
    tuned = Classifier(**SMALL | {"epochs": 0}).fit(ROWS, [*LABELS[:-1], "z"], pretrained=trained)
    assert tuned.classes_.tolist() == ["x", "y", "z"]
    assert caplog.messages[0].endswith("backward_cell.bias; new: cells.2.weight, cells.2.bias")
    for name, tensor in tuned.net_.state_dict().items():
        if name.startswith("cells.2."):
            assert len(tensor) == 3
            assert not tensor.any() or name.endswith("bias")  # the initialisation of a new network
        else:
            assert tensor.equal(before[name])


def test_as_many_new_classes_do_not_take_over_the_weights_of_the_old_ones(trained):
    tuned = Classifier(**SMALL | {"epochs": 0}).fit(ROWS, ["p", "q", "p"] * 8, pretrained=trained)
    assert not tuned.net_.readout.weight.any()


def test_new_tags_get_a_new_output_layer(tmp_path):
    settings = {**SMALL, "character_size": 4}
    before = Tagger(**settings).fit(SENTENCES, TAGS, run=tmp_path / "run").net_.state_dict()
    cities = [["B-LOC", "I-LOC", "O"], ["B-LOC", "O"]] * 8
    tuned = Tagger(**settings | {"epochs": 0}).fit(SENTENCES, cities, pretrained=tmp_path / "run")
    assert set(tuned.tags_) == {"B-LOC", "E-LOC", "I-LOC", "O", "S-LOC"}
    after = tuned.net_.state_dict()
    assert all(after[name].equal(before[name]) for name in before if not name.startswith(("readout.", "chain.")))
    assert not after["readout.weight"].equal(before["readout.weight"])
    assert tuned.predict([["Ann", "Lee"]])


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.0, "input_dropout": 0.0},
        {"dropout": 0.9, "input_dropout": 0.1, "word_dropout": 0.0},
        {"validation": 0.5, "optimizer": "sgd", "learning_rate": 0.1, "patience": 1, "batch_steps": 5},
    ],
)
def test_settings_of_the_training_may_differ(trained, changes):
    tuned = Classifier(**SMALL | {"epochs": 1} | changes).fit(ROWS, LABELS, pretrained=trained)
    assert tuned.result_.updates > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 8}, r"has hidden_size=4, got 8; set hidden_size=4, or train without it\."),
        ({"num_layers": 2}, r"has num_layers=1, got 2; "),
        ({"cell": "gru"}, r"has cell='lstm', got 'gru'; "),
        ({"residual": True, "num_layers": 1}, r"has residual=False, got True; "),
        ({"bidirectional": False}, r"has bidirectional=True, got False; "),
        ({"pooling": "mean"}, r"has pooling='max', got 'mean'; "),
        ({"units": "characters"}, r"has units='words', got 'characters'; "),
        ({"embedding_size": 8}, r"has embedding_size=4, got 8; "),
        ({"weight_dropout": 0.5}, r"expected .*, got .*; train with the settings of the pretrained model\."),
    ],
)
def test_another_network_is_an_error_of_one_line(trained, changes, message):
    model = Classifier(**SMALL | changes)
    with pytest.raises(ValueError, match=message) as caught:
        model.fit(ROWS, LABELS, pretrained=trained)
    assert str(trained) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not hasattr(model, "net_")


def test_a_path_without_a_pretrained_model_of_the_task_is_an_error(trained, tmp_path):
    with pytest.raises(ValueError, match="expected a pretrained tagger, got a classifier; name a run of this task"):
        Tagger().fit(SENTENCES, TAGS, pretrained=trained)
    with pytest.raises(ValueError, match="expected a trained model, got a checkpoint"):
        Classifier(**SMALL).fit(ROWS, LABELS, pretrained=trained / "last.safetensors")
    with pytest.raises(FileNotFoundError, match="no such file"):
        Classifier(**SMALL).fit(ROWS, LABELS, pretrained=tmp_path / "missing", run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_rows_of_another_kind_are_an_error(trained):
    with pytest.raises(TypeError, match=r"expected .*text.*, got"):
        Classifier(**SMALL).fit(SERIES, [0, 1] * 6, pretrained=trained)


@pytest.mark.parametrize("where", ["training", "validation"])
def test_values_that_are_missing_only_in_the_new_rows_are_an_error_that_names_them(where, tmp_path):
    settings = {"hidden_size": 4, "epochs": 1, "validation": 0}
    Classifier(**settings).fit(SERIES, [0, 1] * 6, run=tmp_path / "run")
    gaps = [*SERIES[:-1], np.full((6, 1), np.nan)]
    X, validation = (gaps, SERIES) if where == "training" else (SERIES, gaps)
    row = "row 11" if where == "training" else "validation row 11"
    with pytest.raises(ValueError, match=rf"^{row}: step 0, variable 0 is NaN, but had no missing values in training"):
        Classifier(**settings).fit(X, [0, 1] * 6, validation_data=(validation, [0, 1] * 6), pretrained=tmp_path / "run")


def test_the_run_records_the_origin_and_is_resumed_with_it(trained, tmp_path):
    settings = SMALL | {"epochs": 4, "validation": 0.25}

    def fit(run, **more):
        return Classifier(**settings).fit(ROWS, LABELS, run=run, **more)

    def stop_at_7(event):
        if event.update == 7:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        fit(Run(tmp_path / "cut", observers=[stop_at_7]), pretrained=trained)
    origin = tomllib.loads((tmp_path / "cut" / "config.toml").read_text())["pretrained"]
    assert origin["path"] == str(trained / "model.safetensors")
    assert len(origin["sha256"]) == 64
    whole = fit(tmp_path / "whole", pretrained=trained)
    resumed = fit(Run(tmp_path / "cut", resume=True))
    assert predictions(resumed, ROWS, "predict_proba") == predictions(whole, ROWS, "predict_proba")
    assert fit(Run(tmp_path / "cut", resume=True), pretrained=trained).result_.updates == whole.result_.updates

    other = Classifier(**SMALL | {"seed": 5}).fit(ROWS, LABELS, run=tmp_path / "other")
    with pytest.raises(ValueError, match=r"cut: the run started from .*pretrained/model.safetensors, got .*other"):
        fit(Run(tmp_path / "cut", resume=True), pretrained=tmp_path / "other")
    with pytest.raises(ValueError, match=r"other: the run started from no pretrained model, got "):
        other.fit(ROWS, LABELS, pretrained=trained, run=Run(tmp_path / "other", resume=True))


def test_a_pretrained_model_that_has_changed_is_an_error_on_resuming(tmp_path):
    Classifier(**SMALL).fit(ROWS, LABELS, run=tmp_path / "a")
    Classifier(**SMALL).fit(ROWS, LABELS, pretrained=tmp_path / "a", run=tmp_path / "b")
    Classifier(**SMALL | {"seed": 1}).fit(ROWS, LABELS).save(tmp_path / "a" / "model.safetensors")
    with pytest.raises(ValueError, match=r"b: the run started from .*a/model.safetensors, got .*, which differs"):
        Classifier(**SMALL).fit(ROWS, LABELS, run=Run(tmp_path / "b", resume=True))


@pytest.mark.parametrize("table", ['path = 5\nsha256 = "0"', 'sha256 = "0"', 'path = "a"', "x = 1"])
def test_an_altered_origin_is_an_error_on_resuming(trained, tmp_path, table):
    Classifier(**SMALL).fit(ROWS, LABELS, pretrained=trained, run=tmp_path / "a")
    path = tmp_path / "a" / "config.toml"
    head, _, tail = path.read_text().partition("[pretrained]")
    path.write_text(f"{head}[pretrained]\n{table}\n{tail[tail.index('[settings]') :]}")
    with pytest.raises(ValueError, match=r"config\.toml: pretrained: (path|sha256): expected a text"):
        Classifier(**SMALL).fit(ROWS, LABELS, run=Run(tmp_path / "a", resume=True))


def test_a_plan_reads_the_pretrained_model(trained):
    assert Classifier(**SMALL).plan(ROWS, LABELS, pretrained=trained).updates == 14
    assert Classifier(**SMALL | {"epochs": 0}).plan(ROWS, LABELS, pretrained=trained).seconds == 0.0
    with pytest.raises(ValueError, match="has hidden_size=4, got 8"):
        Classifier(**SMALL | {"hidden_size": 8}).plan(ROWS, LABELS, pretrained=trained)
