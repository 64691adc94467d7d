"""Worked solutions of the exercises of chapter 13."""

import math

import torch


def seen(windows, T):
    if 0 in windows:
        return T
    return min(T, 1 + sum(window - 1 for window in windows))


def for_scaled_scores(weight, n_heads):
    D = weight.shape[1]
    queries, keys, values = weight.chunk(3)
    return torch.cat([queries * math.sqrt(D / n_heads), keys, values])


def weave(weight, n_heads, turned):
    heads = weight.unflatten(0, (n_heads, -1)).clone()  # (H, head width, inputs)
    heads[:, 0:turned:2], heads[:, 1:turned:2] = weight.unflatten(0, (n_heads, -1))[:, :turned].chunk(2, dim=1)
    return heads.flatten(0, 1)


def bits_saved(log_probs, codes):
    told = log_probs.gather(1, codes[:, None])[:, 0]
    untold = log_probs.logsumexp(dim=1) - math.log(log_probs.shape[1])
    return ((told - untold).mean() / math.log(2)).item()
