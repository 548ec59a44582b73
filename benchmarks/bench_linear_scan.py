"""linear_scan: the native kernel against its reference. PyTorch has no such recurrence."""

from functools import partial

import torch
from problems import agree, dense
from report import Report
from timing import Contestant
from torch import Tensor

from elman.kernels.linear_scan import linear_scan, reference

SHAPES = ["T1000B1H64", "T100B32H64", "T100B32H256", "T500B64H256"]
SCANS = {"native": linear_scan, "reference": reference}


def train(scan, a: Tensor, x: Tensor, lengths, h0: Tensor, dh: Tensor) -> list[Tensor]:
    h, last = scan(a, x, lengths, h0)
    return [h, last, *torch.autograd.grad(h, (a, x, h0), dh)]


def main() -> None:
    report = Report("linear_scan", __doc__, shapes=SHAPES)
    for shape in report.options.shapes:
        lengths, features = dense(shape, "rnn").lengths, dense(shape, "rnn").hidden
        a, x, dh = (torch.rand(sum(lengths), features) for _ in range(3))
        h0 = torch.zeros(len(lengths), features)
        forward = {name: partial(scan, a, x, lengths, h0) for name, scan in SCANS.items()}
        leaves = [leaf.clone().requires_grad_() for leaf in (a, x)]
        both = {name: partial(train, scan, *leaves, lengths, h0.clone().requires_grad_(), dh)
                for name, scan in SCANS.items()}  # fmt: skip
        results = {name: {str(number): array.detach().numpy() for number, array in enumerate(run())}
                   for name, run in both.items()}  # fmt: skip
        apart = agree(shape, results, truth="reference")
        for what, runs in (("forward", forward), ("forward and gradients", both)):
            report.race(shape, what, [Contestant(name, run) for name, run in runs.items()], apart=apart)
    report.finish()


if __name__ == "__main__":
    main()
