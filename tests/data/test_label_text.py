"""Equal labels are equal from every format, and a model trained on one format is evaluated on another."""

from decimal import Decimal

import numpy as np
import polars
import pytest

from elman import Classifier
from elman.data.label_text import label_text, label_value
from elman.data.readers import read_frame, read_labelled

LABELS = {
    "floats": ([1.0, 0.0], ["1", "0"]),
    "negative floats": ([-1.0, 10.0], ["-1", "10"]),
    "integers": ([1, 0], ["1", "0"]),
    "booleans": ([True, False], ["true", "false"]),
    "capitals": (["TRUE", "False"], ["true", "false"]),
    "text of floats": (["1.0", "0.00"], ["1", "0"]),
    "fractions": ([0.5, 1.0], ["0.5", "1"]),
    "versions": (["1.10", "v1.0"], ["1.10", "v1.0"]),
    "codes": (["007", "1e5"], ["007", "1e5"]),
    "words": (["good", "Bad"], ["good", "Bad"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_equal_in_every_format(tmp_path, kind):
    labels, text = LABELS[kind]
    frame = polars.DataFrame({"text": ["a", "b"], "x": [1.0, 2.0], "label": labels})
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_parquet(tmp_path / "a.parquet")
    for name in ["a.csv", "a.tsv", "a.jsonl", "a.parquet"]:
        assert read_labelled(tmp_path / name, text="text", label="label").labels == text
        series = read_labelled(tmp_path / name, values="x", group="text", label="label")
        assert series.labels == text
    if not isinstance(labels[0], float):
        np.savez(tmp_path / "a.npz", values=np.zeros((2, 3, 1)), labels=labels)
        assert read_labelled(tmp_path / "a.npz").labels == text
    words = [str(label) for label in labels]
    (tmp_path / "a.ts").write_text(f"@classLabel true {' '.join(words)}\n@data\n1:{words[0]}\n2:{words[1]}\n")
    assert read_labelled(tmp_path / "a.ts").labels == text


@pytest.mark.parametrize(
    ("value", "kept", "text"),
    [(True, True, "true"), (np.True_, True, "true"), (np.int8(3), 3, "3"), (np.float32(3), 3, "3"), (0.5, 0.5, "0.5"),
     (" a ", "a", "a"), ("1.0", "1.0", "1"), (Decimal("1.0"), "1.0", "1"), (1e20, 10**20, "1" + 20 * "0")],
)  # fmt: skip
def test_values_and_their_text(value, kept, text):
    assert label_value(value) == kept
    assert type(label_value(value)) is type(kept)
    assert label_text(value) == text
    assert label_text(label_text(value)) == text


TEXTS = ["abab", "cdcd"] * 6


def fitted(labels):
    return Classifier(units="characters", hidden_size=4, epochs=1, validation=0).fit(TEXTS, labels * 6)


@pytest.mark.parametrize(
    "trained", [[1, 0], [True, False], [1.0, 0.0], ["1", "0"], ["true", "false"], ["True", "False"]]
)
def test_a_model_trained_on_one_format_is_evaluated_on_another(tmp_path, trained):
    frame = {"text": TEXTS, "label": trained * 6}
    read = read_frame(frame, text="text", label="label")
    assert [type(label) for label in read.labels[:2]] == [int if trained[0] == 1.0 and trained[0] is not True
                                                          else type(trained[0])] * 2  # fmt: skip
    polars.DataFrame(frame).write_csv(tmp_path / "a.csv")
    stored = read_labelled(tmp_path / "a.csv", text="text", label="label")
    models = fitted(trained), fitted(stored.labels[:2])
    for model in models:
        reports = [model.evaluate(TEXTS, labels) for labels in (trained * 6, read.labels, stored.labels)]
        assert len({report.accuracy for report in reports}) == 1
        assert all(len(report.classes) == 2 for report in reports)
    model = models[0].fit(TEXTS, trained * 6, validation_data=(stored.inputs, stored.labels))
    assert model.classes_.tolist() == sorted(trained)


def test_classes_with_one_spelling_stay_different():
    model = fitted(["1", "1.0"])
    assert model.classes_.tolist() == ["1", "1.0"]
    assert model.evaluate(["abab", "cdcd"], ["1", "1.0"]).classes == ("1", "1.0")


@pytest.mark.parametrize("label", [["x"], {"a": 1}, b"x", ("x", "y"), np.array(["x"])], ids=repr)
def test_a_label_is_one_value_of_text_or_a_number(label):
    with pytest.raises(ValueError, match="row 1: expected one value in 'label', text or a number, got "):
        read_frame({"text": ["a", "b"], "label": ["x", label]}, text="text", label="label")


@pytest.mark.parametrize("label", ['["x"]', '{"a": 1}', "[]"])
def test_a_label_of_a_jsonl_file_is_one_value(tmp_path, label):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "ab", "label": {label}}}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl:1: expected one value in 'label', text or a number"):
        read_labelled(tmp_path / "a.jsonl", text="text", label="label")
