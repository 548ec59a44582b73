"""Training on Multi30k, English to German, and translating its test of 2016: LSTMs with attention; against torch.nn.

The network and the updates are those of a Translator with 5,000 units for each language, in batches of about 64 pairs.
torch.nn receives pairs in buckets of similar lengths, cut from the whole epoch: of one source length each, so that no
source is padded; or of similar target and source lengths, whose sources are packed. Both translate with the weights of
one epoch.
"""

import gzip
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from epochs import ELMAN, UPDATES, Prepared, Sample, data_folder, losses, peer_losses, prepared, race_epoch
from peak_memory import peak
from report import Claim, Report, claim
from timing import Contestant
from torch_nets import Trainer
from torch_translator import Sentences, TorchTranslator, Writer

from elman.data.row_batches import RowBatch
from elman.tasks import Translator
from elman.threads import set_num_threads

SHAPE = "Multi30k"
PEERS = ["one length", "packed"]
TOLERANCE = 3e-4  # of the largest value: the gradient of tied weights is a sum over thousands of steps and units
BEAMS = {1: ("greedily", 900), 5: ("a beam of 5", 250)}  # target: sentences per second on two threads
SETTINGS: dict[str, Any] = {"lowercase": True, "vocabulary_size": 5000}
LAYOUTS = {"200, 63x10": [200] + [10] * 63, "64x25": [25] * 64}  # words of 64 sources and of their targets


def sample_of(ready: Prepared, one_length: bool) -> Sample:
    """Return updates spread over an epoch, and over its buckets."""
    sides = [ready.data.inputs.lengths, ready.data.targets.steps]
    steps, epoch = ready.data.steps, ready.batches.rows.epoch(1)
    order = np.lexsort(sides[::-1] if one_length else sides)
    cuts = np.diff(np.cumsum(steps[order]) // (steps.sum() / len(epoch))) > 0
    if one_length:
        cuts |= np.diff(sides[0][order]) > 0
    buckets = np.split(order, np.flatnonzero(cuts) + 1)
    count = round(len(buckets) * UPDATES / len(epoch))  # equally many pairs in smaller buckets
    taken = [buckets[i] for i in _spread(len(buckets), count)]
    taken = [taken[i] for i in np.random.default_rng(0).permutation(len(taken))]
    batches = [epoch[i] for i in _spread(len(epoch), UPDATES)]
    read = sum(int(steps[batch.rows].sum()) for batch in batches)
    return Sample(ready, batches, taken, len(epoch), steps.sum() / read, sides)


def _spread(size: int, count: int) -> list[int]:
    """Return `count` numbers below `size`, evenly spaced."""
    return [int((i + 0.5) * size / count) for i in range(count)]


def race_training(report: Report, ready: Prepared) -> None:
    samples = {name: sample_of(ready, name == PEERS[0]) for name in PEERS}
    task, net = ready.task, ready.task.net_
    own = [net.decoder.readout.weight, net.encoder.cells[0].weight, net.decoder.attention.weight_key]
    for name in report.options.peers:
        sample = samples[name]
        peer, batches = TorchTranslator(net, task), [*map(Sentences.of, map(ready.data.select, sample.buckets))]
        found = peer_losses(peer, batches[0], [peer.target.weight, peer.source.weight, peer.key.weight])
        results = {ELMAN: losses(sample, own), name: found}
        sizes = (f"embeddings {task.embedding_size}, LSTM {task.encoder_size} per direction and {task.hidden_size}, "
                 f"{len(net.decoder.readout.weight)} units")  # fmt: skip
        peers = {name: Trainer(peer, batches).run}
        race_epoch(report, f"{SHAPE}, {name}", sample, peers, results, sizes, TOLERANCE)


def race_translation(report: Report, task: Any, sources: list[str]) -> dict[int, float]:
    """Return the sentences per second by beam width."""
    writer, rates = Writer(TorchTranslator(task.net_, task)), {}
    limits = np.array(task.usual_lengths(task.encode_inputs(sources)))

    def write(beam: int) -> list[str]:
        found = writer.write(task.encode_inputs(sources).inputs, limits, beam)
        return [task.units_.decode(units) for units in found]

    for beam, (name, _) in BEAMS.items():
        own = partial(task.predict, sources, beam=beam)
        same = np.mean([a == b for a, b in zip(own(), write(beam), strict=True)])
        if beam == 1 and same < 1:
            raise SystemExit(f"{name}: {1 - same:.2%} of the texts differ; nothing was timed.")
        contestants = [Contestant(ELMAN, own), Contestant("torch", partial(write, beam))]
        result = report.race(SHAPE, f"translation, {name}", contestants, same_texts=same)
        seconds = {contestant: result.time(contestant).median for contestant in result.seconds}
        rates[beam] = len(sources) / seconds[ELMAN]
        speeds = ", ".join(f"{contestant} {len(sources) / time:.0f}" for contestant, time in seconds.items())
        print(f"  sentences per second: {speeds}; {same:.1%} of the texts are equal", flush=True)
    return rates


def train_one(name: str, lengths: list[int], threads: int, begin: Callable[[], None]) -> None:
    """Make an update on pairs of `lengths`, after a first update on two pairs."""
    torch.set_num_threads(threads)
    set_num_threads(threads)
    draw = np.random.default_rng(0)
    texts = ["a b", "c d", *(" ".join(map(str, draw.integers(4000, size=length))) for length in lengths)]
    ready = prepared(Translator, texts, texts, units="words")
    batches = [RowBatch(np.arange(2), 6), RowBatch(np.arange(2, len(texts)), sum(lengths))]
    if name == ELMAN:
        ready.train(batches, observers=[lambda event: event.update == 1 and begin()])
        return
    warm_up, batch = (Sentences.of(ready.data.select(batch.rows)) for batch in batches)
    trainer = Trainer(TorchTranslator(ready.task.net_, ready.task), [])
    trainer.update(warm_up)
    begin()
    trainer.update(batch)


def weigh(report: Report) -> dict[str, dict[str, float]]:
    """Print and return the peak memory of a batch in megabytes, by its layout."""
    found: dict[str, dict[str, float]] = {}
    print(f"\n{'peak memory of an update, 64 pairs, MB':<48}" + "".join(f"{name:>14}" for name in LAYOUTS))
    for name in (ELMAN, "torch"):
        bytes_ = [peak(train_one, name, lengths, report.options.threads) for lengths in LAYOUTS.values()]
        found[name] = {layout: size / 1e6 for layout, size in zip(LAYOUTS, bytes_, strict=True) if size is not None}
        print(f"  {name:<46}" + "".join(f"{size:14.1f}" for size in found[name].values()), flush=True)
    return found


def claims(report: Report, rates: dict[int, float]) -> list[Claim]:
    ratios = [report.ratio(name, shape=f"{SHAPE}, {name}") for name in PEERS]
    found = claim("Multi30k translator, an epoch, against torch.nn in buckets", 1.5, ratios)
    for beam, (name, target) in BEAMS.items():
        ratio = report.ratio("torch", shape=SHAPE, what=f"translation, {name}")
        found += claim(f"Multi30k test_2016, {name}, against torch.nn", 2, [ratio])
        if report.options.threads == 2:
            found += claim(f"Multi30k test_2016, {name}, sentences per second", target, [rates[beam]], "/s")
    return found


def lines(file: Any) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        return text.read().splitlines()


def main() -> None:
    report, folder = Report("translator", __doc__, peers=PEERS), data_folder()
    if folder is None:
        return
    sources, targets = (lines(folder / "multi30k" / f"train.{side}.gz") for side in ("en", "de"))
    ready = prepared(Translator, sources, targets, **SETTINGS)
    race_training(report, ready)
    ready.train()
    rates = race_translation(report, ready.task, lines(folder / "multi30k" / "test_2016_flickr.en.gz"))
    report.rows[-1]["megabytes"] = weigh(report)
    report.claims = claims(report, rates)
    report.finish()


if __name__ == "__main__":
    main()
