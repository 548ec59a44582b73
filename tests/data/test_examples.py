import numpy as np
import pytest

from elman.data.examples import Batches, Encoded, Examples, digest
from elman.errors import RowError
from elman.sequences import Sequences


def test_selected_rows_keep_their_numbers_in_errors():
    examples = Examples(["a", "b", "c", "d"], [1, 2, 3, 4], kind="validation row")
    some = examples.select(np.array([3, 1])).select(np.array([1]))
    assert (some.inputs, some.targets) == (["b"], [2])
    with pytest.raises(RowError, match="validation row 1: bad"), some.numbered():
        raise RowError(0, "bad")


def encoded(generator):
    lengths = generator.integers(1, 20, 100)
    return Encoded(Sequences(np.arange(lengths.sum()), lengths), np.arange(100), lengths)


def test_every_row_once_an_epoch_within_the_budget():
    data = encoded(np.random.default_rng(0))
    batches = Batches(data, 60, 3, seed=1)
    for number, progress in ((1, 0.0), (2, 0.5), (3, 1.0)):
        epoch = batches.epoch(number)
        assert sorted(row for batch in epoch for row in batch.examples.targets.tolist()) == list(range(100))
        for examples, steps, done in epoch:
            assert steps == examples.steps.sum() == examples.inputs.num_steps
            assert steps <= 60 or len(examples) == 1
            assert done == progress
    assert Batches(data, 60, 1, seed=1).epoch(1)[0].progress == 1.0


def test_the_digest_depends_on_values_types_and_lengths():
    def of(values, lengths, targets):
        return digest(Encoded(Sequences(np.array(values), lengths), np.array(targets), np.array(lengths)))

    first = of([0.0, 1, 2, 3], [1, 3], [0, 1])
    assert first == of([0.0, 1, 2, 3], [1, 3], [0, 1])
    others = [of([0.0, 1, 2, 3], [3, 1], [0, 1]), of([0.0, 1, 2, 3], [1, 3], [1, 0]), of([0, 1, 2, 3], [1, 3], [0, 1]),
              of([3.0, 2, 1, 0], [1, 3], [0, 1])]  # fmt: skip
    assert len({first, *others}) == 5
    assert digest([np.arange(3)]) != digest([np.arange(2), np.arange(1)])
