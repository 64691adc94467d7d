"""Worked solutions of chapter 03's exercises."""

import torch

from minigpt.attention import AdditiveAttention


def local_mask(n, window):
    distance = torch.arange(n)[:, None] - torch.arange(n)  # how far back each column lies
    return (distance >= 0) & (distance < window)


def previous_token_head(n):
    places = torch.eye(n)
    return 30 * n**0.5 * places.roll(-1, dims=1), places  # row t asks for place t - 1, with a score of 30


def streaming_attention(query, pairs):
    largest, total, weighted = torch.tensor(-torch.inf), 0.0, 0.0
    for key, value in pairs:
        score = query @ key / len(query) ** 0.5
        new_largest = torch.maximum(largest, score)
        shrink, weight = (largest - new_largest).exp(), (score - new_largest).exp()
        total, weighted = total * shrink + weight, weighted * shrink + weight * value
        largest = new_largest
    return weighted / total


class BlindAttention(AdditiveAttention):
    def forward(self, query, keys, values, mask):
        weights = mask / mask.sum(dim=1, keepdim=True)
        return (weights[:, None] @ values)[:, 0], weights
