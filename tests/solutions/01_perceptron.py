"""Worked solutions of chapter 01's exercises."""

import numpy as np

from minigpt.perceptron import Perceptron


def nand():
    return (-1.0, -1.0), 1.5


def unit(weights, bias):
    perceptron = Perceptron(2)
    perceptron.weights, perceptron.bias = np.array(weights), bias
    return perceptron


def xor_units():
    return unit([1.0, 1.0], -0.5), unit([-1.0, -1.0], 1.5), unit([1.0, 1.0], -1.0)


def averaged_perceptron(x, y, passes):
    weights, bias, total_weights, total_bias = np.zeros(x.shape[1]), 0.0, np.zeros(x.shape[1]), 0.0
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (weights @ inputs + bias) <= 0:
                weights, bias = weights + label * inputs, bias + label
            total_weights, total_bias = total_weights + weights, total_bias + bias
    return total_weights / (passes * len(x)), total_bias / (passes * len(x))
