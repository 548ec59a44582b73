"""Networks of torch.nn compute the same loss and gradients as those of elman, padded and packed."""

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from bench_tagger import assembled
from epochs import ELMAN, Sample, losses, peer_losses, prepared
from problems import agree
from torch_nets import READERS, Texts, TorchClassifier, TorchTagger, Trainer

from elman.tasks import Classifier, Tagger

WORDS = [["Ann", "Lee", "met", "Bob", "."], ["Bob", "left"], ["Ann", "went", "to", "Rome"], ["He", "left"]] * 6
TAGS = [["B-PER", "I-PER", "O", "B-PER", "O"], ["B-PER", "O"], ["B-PER", "O", "O", "B-LOC"], ["O", "O"]] * 6
SIZES: dict[str, Any] = {"hidden_size": 6, "embedding_size": 5}


@pytest.fixture(autouse=True)
def _without_the_warning_of_pytorch_crf():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "where received a uint8 condition tensor")
        yield


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("rows", [[0, 1, 2], [1, 3]])  # of different lengths, of the same
def test_the_tagger_agrees_and_can_be_trained(reader, rows):
    ready = prepared(Tagger, WORDS, TAGS, character_size=4, **SIZES)
    sample, net = Sample.of(ready)._replace(buckets=[np.array(rows)]), ready.task.net_
    batches = assembled(ready.data, sample.buckets)
    peer = TorchTagger(net, READERS[reader], ready.task)
    mine = [net.word.weight, net.spelling.cells[0].weight, net.readout.weight, net.chain.start]
    others = [peer.word.weight, peer.character.weight, peer.readout.weight, peer.crf.start_transitions]
    results = {ELMAN: losses(sample, mine), reader: peer_losses(peer, batches[0], others)}
    agree("tagger", results, truth=ELMAN, tolerance=1e-5)
    before = float(results[reader]["loss"][0])
    trainer = Trainer(peer, batches * 20)
    trainer.run()
    assert float(peer_losses(peer, batches[0], others)["loss"][0]) < before


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 3]])
def test_the_classifier_agrees(reader, rows):
    texts, labels = ["a good film", "bad", "what a very bad film", "a fine film"], ["+", "-", "-", "+"]
    ready = prepared(Classifier, texts, labels, min_count=1, **SIZES)
    net = ready.task.net_
    torch.nn.init.normal_(net.readout.weight)  # initialised with zeros, which would block the gradients
    sample, data = Sample.of(ready)._replace(buckets=[np.array(rows)]), ready.data.select(np.array(rows))
    peer = TorchClassifier(net, READERS[reader], ready.task)
    batch = Texts.of(data.inputs, torch.from_numpy(data.targets))
    results = {
        ELMAN: losses(sample, [net.readout.weight, net.cells[0].cells[0].weight]),
        reader: peer_losses(peer, batch, [peer.readout.weight, peer.word.weight]),
    }
    agree("classifier", results, truth=ELMAN, tolerance=1e-5)


def test_the_buckets_of_a_sample_are_its_rows_by_length():
    ready = prepared(Tagger, WORDS, TAGS, character_size=0, batch_steps=16, **SIZES)
    sample = Sample.of(ready, updates=3)
    assert sample.updates > len(sample.batches) == len(sample.buckets) == 3
    assert sorted(np.concatenate(sample.buckets)) == sorted(np.concatenate([batch.rows for batch in sample.batches]))
    lengths = sorted((ready.data.steps[rows] for rows in sample.buckets), key=min)
    assert all(short.max() <= long.min() for short, long in pairwise(lengths))
    steps = sum(batch.num_steps for batch in sample.batches)
    assert sample.passes == pytest.approx(sum(map(len, WORDS)) / steps)
