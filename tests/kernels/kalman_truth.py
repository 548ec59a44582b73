"""Random linear Gaussian systems, and the joint Gaussian of their states and inputs in NumPy."""

import hypothesis.strategies as st
import numpy as np

from elman.kernels.kalman import System

cases = {"seed": st.integers(0, 2**32 - 1), "n": st.integers(1, 5), "m": st.integers(1, 3),
         "models": st.integers(1, 2), "per_step": st.booleans(), "missing": st.sampled_from([0, 0.3]),
         "offsets": st.booleans()}  # fmt: skip


def near(got, wanted, share=1e-6):
    np.testing.assert_allclose(got, wanted, rtol=share, atol=share)


def assert_same(got, wanted):
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def positive(random, *shape, rank=None):
    """Return covariances [..., n, n], singular if the rank is below n."""
    *leading, n = shape
    root = random.normal(size=(*leading, n, n if rank is None else rank))
    return root @ root.swapaxes(-1, -2)


def draw(seed, lengths, n=3, m=2, models=1, per_step=False, missing=0.2, offsets=True, diffuse=False):
    """Return arguments of the kernel: Q or R may be singular, or R zero, but the variance of the inputs is positive."""
    random = np.random.default_rng(seed)
    steps, rows = sum(lengths), len(lengths)
    entries = steps if per_step else models
    singular = random.integers(0, 4)
    system = System(
        0.9 * random.normal(size=(entries, n, n)) / np.sqrt(n),
        random.normal(size=(entries, m, n)),
        positive(random, entries, n, rank=n if singular != 1 else n - 1),
        positive(random, entries, m) if singular < 2 else np.eye(m) * random.uniform(0.1, 2, (entries, m, 1)),
    )
    if singular == 3 and n >= m:
        system.R[:] = 0
    x = random.normal(size=(steps, m)) * 2
    x[random.uniform(size=x.shape) < missing] = np.nan
    x[random.uniform(size=steps) < missing / 2] = np.nan
    arguments = {"system": system, "x": x, "lengths": lengths, "mean": random.normal(size=(rows, n)),
                 "cov": positive(random, rows, n), "diffuse": np.zeros((rows, n, n)), "per_step": per_step,
                 "model": None if per_step else random.integers(0, models, rows)}  # fmt: skip
    if diffuse:
        arguments["diffuse"] = positive(random, rows, n, rank=random.integers(1, n + 1))
    if offsets:
        arguments |= {"state_offset": random.normal(size=(steps, n)), "output_offset": random.normal(size=(steps, m))}
    return arguments


def part(arguments, row, steps=slice(None)):
    """Return the arguments for some steps of one row."""
    lengths = arguments["lengths"]
    begin = sum(lengths[:row])
    places = np.arange(begin, begin + lengths[row])[steps]
    found = dict(arguments) | {"lengths": [len(places)]}
    for name in ("x", "state_offset", "output_offset"):
        if arguments.get(name) is not None:
            found[name] = arguments[name][places]
    for name in ("mean", "cov", "diffuse", "model"):
        if arguments[name] is not None:
            found[name] = arguments[name][row : row + 1]
    if arguments["per_step"]:
        found["system"] = System(*(leaf[places] for leaf in arguments["system"]))
    return found


class Joint:
    """Distribution of all states of a row (and the next one) and its inputs, given the first `known` inputs.

    A diffuse start is a flat prior on coefficients of the start, which are found by generalised least squares.
    """

    def __init__(self, one, known):
        (length, self.m), self.n = one["x"].shape, one["mean"].shape[1]
        n, m, model = self.n, self.m, 0 if one["model"] is None else int(one["model"][0])
        F, H, Q, R = (leaf if one["per_step"] else np.repeat(leaf[[model]], length, 0) for leaf in one["system"])
        b, d = one.get("state_offset", np.zeros((length, n))), one.get("output_offset", np.zeros((length, m)))
        values, vectors = np.linalg.eigh(one["diffuse"][0])
        kept = values > 1e-9 * max(values.max(initial=0), 1e-300)
        ways = [vectors[:, kept] * np.sqrt(values[kept])]  # dependence of each state on the flat coefficients
        mean, cov = [one["mean"][0]], np.zeros(((length + 1) * n,) * 2)
        cov[:n, :n] = one["cov"][0]
        for t in range(length):
            mean.append(F[t] @ mean[-1] + b[t])
            ways.append(F[t] @ ways[-1])
            now, after, past = slice(t * n, t * n + n), slice(t * n + n, t * n + 2 * n), slice(0, t * n + n)
            cov[after, past] = F[t] @ cov[now, past]
            cov[past, after] = cov[after, past].T
            cov[after, after] = F[t] @ cov[now, now] @ F[t].T + Q[t]
        outputs, noise = np.zeros((known * m, (length + 1) * n)), np.zeros((known * m,) * 2)
        for t in range(known):
            mine = slice(t * m, (t + 1) * m)
            outputs[mine, t * n : (t + 1) * n], noise[mine, mine] = H[t], R[t]
        mean, ways = np.concatenate(mean), np.concatenate(ways)
        there = np.flatnonzero(~np.isnan(one["x"][:known].ravel()))
        seen = outputs[there]
        errors = (one["x"][:known].ravel() - d[:known].ravel())[there] - seen @ mean
        inner = seen @ cov @ seen.T + noise[np.ix_(there, there)]
        gain = np.linalg.solve(inner, seen @ cov).T if len(there) else np.zeros((len(cov), 0))
        self.mean, self.cov = mean + gain @ errors, cov - gain @ seen @ cov
        by = seen @ ways  # errors = by @ flat coefficients + noise(inner)
        precision = by.T @ np.linalg.solve(inner, by) if len(there) else np.zeros((ways.shape[1],) * 2)
        self.determined = not ways.shape[1] or (len(there) and np.linalg.cond(precision) < 1e8)
        terms = len(there) * np.log(2 * np.pi) + np.linalg.slogdet(inner)[1]
        if ways.shape[1] and self.determined:
            flat = np.linalg.solve(precision, by.T @ np.linalg.solve(inner, errors))
            errors, left = errors - by @ flat, ways - gain @ by
            self.mean, self.cov = self.mean + left @ flat, self.cov + left @ np.linalg.solve(precision, left.T)
            terms += np.linalg.slogdet(precision)[1] - len(flat) * np.log(2 * np.pi)
        self.log_prob = -0.5 * (terms + errors @ np.linalg.solve(inner, errors)) if len(there) else 0.0

    def state(self, t):
        return self.mean[t * self.n : (t + 1) * self.n]

    def between(self, s, t):
        n = self.n
        return self.cov[s * n : (s + 1) * n, t * n : (t + 1) * n]
