"""Training on CoNLL-2003: words and their characters, a bidirectional LSTM, a CRF; against torch.nn and pytorch-crf.

The network and the updates are the defaults of Tagger: only the word embeddings that a batch reads are updated, and
each different word is spelled once per batch. torch.nn receives the same rows in buckets of similar lengths, padded,
with their different words, before the clock starts.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from epochs import ELMAN, Sample, data_folder, losses, peer_losses, prepared, race_epoch
from peak_memory import peak
from report import Claim, Report, claim
from torch_nets import READERS, Sentences, TorchTagger, Trainer

from elman.data.examples import Encoded
from elman.data.readers import read_tagged
from elman.data.row_batches import RowBatch
from elman.tasks import Tagger
from elman.threads import set_num_threads

SHAPE = "CoNLL-2003"
LAYOUTS = {"1000, 63x10": [1000] + [10] * 63, "64x25": [25] * 64, "64x100": [100] * 64}  # steps of 64 rows


def assembled(data: Encoded, batches: Sequence[np.ndarray]) -> list[Sentences]:
    """Return batches of these rows for torch.nn."""
    return [Sentences.of(part.inputs, part.targets) for part in map(data.select, batches)]


def race_training(report: Report, words: Sequence[Any], tags: Sequence[Any]) -> None:
    ready = prepared(Tagger, words, tags)
    task, net, sample = ready.task, ready.task.net_, Sample.of(ready)
    batches = assembled(ready.data, sample.buckets)
    results = {ELMAN: losses(sample, [net.readout.weight, net.word.weight, net.spelling.cells[0].weight])}
    peers = {}
    for name in report.options.peers:
        peer = TorchTagger(net, READERS[name], task)
        results[name] = peer_losses(peer, batches[0], [peer.readout.weight, peer.word.weight, peer.character.weight])
        peers[name] = Trainer(peer, batches).run
    sizes = f"words {task.embedding_size}, characters {task.character_size}, LSTM {task.hidden_size} per direction"
    race_epoch(report, SHAPE, sample, peers, results, sizes)


def train_one(name: str, lengths: list[int], threads: int, begin: Callable[[], None]) -> None:
    """Make an update on a batch of `lengths`, after a first update on one sentence of two words."""
    quiet()
    torch.set_num_threads(threads)
    set_num_threads(threads)
    draw = np.random.default_rng(0)
    words = [["a", "word"], *([f"word{number}" for number in draw.integers(5000, size=length)] for length in lengths)]
    tags = [["B-X" if number % 3 else "B-Y" for number, _ in enumerate(row)] for row in words]
    ready = prepared(Tagger, words, tags)
    batches = [RowBatch(np.arange(1), 2), RowBatch(np.arange(1, len(words)), sum(lengths))]
    if name == ELMAN:
        ready.train(batches, observers=[lambda event: event.update == 1 and begin()])
        return
    warm_up, batch = assembled(ready.data, [batch.rows for batch in batches])
    trainer = Trainer(TorchTagger(ready.task.net_, READERS[name], ready.task), [])
    trainer.update(warm_up)
    begin()
    trainer.update(batch)


def weigh(report: Report) -> dict[str, dict[str, float]]:
    """Print and return the peak memory of a batch in megabytes, by its layout."""
    found: dict[str, dict[str, float]] = {}
    print(f"\n{'peak memory of an update, 64 rows, MB':<48}" + "".join(f"{name:>10}" for name in LAYOUTS))
    for name in (ELMAN, *report.options.peers):
        bytes_ = [peak(train_one, name, lengths, report.options.threads) for lengths in LAYOUTS.values()]
        found[name] = {layout: size / 1e6 for layout, size in zip(LAYOUTS, bytes_, strict=True) if size is not None}
        print(f"  {name:<46}" + "".join(f"{size:10.1f}" for size in found[name].values()), flush=True)
    return found


def quiet() -> None:
    warnings.filterwarnings("ignore", "where received a uint8 condition tensor")  # pytorch-crf's own mask


def claims(report: Report, memory: dict[str, dict[str, float]]) -> list[Claim]:
    ratios = [report.ratio(name, shape=SHAPE) for name in READERS]
    found = claim("CoNLL-2003 tagger, an epoch, against torch.nn padded or packed", 2, ratios)
    if memory[ELMAN]:
        skewed, equal, _ = (memory[ELMAN][name] / sum(lengths) for name, lengths in LAYOUTS.items())
        found += claim("tagger, memory of a step: in equal rows against one long row", 90, [100 * equal / skewed], "%")
    return found


def main() -> None:
    quiet()
    report, folder = Report("tagger", __doc__, peers=list(READERS)), data_folder()
    if folder is None:
        return
    words, tags, _ = read_tagged(folder / "conll2003" / "eng.train.gz")
    race_training(report, words, tags)
    memory = weigh(report)
    report.rows[-1]["megabytes"] = memory
    report.claims = claims(report, memory)
    report.finish()


if __name__ == "__main__":
    main()
