"""Training on Multi30k, English to German, and translating its test of 2016: LSTMs that attend; against torch.nn.

The net and the updates are those of a Translator with 5,000 units a side, in batches of some 64 pairs. torch.nn gets
pairs in buckets of like lengths, cut from the whole epoch: of one source length each, so that no source is padded; or
of like target and source lengths, whose sources are packed. Both translate with the weights of one epoch.
"""

import gzip
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from epochs import ELMAN, UPDATES, Epoch, Sample, data_folder, losses, peer_losses, prepared, race_epoch
from peak_memory import peak
from report import Claim, Report, claim
from timing import Contestant
from torch_nets import Trainer
from torch_translator import Sentences, TorchTranslator, Writer

from elman.tasks import Translator
from elman.tasks.pairs import PairBatch, Pairs
from elman.threads import set_num_threads
from elman.training import train

SHAPE = "Multi30k"
PEERS = ["one length", "packed"]
TOLERANCE = 3e-4  # of the largest value: the gradient of tied weights is a sum over thousands of steps and units
BEAMS = {1: ("greedily", 900), 5: ("a beam of 5", 250)}  # sentences a second that are asked of two threads
SETTINGS: dict[str, Any] = {"lowercase": True, "vocabulary_size": 5000}
LAYOUTS = {"200, 63x10": [200] + [10] * 63, "64x25": [25] * 64}  # words of 64 sources and of their targets


def sample_of(task: Any, data: Pairs, one_length: bool) -> Sample:
    """Updates spread over an epoch, and over the buckets of one."""
    sides = [data.sources.lengths, data.targets.lengths + 1]
    steps, epoch = data.steps, task.data.epoch(1)
    order = np.lexsort(sides[::-1] if one_length else sides)
    cuts = np.diff(np.cumsum(steps[order]) // (steps.sum() / len(epoch))) > 0
    if one_length:
        cuts |= np.diff(sides[0][order]) > 0
    buckets = np.split(order, np.flatnonzero(cuts) + 1)
    count = round(len(buckets) * UPDATES / len(epoch))  # as many pairs in buckets that are smaller
    taken = [buckets[i] for i in _spread(len(buckets), count)]
    taken = [taken[i] for i in np.random.default_rng(0).permutation(len(taken))]
    batches = [epoch[i] for i in _spread(len(epoch), UPDATES)]
    read = sum(int(steps[batch.rows].sum()) for batch in batches)
    return Sample(task, batches, taken, len(epoch), steps.sum() / read, sides)


def _spread(size: int, count: int) -> list[int]:
    """So many numbers below a size, as far from one another as from the ends."""
    return [int((i + 0.5) * size / count) for i in range(count)]


def race_training(report: Report, task: Any, data: Pairs) -> None:
    samples = {name: sample_of(task, data, name == PEERS[0]) for name in PEERS}
    net = task.net_
    own = [net.decoder.readout.weight, net.encoder.cells[0].weight, net.decoder.attention.weight_key]
    for name in report.options.peers:
        sample = samples[name]
        peer, batches = TorchTranslator(net, task), [Sentences.of(data.select(rows)) for rows in sample.buckets]
        found = peer_losses(peer, batches[0], [peer.target.weight, peer.source.weight, peer.key.weight])
        results = {ELMAN: losses(sample, own), name: found}
        sizes = (f"embeddings {task.embedding_size}, LSTM {task.encoder_size} a direction and {task.hidden_size}, "
                 f"{len(net.decoder.readout.weight)} units to read out")  # fmt: skip
        peers = {name: Trainer(peer, batches).run}
        race_epoch(report, f"{SHAPE}, {name}", sample, peers, results, sizes, TOLERANCE)


def race_translation(report: Report, task: Any, sources: list[str]) -> dict[int, float]:
    """Sentences a second by beam."""
    encoded, writer, rates = task._sources(sources), Writer(TorchTranslator(task.net_, task)), {}
    limits = np.minimum(2 * encoded.lengths + 10, 2 * task.longest_)

    def write(beam: int) -> list[str]:
        found = writer.write(task._sources(sources), limits, beam)
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
        told = ", ".join(f"{contestant} {len(sources) / time:.0f}" for contestant, time in seconds.items())
        print(f"  sentences a second: {told}; {same:.1%} of the texts are the same", flush=True)
    return rates


def train_one(name: str, lengths: list[int], threads: int, begin: Callable[[], None]) -> None:
    """An update with pairs of `lengths`, begun after one of two pairs."""
    torch.set_num_threads(threads)
    set_num_threads(threads)
    draw = np.random.default_rng(0)
    texts = ["a b", "c d", *(" ".join(map(str, draw.integers(4000, size=length))) for length in lengths)]
    task = prepared(Translator, texts, texts, units="words")
    data = task._pairs(list(zip(texts, texts, strict=True)))
    batches = [PairBatch(np.arange(2), 6, 0.0), PairBatch(np.arange(2, len(texts)), sum(lengths), 0.0)]
    if name == ELMAN:
        train(task.net_, task.loss, Epoch(batches), task, observers=[lambda event: event.update == 1 and begin()])
        return
    warm_up, batch = (Sentences.of(data.select(batch.rows)) for batch in batches)
    trainer = Trainer(TorchTranslator(task.net_, task), [])
    trainer.update(warm_up)
    begin()
    trainer.update(batch)


def weigh(report: Report) -> dict[str, dict[str, float]]:
    """Print the megabytes of a batch by its layout, and hand them out."""
    found: dict[str, dict[str, float]] = {}
    print(f"\n{'memory of an update at its peak, 64 pairs, MB':<48}" + "".join(f"{name:>14}" for name in LAYOUTS))
    for name in (ELMAN, "torch"):
        bytes_ = [peak(train_one, name, lengths, report.options.threads) for lengths in LAYOUTS.values()]
        found[name] = {layout: size / 1e6 for layout, size in zip(LAYOUTS, bytes_, strict=True) if size is not None}
        print(f"  {name:<46}" + "".join(f"{size:14.1f}" for size in found[name].values()), flush=True)
    return found


def claims(report: Report, rates: dict[int, float]) -> list[Claim]:
    ratios = [report.ratio(name, shape=f"{SHAPE}, {name}") for name in PEERS]
    found = claim("Multi30k translator, an epoch, against torch.nn in buckets", 1.5, ratios)
    for beam, (name, asked) in BEAMS.items():
        ratio = report.ratio("torch", shape=SHAPE, what=f"translation, {name}")
        found += claim(f"Multi30k test_2016, {name}, against torch.nn", 2, [ratio])
        if report.options.threads == 2:
            found += claim(f"Multi30k test_2016, {name}, sentences a second", asked, [rates[beam]], "/s")
    return found


def lines(file: Any) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as text:
        return text.read().splitlines()


def main() -> None:
    report, folder = Report("translator", __doc__, peers=PEERS), data_folder()
    if folder is None:
        return
    sources, targets = (lines(folder / "multi30k" / f"train.{side}.gz") for side in ("en", "de"))
    task = prepared(Translator, sources, targets, **SETTINGS)
    data = task._pairs(list(zip(sources, targets, strict=True)))
    race_training(report, task, data)
    train(task.net_, task.loss, task.data, task)
    rates = race_translation(report, task, lines(folder / "multi30k" / "test_2016_flickr.en.gz"))
    report.rows[-1]["megabytes"] = weigh(report)
    report.claims = claims(report, rates)
    report.finish()


if __name__ == "__main__":
    main()
