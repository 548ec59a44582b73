"""Training on SST-2: words, a bidirectional LSTM, maximum pooling; against torch.nn.

The network and the updates are the defaults of Classifier: only the embeddings that a batch reads are updated. torch.nn
receives the same rows in buckets of similar lengths, padded before the clock starts.
"""

import torch
from epochs import ELMAN, Sample, data_folder, losses, peer_losses, prepared, race_epoch
from report import Claim, Report, claim
from torch_nets import READERS, Texts, TorchClassifier, Trainer

from elman.data.readers import read_labelled
from elman.tasks import Classifier

SHAPE = "SST-2"


def measure(report: Report, sample: Sample, batches: list[Texts]) -> None:
    task = sample.ready.task
    weights = [task.net_.readout.weight, task.net_.cells[0].cells[0].weight]
    peers, results = {}, {ELMAN: losses(sample, weights)}
    for name in report.options.peers:
        net = TorchClassifier(task.net_, READERS[name], task)
        results[name] = peer_losses(net, batches[0], [net.readout.weight, net.word.weight])
        peers[name] = Trainer(net, batches).run
    sizes = f"words {task.net_.cells[0].cells[0].output_size}, LSTM {task.hidden_size} per direction"
    race_epoch(report, SHAPE, sample, peers, results, sizes)


def claims(report: Report) -> list[Claim]:
    return claim("SST-2 classifier, an epoch, against torch.nn padded or packed", 1.7,
                 [report.ratio(name, shape=SHAPE) for name in READERS])  # fmt: skip


def main() -> None:
    report, folder = Report("classifier", __doc__, peers=list(READERS)), data_folder()
    if folder is None:
        return
    texts, labels, _ = read_labelled(folder / "sst2" / "train.tsv.gz", text=1, label=2)
    ready = prepared(Classifier, texts, labels)
    sample = Sample.of(ready)
    parts = map(ready.data.select, sample.buckets)
    measure(report, sample, [Texts.of(part.inputs, torch.from_numpy(part.targets)) for part in parts])
    report.claims = claims(report)
    report.finish()


if __name__ == "__main__":
    main()
