"""Worked solutions of the exercises of chapter 08."""

import math

import torch

from minigpt.losses import entropy


def exactly_top_k(log_probs, k):
    best = log_probs.sort(dim=-1, descending=True, stable=True).indices[..., :k]
    return torch.full_like(log_probs, -torch.inf).scatter(-1, best, log_probs.gather(-1, best)).log_softmax(-1)


def without_repeats(log_probs, seen, n):
    grams = seen.unfold(1, n, 1) if seen.shape[1] >= n else seen.new_empty(len(seen), 0, n)  # (B, T - n + 1, n)
    same = (grams[:, :, :-1] == seen[:, None, -(n - 1) :]).all(dim=2)
    banned = torch.zeros_like(log_probs, dtype=torch.bool)
    for row in range(len(seen)):
        banned[row, grams[row, same[row], -1]] = True
    return log_probs.masked_fill(banned, -torch.inf).log_softmax(-1)


def temperature_for(log_probs, nats):
    low, high = 0.05, 5.0
    while high - low > 1e-4:  # the entropy rises with the temperature
        middle = math.sqrt(low * high)
        if entropy((log_probs / middle).log_softmax(-1)).mean() < nats:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def best_of(model, ids, n, end):
    log_probs = model.log_probs(ids[:, :-1]).gather(2, ids[:, 1:, None])[..., 0]
    ends = ids[:, 1:] == end
    counted = ends.cumsum(dim=1) - ends.int() == 0  # up to the first end, and it
    means = log_probs.masked_fill(~counted, 0.0).sum(dim=1) / counted.sum(dim=1)
    best = means.view(-1, n).argmax(dim=1)
    return best + n * torch.arange(len(best))
