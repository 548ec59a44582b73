"""linear_scan: reference and native side by side, in milliseconds a call. PyTorch has no such recurrence of its own."""

import torch
from timing import milliseconds

from elman.kernels import native
from elman.kernels.linear_scan import linear_scan, reference

SHAPES = [(1, 1000, 64), (32, 100, 64), (32, 100, 256), (64, 500, 256)]  # B, T, H


def train(scan, a, x, lengths, h0, dh):
    torch.autograd.grad(scan(a, x, lengths, h0)[0], (a, x), dh)


def main() -> None:
    scans = {"reference": reference, "native": linear_scan} if native.available() else {"reference": reference}
    torch.set_num_threads(1)
    print("linear_scan, 1 thread, ms: median (fastest to slowest)")
    print(f"{'B':>4} {'T':>5} {'H':>4}  {'scan':<10} {'forward':<28} forward and backward")
    for rows, steps, features in SHAPES:
        lengths = [steps] * rows
        a, x, dh = (torch.rand(rows * steps, features) for _ in range(3))
        h0 = torch.zeros(rows, features)
        leaves = a.clone().requires_grad_(), x.clone().requires_grad_()
        for name, scan in scans.items():
            forward = milliseconds(scan, a, x, lengths, h0)
            both = milliseconds(train, scan, *leaves, lengths, h0, dh)
            print(f"{rows:4} {steps:5} {features:4}  {name:<10} {forward:<28} {both}")


if __name__ == "__main__":
    main()
