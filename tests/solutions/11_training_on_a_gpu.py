"""Worked solutions of the exercises of chapter 11."""

import math

import torch


def cosine_factor(step, steps, warm_up, lowest):
    if step < warm_up:
        return (step + 1) / warm_up
    share = (step - warm_up) / (steps - warm_up)
    return lowest + (1 - lowest) * (1 + math.cos(math.pi * share)) / 2


def accumulate(model, pieces):
    tokens = sum(piece[:, 1:].numel() for piece in pieces)
    total = 0.0
    for piece in pieces:
        part = model(piece[:, :-1], piece[:, 1:]) * piece[:, 1:].numel() / tokens
        part.backward()
        total += part.item()
    return total


def polar(G, rounds):
    X = G.mT if G.shape[-2] > G.shape[-1] else G
    X = X / torch.linalg.matrix_norm(X, keepdim=True)
    for _ in range(rounds):
        X = 1.5 * X - 0.5 * X @ X.mT @ X
    return X.mT if G.shape[-2] > G.shape[-1] else X


def take_steps(model, optimizers, batches):
    losses = []
    for rows in batches:
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    return losses
