"""Worked solutions of assignment A1."""

from collections import Counter

import numpy as np
import torch

from minigpt.language_model import LanguageModel


def count(ids, n, end):
    counts = {}
    for i in range(max(n - 1, 1), len(ids)):
        history = tuple(ids[i - n + 1 : i])
        if end not in history[1:]:
            counts.setdefault(history, Counter())[ids[i]] += 1
    return counts


def absolute(following, lower, discount):
    if not following:
        return lower.copy()
    total = sum(following.values())
    probabilities = discount * len(following) / total * lower
    for token, number in following.items():
        probabilities[token] += max(number - discount, 0) / total
    return probabilities


def bucket_weights(high, low, bucket, n_buckets, rounds):
    weights, sizes = np.full(n_buckets, 0.5), np.bincount(bucket, minlength=n_buckets)
    for _ in range(rounds):
        from_high = weights[bucket] * high
        came = from_high / (from_high + (1 - weights[bucket]) * low)
        sums = np.bincount(bucket, weights=came, minlength=n_buckets)
        weights = np.where(sizes > 0, sums / np.maximum(sizes, 1), 0.5)
    return weights


class Smoothed(LanguageModel):
    order, discount = 10, 0.8

    def __init__(self, vocabulary_size, end_of_text):
        self.vocabulary_size, self.end_of_text = vocabulary_size, end_of_text

    def fit(self, ids):
        self.counts = {}
        for n in range(1, self.order + 1):
            self.counts.update(count(ids, n, self.end_of_text))
        self.known = {}

    def after(self, history):
        if history not in self.known:
            lower = np.full(self.vocabulary_size, 1 / self.vocabulary_size)
            if history:
                lower = self.after(history[1:])
            self.known[history] = absolute(self.counts.get(history, {}), lower, self.discount)
        return self.known[history]

    def log_probs(self, ids):
        rows = []
        for row in ids.tolist():
            for t in range(len(row)):
                seen = row[max(0, t - self.order + 2) : t + 1]
                if self.end_of_text in seen:  # a document begins there
                    seen = seen[len(seen) - 1 - seen[::-1].index(self.end_of_text) :]
                rows.append(self.after(tuple(seen)))
        return torch.from_numpy(np.log(rows)).view(*ids.shape, -1)
