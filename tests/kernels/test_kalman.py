import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from elman.kernels import kalman
from elman.kernels.kalman import System


def positive(random, *shape, rank=None):
    """Covariances [..., n, n], singular if the rank is below n."""
    *leading, n = shape
    root = random.normal(size=(*leading, n, n if rank is None else rank))
    return root @ root.swapaxes(-1, -2)


def draw(seed, lengths, n=3, m=2, models=1, per_step=False, missing=0.2, offsets=True, diffuse=False):
    """The arguments of the kernel."""
    random = np.random.default_rng(seed)
    steps, rows = sum(lengths), len(lengths)
    entries = steps if per_step else models
    singular = random.integers(0, 4)
    system = System(
        0.9 * random.normal(size=(entries, n, n)) / np.sqrt(n),
        random.normal(size=(entries, m, n)),
        positive(random, entries, n, rank=n if singular != 1 else n - 1),
        positive(random, entries, m) if singular < 2 else np.eye(m) * random.uniform(0, 2, (entries, m, 1)),
    )
    if singular == 3 and n >= m:
        system.R[:] = 0
    x = random.normal(size=(steps, m)) * 2
    x[random.uniform(size=x.shape) < missing] = np.nan
    x[random.uniform(size=steps) < missing / 2] = np.nan
    start = [random.normal(size=(rows, n)), positive(random, rows, n), np.zeros((rows, n, n))]
    if diffuse:
        start[2] = positive(random, rows, n, rank=random.integers(1, n + 1))
    arguments = {"system": system, "x": x, "lengths": lengths, "mean": start[0], "cov": start[1], "diffuse": start[2]}
    arguments |= {"model": None if per_step else random.integers(0, models, rows), "per_step": per_step}
    if offsets:
        arguments |= {"state_offset": random.normal(size=(steps, n)), "output_offset": random.normal(size=(steps, m))}
    return arguments


def rows_of(arguments):
    """Each row's arguments alone."""
    given, ends = dict(arguments), np.cumsum(arguments["lengths"])
    for row, (end, length) in enumerate(zip(ends, arguments["lengths"], strict=True)):
        steps, one = slice(end - length, end), slice(row, row + 1)
        of_steps = {name: given[name][steps] for name in ("x", "state_offset", "output_offset") if name in given}
        of_rows = {name: given[name][one] for name in ("mean", "cov", "diffuse")}
        entries = steps if given["per_step"] else slice(None)
        system = System(*(leaf[entries] for leaf in given["system"]))
        model = None if given["model"] is None else given["model"][one]
        yield given | of_steps | of_rows | {"system": system, "model": model, "lengths": [length]}


class Joint:
    """The joint Gaussian of all states (one after the last step too) and inputs of a row, conditioned by NumPy."""

    def __init__(self, one, known):
        self.n, (length, self.m) = one["mean"].shape[1], one["x"].shape
        n, model = self.n, 0 if one["model"] is None else int(one["model"][0])
        F, H, Q, R = (leaf if one["per_step"] else np.repeat(leaf[[model]], length, 0) for leaf in one["system"])
        zeros_n, zeros_m = np.zeros((length, n)), np.zeros((length, self.m))
        b, d = one.get("state_offset", zeros_n), one.get("output_offset", zeros_m)
        mean, cov = [one["mean"][0]], np.zeros(((length + 1) * n,) * 2)
        cov[:n, :n] = one["cov"][0] + one.get("kappa", 0) * one["diffuse"][0]
        for t in range(length):
            mean.append(F[t] @ mean[-1] + b[t])
            now, after, past = slice(t * n, t * n + n), slice(t * n + n, t * n + 2 * n), slice(0, t * n + n)
            cov[after, past] = F[t] @ cov[now, past]
            cov[past, after] = cov[after, past].T
            cov[after, after] = F[t] @ cov[now, now] @ F[t].T + Q[t]
        outputs = np.zeros((length * self.m, (length + 1) * n))
        noise = np.zeros((length * self.m,) * 2)
        for t in range(length):
            mine = slice(t * self.m, (t + 1) * self.m)
            outputs[mine, t * n : (t + 1) * n], noise[mine, mine] = H[t], R[t]
        self.mean = np.concatenate(mean)
        x = one["x"][:known].ravel()
        there = np.flatnonzero(~np.isnan(x))
        seen = outputs[there]
        self.errors = (x - d[:known].ravel())[there] - seen @ self.mean
        self.inner = seen @ cov @ seen.T + noise[np.ix_(there, there)]
        gain = np.linalg.solve(self.inner, seen @ cov).T if len(there) else np.zeros((len(cov), 0))
        self.mean = self.mean + gain @ self.errors
        self.cov = cov - gain @ seen @ cov

    def state(self, t):
        return self.mean[t * self.n : (t + 1) * self.n]

    def between(self, s, t):
        n = self.n
        return self.cov[s * n : (s + 1) * n, t * n : (t + 1) * n]

    @property
    def log_prob(self):
        if not len(self.errors):
            return 0.0
        quadratic = self.errors @ np.linalg.solve(self.inner, self.errors)
        return -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * self.inner)[1])


systems = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "lengths": st.lists(st.integers(0, 5), max_size=4),
        "n": st.integers(1, 4),
        "m": st.integers(1, 3),
        "models": st.integers(1, 2),
        "per_step": st.booleans(),
        "missing": st.sampled_from([0, 0.3]),
        "offsets": st.booleans(),
    }
)


@given(systems, st.booleans())
def test_filter_equals_the_joint_gaussian(case, square_root):
    arguments = draw(**case)
    filtered, after = kalman.filter(**arguments, square_root=square_root)
    step = 0
    for row, one in enumerate(rows_of(arguments)):
        before = 0.0
        for t in range(len(one["x"])):
            truth = Joint(one, known=t + 1)
            near(filtered.mean[step], truth.state(t))
            near(filtered.cov[step], truth.between(t, t))
            near(filtered.log_prob[step], truth.log_prob - before)
            before = truth.log_prob
            step += 1
        truth = Joint(one, known=len(one["x"]))
        near(after.mean[row], truth.state(len(one["x"])))
        near(after.cov[row], truth.between(len(one["x"]), len(one["x"])))


@given(systems, st.booleans())
def test_smoother_equals_the_joint_gaussian(case, square_root):
    arguments = draw(**case)
    smoothed = kalman.smooth(**arguments, square_root=square_root)
    step = 0
    for row, one in enumerate(rows_of(arguments)):
        truth = Joint(one, known=len(one["x"]))
        near(smoothed.log_prob[row], truth.log_prob)
        for t in range(len(one["x"])):
            near(smoothed.mean[step], truth.state(t))
            near(smoothed.cov[step], truth.between(t, t))
            near(smoothed.lag[step], truth.between(t + 1, t) * (t + 1 < len(one["x"])))
            step += 1


def near(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)
