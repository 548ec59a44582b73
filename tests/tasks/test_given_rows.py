"""Rows as users have them: results of readers, data frames, and a series or a step alone."""

import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest

import elman
from elman import Captioner, Classifier, LanguageModel, Summarizer, Tagger, Translator
from elman.data.named_rows import NamedSeries
from elman.data.readers import Labelled, read_frame
from elman.data.readers.parallel import Parallel
from elman.data.rows_and_labels import with_targets
from elman.errors import RowError

QUICK = {"hidden_size": 4, "epochs": 6, "learning_rate": 0.05, "bidirectional": False}
ONE_EPOCH = QUICK | {"epochs": 1}
COLUMNS = {"group": "machine", "time": "ts", "label": "state"}
WAY_OUT = r".*elman\.data\.readers\.read_frame\(frame, values="


def table() -> dict[str, list]:
    """Return 20 machines of 8 steps; the mean of `vib` depends on the state."""
    generator = np.random.default_rng(0)
    numbers = np.repeat(np.arange(20), 8)
    temp, vib = generator.normal(size=160), generator.normal(size=160) + 3 * (numbers % 2)
    return {"machine": [f"m{number}" for number in numbers], "ts": list(range(8)) * 20,
            "temp": temp.tolist(), "vib": vib.tolist(),
            "state": ["ab"[number % 2] for number in numbers]}  # fmt: skip


FRAME = pd.DataFrame(table())
ROWS = read_frame(FRAME, values=["temp", "vib"], **COLUMNS)
SWAPPED = read_frame(FRAME, values=["vib", "temp"], **COLUMNS)


@pytest.fixture(scope="module")
def model():
    return Classifier(**QUICK).fit(ROWS)


def same(model, rows):
    return np.array_equal(model.predict_proba(rows), model.predict_proba([*ROWS.inputs]))


def test_the_result_of_a_reader_has_rows_and_labels(model):
    assert model.score(ROWS) == model.score(ROWS.inputs, ROWS.labels) == model.evaluate(ROWS).accuracy == 1
    assert same(model, ROWS)
    again = Classifier(**QUICK).fit(ROWS, ROWS.labels)
    assert same(again, ROWS)
    assert np.array_equal(again.predict_proba(ROWS), model.predict_proba(ROWS))
    assert model.score(ROWS, np.flip(ROWS.labels)) == 0  # y comes first
    held_out = Classifier(**QUICK).fit(ROWS, validation_data=SWAPPED).held_out_
    assert [name.value for name in held_out[0].names] == ROWS.names
    assert len(elman.doctor.examine(model, SWAPPED, context=False, trajectories=0).layers) == 1
    with pytest.raises(ValueError, match="y is None; give a label for each row"):
        Classifier(**QUICK).fit(ROWS._replace(labels=None))


def test_variables_in_another_order_are_reordered(model, tmp_path):
    assert same(model, SWAPPED)
    assert same(model, SWAPPED.inputs)
    assert model.score(SWAPPED) == 1
    assert np.array_equal(model.predict(SWAPPED.inputs[3:5]), model.predict(ROWS.inputs[3:5]))
    frames = [frame[["vib", "temp"]] for _, frame in FRAME.groupby("machine", sort=False)]
    assert same(model, frames)
    frames = [
        frame.select("vib", "temp") for _, frame in pl.DataFrame(table()).group_by("machine", maintain_order=True)
    ]
    assert same(model, frames)
    model.save(tmp_path / "model.safetensors")
    loaded = elman.load(tmp_path / "model.safetensors")
    assert loaded.inputs_.variables == ("temp", "vib")
    assert same(loaded, SWAPPED)
    arrays = [row[:, ::-1] for row in ROWS.inputs]  # without names: in the order of training
    assert not same(model, arrays)


def test_other_variables_are_an_error(model):
    other = read_frame(FRAME.rename(columns={"vib": "hum"}), values=["temp", "hum"], group="machine")
    with pytest.raises(
        RowError, match=r"^machine m0: expected the variables temp, vib, as in training, got temp, hum;"
    ):
        model.predict(other)
    with pytest.raises(RowError, match=r"^validation machine m0: expected the variables temp, vib, as in training"):
        Classifier(**QUICK).fit(ROWS, validation_data=other._replace(labels=ROWS.labels))
    one = [frame for _, frame in FRAME.groupby("machine", sort=False)]
    for columns in (["temp"], ["temp", "vib", "ts"]):
        with pytest.raises(RowError, match=r"^row 0: expected the variables temp, vib, as in training, got "):
            model.predict([one[0][columns]])
    with pytest.raises(RowError, match=r"^row 1: expected the variables temp, vib, as in training, got temp, ts;"):
        Classifier(**QUICK, validation=0).fit([one[0][["temp", "vib"]], one[1][["temp", "ts"]]], ["a", "b"])


def test_rows_of_different_orders_have_the_variables_of_the_first_one_with_names(model):
    rows = [*ROWS.inputs[:5], *SWAPPED.inputs[5:]]
    mixed = Classifier(**QUICK, validation=0).fit([np.asarray(rows[0]), *rows[1:]], ROWS.labels)
    assert mixed.inputs_.variables == ("temp", "vib")
    expected = Classifier(**QUICK, validation=0).fit(ROWS)
    assert np.array_equal(mixed.predict_proba(rows), expected.predict_proba(ROWS))


def test_lists_and_spans_of_series_keep_the_names(model):
    training, test = SWAPPED.inputs[::2], [SWAPPED.inputs[row] for row in (3, 1)]
    trained = Classifier(**QUICK).fit([*training], SWAPPED.labels[:10])
    assert trained.inputs_.variables == ("vib", "temp")
    assert np.array_equal(model.predict_proba(test), model.predict_proba([ROWS.inputs[row] for row in (3, 1)]))
    assert np.array_equal(model.predict_proba([test[0][-3:]]), model.predict_proba([ROWS.inputs[3][-3:]]))


@pytest.mark.parametrize("select", [
    lambda x: x[x[:, 0] > 0], lambda x: x[:, :], lambda x: x[[0, 2]], lambda x: x[1][None], lambda x: x[1:2],
    lambda x: x.astype("f4"), lambda x: x.copy(), lambda x: x[::2, :],
], ids=["mask", "all", "steps", "step", "span", "type", "copy", "every second"])  # fmt: skip
def test_selections_of_steps_keep_the_names(select):
    x = NamedSeries(np.arange(8.0).reshape(4, 2) - 2, ("temp", "vib"))
    assert select(x).variables == ("temp", "vib")


@pytest.mark.parametrize("select", [
    lambda x: x[:, 0], lambda x: x[:, [1, 0]], lambda x: x[:, ::-1], lambda x: x[..., 0], lambda x: x.T,
    lambda x: x + 1, lambda x: x[x > 0], lambda x: x[1][:1], lambda x: x[np.array([[0, 1]])],
])  # fmt: skip
def test_other_results_have_no_names(select):
    x = NamedSeries(np.arange(8.0).reshape(4, 2) - 2, ("temp", "vib"))
    assert select(x).variables is None


def test_columns_of_the_same_name_are_an_error():
    rows = [pd.DataFrame(np.ones((3, 2)), columns=["vib", "vib"])] * 4
    with pytest.raises(ValueError, match=r"row 0: expected columns of different names, got 'vib' twice; rename one"):
        Classifier(**ONE_EPOCH).fit(rows, [0, 1, 0, 1])
    mixed = [pd.DataFrame(np.ones((3, 2)), columns=["vib", 0])] * 4
    assert Classifier(**ONE_EPOCH).fit(mixed, [0, 1, 0, 1]).inputs_.variables == ("vib", "0")


def test_columns_without_names_are_in_order(model):
    frames = [frame[["temp", "vib"]].set_axis([0, 1], axis=1) for _, frame in FRAME.groupby("machine", sort=False)]
    assert same(model, frames)
    trained = Classifier(**QUICK).fit(frames, ROWS.labels)
    assert trained.inputs_.variables is None
    assert not same(trained, SWAPPED)


def test_explanations_show_the_names_of_variables(model):
    found = model.occlusion(ROWS.inputs[0])
    assert found.names == ["temp", "vib"]
    one = SWAPPED._replace(inputs=SWAPPED.inputs[:1])
    frame = FRAME[FRAME.machine == "m0"][["vib", "temp"]]
    for row in (one, one.inputs, frame):
        np.testing.assert_allclose(model.occlusion(row).importance, found.importance)
        gates, expected = (model.activations(given)[0].values["input gate"] for given in (row, ROWS.inputs[0]))
        np.testing.assert_allclose(gates, expected)
    labels = elman.pictures.occlusion(model, one).axes[2].get_yticklabels()
    assert [label.get_text() for label in labels] == ["temp", "vib"]
    with pytest.raises(ValueError, match=r"^Classifier\.occlusion: expected one row, got 20; give one of them"):
        model.occlusion(ROWS)


def test_a_stream_reads_pieces_with_names(model):
    array = ROWS.inputs[0]
    expected = model.stream().read(array)
    frame = FRAME[FRAME.machine == "m0"]
    stream = model.stream()
    np.testing.assert_allclose(stream.read(frame[["vib", "temp"]][:3]), expected[:3])
    np.testing.assert_allclose(stream.read(array[3][None]), expected[3:4])
    with pytest.raises(ValueError, match=r"^ClassifierStream\.read: .* in the column 'machine'; select columns"):
        stream.read(frame)
    with pytest.raises(ValueError, match=r"^ClassifierStream\.read: .*write x\[None\] for one step x \[D\]"):
        stream.read(array[4])
    np.testing.assert_allclose(stream.read(array[4:]), expected[4:])  # the errors left the state as it was


@pytest.mark.parametrize("given", [ROWS.inputs[0], FRAME[FRAME.machine == "m0"][["temp", "vib"]], ROWS.inputs[0][:1]])
def test_a_series_without_a_list_is_an_error(model, given):
    with pytest.raises(RowError, match=r"got \[1\] in a row of 2 steps; write \[x\] for one series x \[T, D\]"):
        model.predict(given)
    assert model.predict([given]).shape == (1,)


@pytest.mark.parametrize(
    "frame", [FRAME, pl.DataFrame(table()), FRAME[["ts", "machine"]]], ids=["pandas", "polars", "two"]
)
def test_a_table_of_series_is_an_error_that_names_the_reader(model, frame):
    for call in (model.predict, lambda X: model.evaluate(X, FRAME.state), lambda X: Classifier().fit(X, FRAME.state)):
        with pytest.raises(ValueError, match=r"^Classifier: .* in the column 'machine'; " + WAY_OUT):
            call(frame)
    with pytest.raises(ValueError, match=r"in the column 'machine'; select columns of numbers" + WAY_OUT):
        model.occlusion(frame)
    with pytest.raises(RowError, match=r"^row 0: .* in the column 'machine'; select columns of numbers" + WAY_OUT):
        model.predict([frame])


@pytest.mark.parametrize("given", [table(), pl.LazyFrame(table()), FRAME.groupby("machine"),
                                   pl.DataFrame(table()).group_by("machine")],
                         ids=["dict", "lazy", "groupby", "group_by"])  # fmt: skip
def test_tables_of_other_kinds_are_errors_that_name_the_reader(model, given):
    for call in (model.predict, lambda X: Classifier().fit(X, ROWS.labels)):
        with pytest.raises(TypeError, match=r"^Classifier: expected a list of rows, got " + WAY_OUT):
            call(given)


@pytest.mark.parametrize("task", [Tagger, Translator, Summarizer, Captioner, LanguageModel])
def test_no_task_reads_the_names_of_columns_as_rows(task):
    y = None if task is LanguageModel else ["a"]
    for given in (FRAME, pl.DataFrame(table()), table()):
        with pytest.raises(
            TypeError, match=rf"^{task.__name__}: expected a list of rows, got .*state; give one of its"
        ):
            task().fit(given, y)


def test_lines_of_a_data_frame_are_series_of_one_variable(caplog):
    lines = FRAME[["temp", "vib"]]
    found = Classifier(**ONE_EPOCH).fit(lines, FRAME.state)
    assert len(found.predict(lines)) == 160
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert (
        "each line of the data frame is read as a series of one variable, whose steps are the columns temp, vib;"
        in (record.getMessage())
    )
    assert "read_frame(" in record.getMessage()


@pytest.mark.parametrize(("rows", "message"), [
    (read_frame(FRAME, values="temp", group="vib"), "each of the 160 series has a single step, for each value of the "
                                                    "column 'vib'; give the column that names the series of each line"),
    (np.ones((160, 1)), "each of the 160 series has a single step; give one array [T, D] per series"),
    ([np.ones((1, 3))] * 160, "each of the 160 series has a single step; give one array [T, D] per series"),
], ids=["group", "array", "list"])  # fmt: skip
def test_series_of_single_steps_are_a_warning(rows, message, caplog):
    Classifier(**ONE_EPOCH, validation=0).fit(with_targets(rows)[0], ["a", "b"] * 80)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [message]


def test_series_of_several_steps_are_no_warning(caplog):
    Classifier(**ONE_EPOCH).fit(ROWS)
    Classifier(**ONE_EPOCH, validation=0).fit(np.ones((4, 2)), ["a", "b"] * 2)
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_every_task_takes_the_result_of_its_reader():
    small = {"hidden_size": 4, "embedding_size": 4, "epochs": 1, "validation": 0}
    tagged = Labelled([["a", "b"], ["b"]] * 4, [["X", "Y"], ["Y"]] * 4, ["f:1"] * 8)
    tagger = Tagger(**small, character_size=0).fit(tagged)
    assert tagger.evaluate(tagged).table() == tagger.evaluate(tagged.inputs, tagged.labels).table()
    assert tagger.predict(tagged) == tagger.predict(tagged.inputs)
    pairs = Parallel(["a b", "b c"] * 4, ["x", "y"] * 4, ["f:1"] * 8)
    for task in (Translator, Summarizer):
        written = task(**small).fit(pairs)
        assert written.evaluate(pairs) == written.evaluate(pairs.sources, pairs.targets)
        assert written.score(pairs) == written.score(pairs.sources, pairs.targets)
        assert written.predict(pairs) == written.predict(pairs.sources)
    texts = Labelled(["a b c d e f g", "b c d e f"] * 9, None, ["f:1"] * 18)
    language = LanguageModel(hidden_size=4, epochs=1, steps=4, streams=2, ngram_order=0, validation=0).fit(texts)
    assert language.evaluate(texts) == language.evaluate(texts.inputs)
