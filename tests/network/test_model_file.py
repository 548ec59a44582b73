import subprocess
import sys

import numpy as np
import pytest

from elman import network
from elman.files import write_tensors


def test_a_model_file_or_its_folder(tmp_path):
    write_tensors(tmp_path / network.MODEL, {"weight": np.arange(6.0).reshape(2, 3)}, {"schema": 1, "task": "any"})
    for path in (tmp_path, str(tmp_path), tmp_path / network.MODEL):
        file = network.read_model(path)
        assert file.metadata["task"] == "any"
        assert np.array_equal(file.tensors["weight"], [[0, 1, 2], [3, 4, 5]])


def test_a_trained_model_is_read_without_pytorch(tmp_path):
    from elman import LanguageModel

    settings = {"hidden_size": 8, "epochs": 1, "steps": 10, "streams": 2, "ngram_order": 0, "validation": 0}
    LanguageModel(**settings).fit("to be or not to be " * 10, run=tmp_path / "run")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from elman import network; file = network.read_model(sys.argv[1])\n"
        "print(file.metadata['task'], sum(array.size for array in file.tensors.values()))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "language-model"
    assert int(done.stdout.split()[1]) > 8 * 4 * 8


def test_a_folder_without_a_model_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file"):
        network.read_model(tmp_path)
