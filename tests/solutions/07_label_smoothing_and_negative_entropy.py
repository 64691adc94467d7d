"""Worked solutions of chapter 07's exercises."""

import torch
import torch.nn.functional as F

from minigpt.losses import entropy, log_softmax, smooth


def epsilon_for(confidence, n_classes):
    return (1 - confidence) * n_classes / (n_classes - 1)


def unigram_smoothing_loss(logits, targets, epsilon, unigram):
    labels = (1 - epsilon) * F.one_hot(targets, logits.shape[-1]) + epsilon * unigram
    return -(labels * log_softmax(logits)).sum(dim=-1).mean()


def distribution(values):
    positive = values.clamp(min=0)
    return positive / positive.sum(dim=-1, keepdim=True)


def undo_smoothing(p, epsilon):
    return distribution((p - epsilon / p.shape[-1]) / (1 - epsilon))


def undo_penalty(p, beta):
    return distribution(p * (1 + beta * (p.log() + entropy(p.log())[..., None])))


def best_epsilon(counts, held_out_counts):
    frequencies = counts / counts.sum()
    grid = torch.linspace(0, 0.999, 1000).tolist()
    losses = [-(torch.xlogy(held_out_counts, smooth(frequencies, epsilon))).sum().item() for epsilon in grid]
    return grid[losses.index(min(losses))]
