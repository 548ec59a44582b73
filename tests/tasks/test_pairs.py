import numpy as np

from elman.sequences import Sequences
from elman.tasks.pairs import PairBatches, Pairs


def test_every_pair_once_an_epoch_within_the_budget():
    generator = np.random.default_rng(0)
    sources, targets = generator.integers(1, 20, (2, 100))
    batches = PairBatches(sources, targets, 60, 3, seed=1)
    for number, part in ((1, 0.0), (2, 0.5), (3, 1.0)):
        epoch = batches.epoch(number)
        assert sorted(row for batch in epoch for row in batch.rows.tolist()) == list(range(100))
        for rows, steps, done in epoch:
            assert steps == (targets[rows] + 1).sum()
            assert (sources[rows] + targets[rows] + 1).sum() <= 60 or len(rows) == 1
            assert done == part
    assert PairBatches(sources, targets, 60, 1, seed=1).epoch(1)[0].part == 1.0


def test_the_digest_sees_where_targets_end():
    sources = Sequences(np.arange(4), [2, 2])
    one, other = (Pairs(sources, Sequences(np.arange(4), lengths)) for lengths in ([1, 3], [2, 2]))
    assert one.digest() != other.digest()
    assert one.digest() == Pairs(sources, Sequences(np.arange(4), [1, 3])).digest()
    assert one.steps.tolist() == [4, 6]
    assert one.select(np.array([1])).targets.values.tolist() == [1, 2, 3]
