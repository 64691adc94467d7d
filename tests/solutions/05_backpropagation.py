"""Worked solutions of chapter 05's exercises."""

import numpy as np

from minigpt.autograd import unbroadcast


def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: g * y * (1 - y)


def push(graph, slope):
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        if slopes[number] is not None:
            for parent, derivative in graph[number][1]:
                share = unbroadcast(derivative(slopes[number]), graph[parent][0])
                slopes[parent] = share if slopes[parent] is None else slopes[parent] + share
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
