"""Worked solutions of chapter 05's exercises."""

import numpy as np

from minigpt.autograd import unbroadcast


def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: g * y * (1 - y)


def slopes_of(nodes, g):
    slopes = [np.zeros(np.shape(value)) for value, _ in nodes]
    slopes[-1] = g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            slopes[place] = slopes[place] + unbroadcast(slopes[i] * local, slopes[place].shape)
    return slopes


def layer_norm(x):
    s = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    y = (x - x.mean(axis=-1, keepdims=True)) / s
    return y, lambda g: (g - g.mean(axis=-1, keepdims=True) - y * (g * y).mean(axis=-1, keepdims=True)) / s


def truncated(W, U, x, hidden, g, k):
    slope_W, slope_U, slope_b = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b
