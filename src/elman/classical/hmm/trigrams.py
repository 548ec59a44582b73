"""Second-order chain of tags: estimation, filtering, smoothing and the best path.

A path of tags is a path of pairs (previous tag, tag). Only T pairs can follow a pair, so a step costs T^3, where a
transition matrix of pairs would cost T^4. The tag number `T` is the position before a row.
"""

from typing import NamedTuple

import numpy as np

from elman.sequences import Sequences


class Trigrams(NamedTuple):
    """Probabilities of the next tag given the last two."""

    probs: np.ndarray  # [T + 1, T + 1, T]: tag before last, last tag, tag
    weights: np.ndarray  # [order + 1] of unigrams, bigrams, trigrams


class Smoothed(NamedTuple):
    """Tag probabilities given whole rows."""

    log_prob: np.ndarray  # [B]
    probs: np.ndarray  # [N, T]


def estimate(rows: Sequences, tags: np.ndarray, num_tags: int, order: int) -> Trigrams:
    """Return interpolated relative frequencies of unigrams, bigrams and trigrams of tags (Brants 2000).

    Deleted interpolation chooses the weights: each occurrence of a gram votes for the length that predicts it best
    when it is left out. Each length starts with one vote, so that no tag is impossible.
    """
    before = previous(rows, tags, 1, num_tags)
    before_that = previous(rows, tags, 2, num_tags)
    counts = np.zeros((num_tags + 1, num_tags + 1, num_tags))
    np.add.at(counts, (before_that, before, tags), 1.0)
    shorter = counts.sum(0)
    alone = shorter.sum(0)
    levels = [alone[None, None], shorter[None], counts][: order + 1]
    without = []
    for level in levels:
        total = level.sum(2, keepdims=True)
        without.append(np.where(total > 1, (level - 1) / np.where(total > 1, total - 1, 1.0), 0.0))
    best = np.argmax(np.stack([np.broadcast_to(level, counts.shape) for level in without]), axis=0)
    weights = 1.0 + np.bincount(best.ravel(), counts.ravel(), minlength=len(levels))
    weights /= weights.sum()
    probs = np.zeros_like(counts)
    for weight, level in zip(weights, levels, strict=True):
        total = level.sum(2, keepdims=True)
        probs += weight * level / np.where(total > 0, total, 1.0)
    return Trigrams(probs / probs.sum(2, keepdims=True), weights)


def previous(rows: Sequences, tags: np.ndarray, back: int, start: int) -> np.ndarray:
    """Return the tag `back` steps before each step, [N]; `start` where there is none."""
    steps = np.arange(len(tags)) - back
    return np.where(rows.times >= back, tags[np.maximum(steps, 0)], start) if len(tags) else tags


def path_log_prob(trigrams: Trigrams, scores: np.ndarray, rows: Sequences, tags: np.ndarray) -> np.ndarray:
    """Return the joint log-probability of scores [N, T] and tags [N] of each row, [B]."""
    start = scores.shape[1]
    before, before_that = previous(rows, tags, 1, start), previous(rows, tags, 2, start)
    terms = np.log(trigrams.probs[before_that, before, tags]) + scores[np.arange(len(tags)), tags]
    return np.bincount(rows.rows, terms, minlength=len(rows))


def advance(trigrams: Trigrams, joint: np.ndarray) -> np.ndarray:
    """Return the probabilities of pairs [B, T + 1, T] one step later."""
    size = joint.shape[2]
    later = np.zeros_like(joint)
    moved = np.matmul(joint.transpose(2, 0, 1), trigrams.probs[:, :size].transpose(1, 0, 2))  # [T, B, T]
    later[:, :size] = moved.transpose(1, 0, 2)
    return later


def observe(predicted: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Update predicted pairs [B, T + 1, T] with scores [B, T]; return them and the log-probability [B]."""
    likelihood, top = scaled(scores)
    joint = predicted * likelihood[:, None]
    total = joint.sum((1, 2))
    with np.errstate(divide="ignore"):
        log_prob = np.log(total) + top
    return joint / np.where(total > 0, total, 1.0)[:, None, None], log_prob


def scaled(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return exp(scores - top) [B, T] and top, the maximum of each row [B]."""
    top = scores.max(1)
    top = np.where(np.isfinite(top), top, 0.0)
    return np.exp(scores - top[:, None]), top


def smooth(trigrams: Trigrams, start: np.ndarray, scores: np.ndarray, rows: Sequences) -> Smoothed:
    """Run forward-backward on all rows together: start [B, T + 1, T], scores [N, T]."""
    plan, steps, size = rows.plan, by_time(rows), scores.shape[1]
    predicted = start[plan.longest_first]
    filtered, log_probs = [], np.zeros(rows.num_steps)
    for now in steps:
        joint, log_probs[now] = observe(predicted[: len(now)], scores[now])
        filtered.append(joint)
        predicted = advance(trigrams, joint)
    probs = np.zeros_like(scores)
    ahead = np.ones((0, *start.shape[1:]))
    for now, joint in zip(reversed(steps), reversed(filtered), strict=True):
        ahead = np.concatenate([ahead, np.ones((len(now) - len(ahead), *start.shape[1:]))])
        both = (joint * ahead).sum(1)
        total = both.sum(1, keepdims=True)
        probs[now] = both / np.where(total > 0, total, 1.0)
        weighted = scaled(scores[now])[0][:, None] * ahead  # [B, T + 1, T]
        back = np.matmul(
            weighted[:, :size].transpose(1, 0, 2), trigrams.probs[:, :size].transpose(1, 2, 0)
        )  # [T, B, T + 1]
        ahead = back.transpose(1, 2, 0)
        top = ahead.max((1, 2), keepdims=True)
        ahead = ahead / np.where(top > 0, top, 1.0)
    return Smoothed(np.bincount(rows.rows, log_probs, minlength=len(rows)), probs)


def best_path(
    trigrams: Trigrams, start: np.ndarray, scores: np.ndarray, rows: Sequences
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tags [N] of the most probable path (Viterbi 1967), and its log-probability [B]."""
    plan, steps, size = rows.plan, by_time(rows), scores.shape[1]
    with np.errstate(divide="ignore"):
        logs, value = np.log(trigrams.probs), np.log(start[plan.longest_first])
    origins: list[np.ndarray] = []
    finals = value
    for now in steps:
        value = value[: len(now)] + scores[now][:, None]
        finals = np.concatenate([value, finals[len(now) :]])
        origin = np.zeros((len(now), size, size), np.int16)
        later = np.full_like(value, -np.inf)
        for tag in range(size):  # the middle tag
            ways = value[:, :, tag, None] + logs[:, tag]  # [B, T + 1, T]
            origin[:, tag] = ways.argmax(1)
            later[:, tag] = np.take_along_axis(ways, origin[:, tag, None].astype(np.int64), axis=1)[:, 0]
        origins.append(origin)
        value = later
    tags = np.zeros(rows.num_steps, np.int64)
    flat = finals.reshape(len(rows), (size + 1) * size)
    log_prob = flat.max(1)
    before, tag = np.divmod(flat.argmax(1), size)
    for time in range(len(steps) - 1, -1, -1):
        now = steps[time]
        alive = np.arange(len(now))
        tags[now] = tag[alive]
        if time:  # the tag before the previous one is stored at the previous step
            older = origins[time - 1][alive, before[alive], tag[alive]]
            tag[alive], before[alive] = before[alive], older
    ordered = np.zeros(len(rows))
    ordered[plan.longest_first] = np.where(rows.lengths[plan.longest_first] > 0, log_prob, 0.0)
    return tags, ordered


def by_time(rows: Sequences) -> list[np.ndarray]:
    """Return the steps of each time, those of the longest rows first."""
    plan = rows.plan
    return np.split(plan.by_time, np.cumsum(plan.alive)[:-1]) if plan.alive else []
