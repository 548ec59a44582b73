import pytest

from elman import GRU, LSTM, Bidirectional, Embedding, Linear, Stack

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def model(tmp_path):
    Stack(Embedding(5, 3), LSTM(3, 4), Linear(4, 2)).save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize(("options", "read", "computed"), [
    ([], "reads x int64 [B, T], lengths int64 [B]\n", "computes y float32 [B, T, "),
    (["--steps", "--opset", "21"], "reads x int64 [B], state.1.h float32 [B, ", "computes y float32 [B, "),
])  # fmt: skip
def test_a_model_is_exported_and_compared(elman, model, tmp_path, options, read, computed):
    file = tmp_path / "model.onnx"
    result = elman("export", model, file, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(read)
    assert computed in result.stdout
    assert "onnxruntime computes the same as the model: largest difference" in result.stdout
    assert f"Written: {file}, 0.0 MB\n" in result.stdout
    onnxruntime.InferenceSession(file)


def test_errors_are_one_line_and_leave_no_file(elman, model, tmp_path):
    Stack(Bidirectional(GRU(3, 4), GRU(3, 4)), Linear(8, 2)).save(tmp_path / "both.safetensors")
    for run, options, message in (
        (tmp_path / "both.safetensors", ["--steps"], "to_onnx: Bidirectional reads whole rows"),
        (tmp_path / "none", [], "none: no such file"),
        (model, ["--opset", "7"], "to_onnx: expected an opset from 18 to "),
    ):
        result = elman("export", run, tmp_path / "model.onnx", *options)
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "model.onnx").exists()
    result = elman("export", model, tmp_path / "none/model.onnx")
    assert result.stderr.endswith(
        f"the folder {tmp_path / 'none'} does not exist; create it, or choose another path.\n"
    )
