"""Worked solutions of chapter 03's exercises."""

import torch

from minigpt.attention import AdditiveAttention


def local_mask(n, window):
    distance = torch.arange(n)[:, None] - torch.arange(n)  # how far back each column lies
    return (distance >= 0) & (distance < window)


def previous_token_head(n):
    places = torch.eye(n)
    return 30 * n**0.5 * places.roll(-1, dims=1), places  # row t asks for place t - 1, with a score of 30


def take_in(running, query, key, value):
    largest, total, weighted = running
    score = query @ key / len(query) ** 0.5
    new_largest = torch.maximum(largest, score)
    shrink, power = (largest - new_largest).exp(), (score - new_largest).exp()
    return new_largest, total * shrink + power, weighted * shrink + power * value


class BlindAttention(AdditiveAttention):
    def forward(self, query, keys, values, mask):
        weights = mask / mask.sum(dim=1, keepdim=True)
        return (weights[:, None] @ values)[:, 0], weights
