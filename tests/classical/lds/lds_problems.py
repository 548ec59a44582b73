"""Random systems, rows for them, and the joint Gaussian of a row in NumPy."""

from typing import NamedTuple

import numpy as np

from elman.classical.lds import LDS, Observed
from elman.sequences import Sequences


def positive(random, n, rank=None):
    """Return a covariance, singular if the rank is below n."""
    root = random.normal(size=(n, n if rank is None else rank))
    return root @ root.T


def transition(random, n, radius=0.9):
    matrix = random.normal(size=(n, n))
    return matrix * radius / np.abs(np.linalg.eigvals(matrix)).max()


def random_model(random, n, m, inputs=0, start="given", **settings):
    """Return a model with this start: given, diffuse, partly (diffuse) or stationary."""
    starts = {
        "given": lambda: (random.normal(size=n), positive(random, n)),
        "partly": lambda: (random.normal(size=n), positive(random, n), positive(random, n, 1)),
    }
    driven = {"B": random.normal(size=(n, inputs)), "D": random.normal(size=(m, inputs))} if inputs else {}
    return LDS(
        transition(random, n),
        random.normal(size=(m, n)),
        positive(random, n),
        positive(random, m),
        start=starts[start]() if start in starts else start,
        **driven,
        **settings,
    )


def random_rows(random, model, lengths, missing=0.2, own=""):
    """Return rows, with an input if the model has one, and the matrices named in `own` for each step."""
    (m, n), inputs, steps = model.H.shape, model.B.shape[1], sum(lengths)
    x = 2 * random.normal(size=(steps, m))
    x[random.uniform(size=x.shape) < missing] = np.nan
    x[random.uniform(size=steps) < missing / 2] = np.nan
    make = {
        "F": lambda: transition(random, n),
        "H": lambda: random.normal(size=(m, n)),
        "Q": lambda: positive(random, n),
        "R": lambda: positive(random, m),
    }
    parts = {
        name: np.array([make[name]() for _ in range(steps)]).reshape(steps, *np.shape(make[name]())) for name in own
    }
    if inputs:
        parts["u"] = random.normal(size=(steps, inputs))
    return Sequences(Observed(x, **parts) if parts else x, lengths)


class Joint(NamedTuple):
    """Mean and covariance of all states of a row, followed by all its observations."""

    mean: np.ndarray  # [T n + T m]
    cov: np.ndarray
    n: int
    m: int
    first: np.ndarray  # [T n + T m, n] dependence on the first state

    def given(self, x):
        """Return states [T, n], covariance [T n, T n] and log p given the observed part of [T, m]."""
        steps = len(x)
        states = np.arange(steps * self.n)
        there = steps * self.n + np.flatnonzero(~np.isnan(x.ravel()))
        errors = x.ravel()[~np.isnan(x.ravel())] - self.mean[there]
        inner = self.cov[np.ix_(there, there)]
        gain = np.linalg.solve(inner, self.cov[np.ix_(there, states)]).T
        mean = self.mean[states] + gain @ errors
        cov = self.cov[np.ix_(states, states)] - gain @ self.cov[np.ix_(there, states)]
        log_prob = -0.5 * (errors @ np.linalg.solve(inner, errors) + np.linalg.slogdet(2 * np.pi * inner)[1])
        return mean.reshape(steps, self.n), cov, log_prob

    def given_diffuse(self, x, diffuse):
        """Return the same for a diffuse first state, by generalised least squares."""
        values, vectors = np.linalg.eigh(diffuse)
        used = values > 1e-12 * values.max()
        effect = self.first @ (vectors[:, used] * np.sqrt(values[used]))
        states = len(x) * self.n
        there = states + np.flatnonzero(~np.isnan(x.ravel()))
        inner = self.cov[np.ix_(there, there)]
        information = effect[there].T @ np.linalg.solve(inner, effect[there])
        errors = x.ravel()[~np.isnan(x.ravel())] - self.mean[there]
        best = np.linalg.solve(information, effect[there].T @ np.linalg.solve(inner, errors))
        mean, cov, log_prob = self._replace(mean=self.mean + effect @ best).given(x)
        gain = np.linalg.solve(inner, self.cov[np.ix_(there, np.arange(states))]).T
        left = effect[:states] - gain @ effect[there]
        log_prob -= 0.5 * (np.linalg.slogdet(information)[1] - used.sum() * np.log(2 * np.pi))
        return mean, cov + left @ np.linalg.solve(information, left.T), log_prob


def joint(model, row):
    """Return the joint Gaussian of a row, without the diffuse part of its start."""
    row = row if isinstance(row, Observed) else Observed(row)
    (m, n), steps = model.H_.shape, len(row.x)

    def at(name, step):
        own = getattr(row, name)
        return getattr(model, f"{name}_") if isinstance(own, tuple) else own[step]

    u = np.zeros((steps, 0)) if isinstance(row.u, tuple) else row.u
    # States and observations are linear in (first state, noises of states, noises of observations).
    sources = [model.start_.cov]
    sources += [at("Q", step) for step in range(steps)] + [at("R", step) for step in range(steps)]
    places = np.cumsum([0] + [len(source) for source in sources])
    noise = np.zeros((places[-1], places[-1]))
    for source, begin, end in zip(sources, places, places[1:], strict=False):
        noise[begin:end, begin:end] = source
    weights, mean = np.zeros((n, places[-1])), model.start_.mean
    weights[:, :n] = np.eye(n)
    states, outputs, means, output_means = [], [], [], []
    for step in range(steps):
        H = at("H", step)
        states.append(weights)
        means.append(mean)
        seen = H @ weights
        seen[:, places[1 + steps + step] : places[2 + steps + step]] += np.eye(m)
        outputs.append(seen)
        output_means.append(H @ mean + model.D_ @ u[step])
        weights = at("F", step) @ weights
        weights[:, places[1 + step] : places[2 + step]] += np.eye(n)
        mean = at("F", step) @ mean + model.B_ @ u[step]
    linear = np.concatenate(states + outputs)
    return Joint(np.concatenate(means + output_means), linear @ noise @ linear.T, n, m, linear[:, :n])
