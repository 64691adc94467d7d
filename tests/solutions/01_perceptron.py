"""Worked solutions of chapter 01's exercises."""

import numpy as np


def nand(n):
    return [-1.0] * n, n - 0.5


def xor_units():
    return ((1.0, 1.0), -0.5), ((-1.0, -1.0), 1.5), ((1.0, 1.0), -1.0)  # or, not both, and


def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return error @ x / len(x), error.mean()


def averaged_perceptron(x, y, passes):
    weights, bias, total_weights, total_bias = np.zeros(x.shape[1]), 0.0, np.zeros(x.shape[1]), 0.0
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (weights @ inputs + bias) <= 0:
                weights, bias = weights + label * inputs, bias + label
            total_weights, total_bias = total_weights + weights, total_bias + bias
    return total_weights / (passes * len(x)), total_bias / (passes * len(x))
