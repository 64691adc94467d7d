"""Right and wrong answers to chapter 05's exercises (see README.md)."""

import math

import numpy as np
import torch

from minigpt.autograd import Value, tanh, unbroadcast

stored = {}


def row_mean(x):
    return x.mean(axis=-1, keepdims=True)


def normalised(x):
    s = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return (x - row_mean(x)) / s, s


def empty(W, U):
    return np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))


# 1: the logistic function as an operation ----------------------------------------------------------------------------


@right  # a named function, and a list
def sigmoid(x):
    y = 1.0 / (1.0 + np.exp(-x))

    def slope(g):
        return g * y * (1.0 - y)

    return [y, slope]


@right  # by tanh
def sigmoid(x):
    half = np.tanh(x / 2)
    return (1 + half) / 2, lambda slope: slope * (1 - half**2) / 4


@right  # without overflow
def sigmoid(x):
    power = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, power) / (1 + power), lambda g: g * power / (1 + power) ** 2


@right  # one number after the other
def sigmoid(x):
    y = np.vectorize(lambda number: 1 / (1 + math.exp(-number)))(x)
    return y, lambda g: np.array([gi * yi * (1 - yi) for gi, yi in zip(g.flat, y.flat)]).reshape(x.shape)


@right  # a class that is called
def sigmoid(x):
    class Slope:
        def __init__(self, y):
            self.y = y

        def __call__(self, g):
            return g * (self.y - self.y**2)

    y = np.exp(x) / (np.exp(x) + 1)
    return y, Slope(y)


@wrong("you forget g: the chain rule multiplies by it")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: y * (1 - y)


@wrong("g times y (1 - y)")
def sigmoid(x):  # of x, not of y
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: g * x * (1 - x)


@wrong("g times y (1 - y)")
def sigmoid(x):  # tanh's slope
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: g * (1 - y**2)


@wrong("you make")
def sigmoid(x):  # the sign
    y = 1 / (1 + np.exp(x))
    return y, lambda g: g * y * (1 - y)


@wrong("you make")
def sigmoid(x):  # tanh
    y = np.tanh(x)
    return y, lambda g: g * (1 - y**2)


@wrong("you make")
def sigmoid(x):  # a softmax
    y = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    return y, lambda g: g * y * (1 - y)


@wrong("not ndarray")
def sigmoid(x):  # no slope
    return 1 / (1 + np.exp(-x))


@wrong("must be a function of g, not ndarray")
def sigmoid(x):  # numbers, not a function
    y = 1 / (1 + np.exp(-x))
    return y, y * (1 - y)


@wrong("not NoneType")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    print(y, lambda g: g * y * (1 - y))


@wrong("not Value")
def sigmoid(x):  # already an operation
    return 1 / (1 + tanh(Value(x)))


@wrong("x changed during the call")
def sigmoid(x):
    x *= -1
    y = 1 / (1 + np.exp(x))
    return y, lambda g: g * y * (1 - y)


@wrong("the result has shape (), not (2, 3)")
def sigmoid(x):  # of the first number only
    y = 1 / (1 + math.exp(-x.flat[0]))
    return y, lambda g: g * y * (1 - y)


@wrong("the slope is of shape (), not (2, 3)")
def sigmoid(x):  # a sum that nobody asked for
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: (g * y * (1 - y)).sum()


@wrong("g times y (1 - y)")
def sigmoid(x):  # remembers the first g
    y = 1 / (1 + np.exp(-x))
    first = []

    def slope(g):
        first.append(g)
        return first[0] * y * (1 - y)

    return y, slope


@wrong("g times y (1 - y)")
def sigmoid(x):  # the slope of x with y
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: g / (y * (1 - y))


@wrong("TypeError")
def sigmoid(x):  # for single numbers
    y = 1 / (1 + math.exp(-x))
    return y, lambda g: g * y * (1 - y)


# 2: two bugs in the pass back ----------------------------------------------------------------------------------------


@right  # sums by hand
def slopes_of(nodes, g):
    slopes = [0.0 for _ in nodes]
    slopes[-1] = g
    for i in range(len(nodes) - 1, -1, -1):
        for place, local in nodes[i][1]:
            share, shape = slopes[i] * local, nodes[place][0].shape
            while share.ndim > len(shape):
                share = share.sum(axis=0)
            for axis, length in enumerate(shape):
                if length == 1:
                    share = share.sum(axis=axis, keepdims=True)
            slopes[place] = slopes[place] + share
    return slopes


@right  # each value asks those that use it
def slopes_of(nodes, g):
    slopes = {len(nodes) - 1: g}
    for i in range(len(nodes) - 2, -1, -1):
        shares = [slopes[j] * local for j in range(i + 1, len(nodes)) for place, local in nodes[j][1] if place == i]
        slopes[i] = sum(unbroadcast(share, nodes[i][0].shape) for share in shares)
    return tuple(slopes[i] for i in range(len(nodes)))


@right  # along each path
def slopes_of(nodes, g):
    slopes = [np.zeros(value.shape) for value, _ in nodes]

    def push(i, slope):
        slopes[i] = slopes[i] + slope
        for place, local in nodes[i][1]:
            push(place, unbroadcast(slope * local, slopes[place].shape))

    push(len(nodes) - 1, g)
    return slopes


@right  # by PyTorch's rule of broadcasting, and in place on arrays of its own
def slopes_of(nodes, g):
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            share = torch.tensor(slopes[i] * local)
            slopes[place] += share.sum_to_size(slopes[place].shape).numpy()
    return slopes


@wrong("x is used three times: add what comes")
def slopes_of(nodes, g):  # the colleague's
    slopes = [None] * len(nodes)
    slopes[-1] = g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            slopes[place] = slopes[i] * local
    return slopes


@wrong("the row was repeated: sum over the copies")
def slopes_of(nodes, g):  # only the first bug
    slopes = [0] * len(nodes)
    slopes[-1] = g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            slopes[place] = slopes[place] + slopes[i] * local
    return slopes


@wrong("x is used three times: add what comes")
def slopes_of(nodes, g):  # only the second bug
    slopes = [None] * len(nodes)
    slopes[-1] = g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            slopes[place] = unbroadcast(slopes[i] * local, nodes[place][0].shape)
    return slopes


@wrong("non-broadcastable output")
def slopes_of(nodes, g):  # added in place, before the sum over the copies
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            slopes[place] += slopes[i] * local
    return slopes


@wrong("the row was repeated: sum over the copies")
def slopes_of(nodes, g):  # the mean of the copies
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            share = slopes[i] * local
            slopes[place] += unbroadcast(share, slopes[place].shape) * slopes[place].size / share.size
    return slopes


@wrong("the row was repeated: sum over the copies")
def slopes_of(nodes, g):  # the first of the copies
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            share = slopes[i] * local
            slopes[place] += share if share.shape == slopes[place].shape else share[0]
    return slopes


@wrong("the column was repeated: sum over the copies, and keep its shape")
def slopes_of(nodes, g):  # knows rows only
    slopes = [0.0] * len(nodes)
    slopes[-1] = g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            share = slopes[i] * local
            if share.shape != nodes[place][0].shape:
                share = share.sum(axis=0)
            slopes[place] = slopes[place] + share
    return slopes


@wrong("the column was repeated: sum over the copies, and keep its shape")
def slopes_of(nodes, g):  # loses the axis of length 1
    slopes = [0.0] * len(nodes)
    slopes[-1] = g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            share, value = slopes[i] * local, nodes[place][0]
            if value.ndim < share.ndim:
                share = share.sum(axis=tuple(range(share.ndim - value.ndim)))
            elif value.shape != share.shape:
                share = share.sum(axis=1)
            slopes[place] = slopes[place] + share
    return slopes


@wrong("x is used three times: add what comes")
def slopes_of(nodes, g):  # a dictionary of the inputs loses one of two
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        for place, local in dict(nodes[i][1]).items():
            slopes[place] += unbroadcast(slopes[i] * local, slopes[place].shape)
    return slopes


@wrong("x is used three times: add what comes")
def slopes_of(nodes, g):  # the mean of the uses
    slopes, uses = [np.zeros_like(value) for value, _ in nodes], [0] * len(nodes)
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        slopes[i] /= max(1, uses[i])
        for place, local in nodes[i][1]:
            uses[place] += 1
            slopes[place] += unbroadcast(slopes[i] * local, slopes[place].shape)
    return slopes


@wrong("multiply along the path, from g on")
def slopes_of(nodes, g):  # from one on
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += 1
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            slopes[place] += unbroadcast(slopes[i] * local, slopes[place].shape)
    return slopes


@wrong("multiply along the path, from g on")
def slopes_of(nodes, g):  # in the forward direction
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in range(len(nodes)):
        for place, local in nodes[i][1]:
            slopes[place] += unbroadcast(slopes[i] * local, slopes[place].shape)
    return slopes


@wrong("slopes for")
def slopes_of(nodes, g):  # of the leaves alone
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            slopes[place] += unbroadcast(slopes[i] * local, slopes[place].shape)
    return [slope for slope, (_, inputs) in zip(slopes, nodes) if not inputs]


@wrong("return a list of slopes, not NoneType")
def slopes_of(nodes, g):
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            slopes[place] += unbroadcast(slopes[i] * local, slopes[place].shape)
    print(slopes)


@wrong("g changed during the call")
def slopes_of(nodes, g):  # multiplied in place
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] = g
    for i in reversed(range(len(nodes))):
        for place, local in nodes[i][1]:
            share = slopes[i]
            share *= local
            slopes[place] += unbroadcast(share, slopes[place].shape)
    return slopes


@wrong("nodes changed during the call")
def slopes_of(nodes, g):  # works through the list until it is empty
    slopes = [np.zeros_like(value) for value, _ in nodes]
    slopes[-1] += g
    for i in reversed(range(len(nodes))):
        _, inputs = nodes[i]
        while inputs:
            place, local = inputs.pop()
            slopes[place] += unbroadcast(slopes[i] * local, slopes[place].shape)
    return slopes


# 3: layer normalisation ----------------------------------------------------------------------------------------------


@right  # PyTorch's engine
def layer_norm(x):
    tensor = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.layer_norm(tensor, tensor.shape[-1:])
    return y.detach().numpy(), lambda g: torch.autograd.grad(y, tensor, torch.tensor(g), retain_graph=True)[0].numpy()


@right  # the course's engine
def layer_norm(x):
    value = Value(x)
    centred = value - value.mean(axis=-1, keepdims=True)
    y = centred / ((centred**2).mean(axis=-1, keepdims=True) + 1e-5) ** 0.5

    def slope(g):
        value.grad = None
        y.backward(g)
        return value.grad

    return y.data, slope


@right  # the matrix of all slopes of a row
def layer_norm(x):
    y, s = normalised(x)
    D = x.shape[-1]

    def slope(g):
        matrix = (np.eye(D) - 1 / D - y[..., :, None] * y[..., None, :] / D) / s[..., None]
        return np.einsum("...j,...jk->...k", g, matrix)

    return y, slope


@right  # row after row
def layer_norm(x):
    def of_row(row):
        centred = row - row.sum() / len(row)
        return centred / math.sqrt((centred**2).sum() / len(row) + 1e-5)

    def slope_of_row(row, g):
        y = of_row(row)
        return (g - g.mean() - y * np.mean(g * y)) / math.sqrt(row.var() + 1e-5)

    rows = x.reshape(-1, x.shape[-1])
    y = np.stack([of_row(row) for row in rows]).reshape(x.shape)
    return [y, lambda g: np.stack([slope_of_row(*pair) for pair in zip(rows, g.reshape(rows.shape))]).reshape(x.shape)]


@wrong("mean and s move with x")
def layer_norm(x):
    y, s = normalised(x)
    return y, lambda g: g / s


@wrong("s moves with x, too")
def layer_norm(x):
    y, s = normalised(x)
    return y, lambda g: (g - row_mean(g)) / s


@wrong("the mean moves, too")
def layer_norm(x):
    y, s = normalised(x)
    return y, lambda g: (g - y * row_mean(g * y)) / s


@wrong("divide by s")
def layer_norm(x):
    y, s = normalised(x)
    return y, lambda g: g - row_mean(g) - y * row_mean(g * y)


@wrong("compare with the hint")
def layer_norm(x):  # the sign
    y, s = normalised(x)
    return y, lambda g: (g - row_mean(g) + y * row_mean(g * y)) / s


@wrong("compare with the hint")
def layer_norm(x):  # x, not the result
    y, s = normalised(x)
    return y, lambda g: (g - row_mean(g) - x * row_mean(g * x)) / s


@wrong("compare with the hint")
def layer_norm(x):  # sums, not means
    y, s = normalised(x)
    return y, lambda g: (g - g.sum(-1, keepdims=True) - y * (g * y).sum(-1, keepdims=True)) / s


@wrong("compare with the hint")
def layer_norm(x):  # without g
    y, s = normalised(x)
    return y, lambda g: (1 - row_mean(np.ones_like(y)) - y * row_mean(y)) / s


@wrong("divide by D, not D - 1")
def layer_norm(x):
    s = np.sqrt(x.var(axis=-1, keepdims=True, ddof=1) + 1e-5)
    y = (x - row_mean(x)) / s
    return y, lambda g: (g - row_mean(g) - y * row_mean(g * y)) / s


@wrong("epsilon is missing")
def layer_norm(x):  # no epsilon
    s = x.std(axis=-1, keepdims=True)
    y = (x - row_mean(x)) / s
    return y, lambda g: (g - row_mean(g) - y * row_mean(g * y)) / s


@wrong("epsilon belongs under the root")
def layer_norm(x):  # epsilon behind the root
    s = x.std(axis=-1, keepdims=True) + 1e-5
    y = (x - row_mean(x)) / s
    return y, lambda g: (g - row_mean(g) - y * row_mean(g * y)) / s


@wrong("divide by the root")
def layer_norm(x):  # no root
    s = x.var(axis=-1, keepdims=True) + 1e-5
    y = (x - row_mean(x)) / s
    return y, lambda g: (g - row_mean(g) - y * row_mean(g * y)) / s


@wrong("mean, var of each row?")
def layer_norm(x):  # over all axes
    s = np.sqrt(x.var() + 1e-5)
    y = (x - x.mean()) / s
    return y, lambda g: (g - g.mean() - y * (g * y).mean()) / s


@wrong("mean, var of each row?")
def layer_norm(x):  # over the first axis
    s = np.sqrt(x.var(axis=0) + 1e-5)
    y = (x - x.mean(axis=0)) / s
    return y, lambda g: (g - g.mean(axis=0) - y * (g * y).mean(axis=0)) / s


@wrong("could not be broadcast together")
def layer_norm(x):  # the axis lost
    s = np.sqrt(x.var(axis=-1) + 1e-5)
    y = (x - x.mean(axis=-1)) / s
    return y, lambda g: (g - g.mean(axis=-1) - y * (g * y).mean(axis=-1)) / s


@wrong("the slope has shape (2, 4, 1): keepdims=True?")
def layer_norm(x):  # a row's slope for all
    y, s = normalised(x)
    return y, lambda g: row_mean(g) / s


@wrong("x changed during the call")
def layer_norm(x):
    s = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    x -= row_mean(x)
    y = x / s
    return y, lambda g: (g - row_mean(g) - y * row_mean(g * y)) / s


@wrong("not ndarray")
def layer_norm(x):  # no slope
    return normalised(x)[0]


@wrong("'numpy.ndarray' object is not callable")
def layer_norm(x):  # the width, not the slope
    return normalised(x)


# 4: truncated back-propagation through time --------------------------------------------------------------------------


@right  # piece after piece
def truncated(W, U, x, hidden, g, k):
    slope_W, slope_U, slope_b = empty(W, U)
    T = x.shape[1]
    for start in range(0, T, k):
        delta = 0.0
        for t in range(min(start + k, T) - 1, start - 1, -1):
            delta = (g[:, t] + (delta @ U if np.ndim(delta) else 0)) * (1 - hidden[:, t + 1] ** 2)
            slope_W += np.einsum("bd,bi->di", delta, x[:, t])
            slope_U += np.einsum("bd,be->de", delta, hidden[:, t])
            slope_b += delta.sum(0)
    return slope_W, slope_U, slope_b


@right  # all deltas first
def truncated(W, U, x, hidden, g, k):
    deltas = np.zeros_like(g)
    T = g.shape[1]
    for t in range(T - 1, -1, -1):
        later = deltas[:, t + 1] @ U if t + 1 < T and (t + 1) % k else 0
        deltas[:, t] = (g[:, t] + later) * (1 - hidden[:, t + 1] ** 2)
    slope_W = np.tensordot(deltas, x, axes=([0, 1], [0, 1]))
    slope_U = np.tensordot(deltas, hidden[:, :-1], axes=([0, 1], [0, 1]))
    return [slope_W, slope_U, deltas.sum(axis=(0, 1))]


@right  # the sum of full passes over pieces
def truncated(W, U, x, hidden, g, k):
    def full(x, hidden, g):
        slopes, delta = empty(W, U), np.zeros_like(hidden[:, 0])
        for t in reversed(range(x.shape[1])):
            delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
            shares = delta.T @ x[:, t], delta.T @ hidden[:, t], delta.sum(axis=0)
            slopes = tuple(slope + share for slope, share in zip(slopes, shares))
        return slopes

    starts = range(0, x.shape[1], k)
    pieces = [full(x[:, s : s + k], hidden[:, s : s + k + 1], g[:, s : s + k]) for s in starts]
    return tuple(sum(slopes) for slopes in zip(*pieces))


@right  # PyTorch's engine, from the states that are given
def truncated(W, U, x, hidden, g, k):
    W, U, b = (torch.tensor(array, requires_grad=True) for array in (W, U, np.zeros(len(U))))
    x, hidden, g = (torch.tensor(array) for array in (x, hidden, g))
    total = 0.0
    for t in range(x.shape[1]):
        z = x[:, t] @ W.T + b + (hidden[:, t] if t % k == 0 else h) @ U.T
        h = torch.tanh(z + (torch.atanh(hidden[:, t + 1]) - z).detach())
        total = total + (h * g[:, t]).sum()
    total.backward()
    return W.grad.numpy(), U.grad.numpy(), b.grad.numpy()


@wrong("and k = 1 the slope with W is wrong: no slope passes")
def truncated(W, U, x, hidden, g, k):  # the full pass
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("k = 1 the slope with W is wrong: no slope passes from step to step")
def truncated(W, U, x, hidden, g, k):  # cut one step too early
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if t % k == 0 and t:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("a piece begins at each of the steps [0, 3, 6")
def truncated(W, U, x, hidden, g, k):  # pieces counted from the end
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for step, t in enumerate(reversed(range(x.shape[1]))):
        if step % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("the slope with U is wrong: no slope passes from step to step, but the states are what they were")
def truncated(W, U, x, hidden, g, k):  # forgets the state as well
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ (hidden[:, t] if t % k else np.zeros_like(delta))
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("one piece, even if it is not full, is the full pass")
def truncated(W, U, x, hidden, g, k):  # nothing passes from step to step
    slope_W, slope_U, slope_b = empty(W, U)
    for t in range(x.shape[1]):
        delta = g[:, t] * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("one piece, even if it is not full, is the full pass")
def truncated(W, U, x, hidden, g, k):  # U where its transpose belongs
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U.T) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("one piece, even if it is not full, is the full pass")
def truncated(W, U, x, hidden, g, k):  # the slope of tanh at the state before
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("the slope with U is wrong: one piece")
def truncated(W, U, x, hidden, g, k):  # the state after the step, not before
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t + 1]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("one piece, even if it is not full, is the full pass")
def truncated(W, U, x, hidden, g, k):  # drops a piece that is not full
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1] // k * k)):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("and k = 1 the slope with W is wrong")
def truncated(W, U, x, hidden, g, k):  # the sums begin anew with each piece
    delta = np.zeros_like(hidden[:, 0])
    slope_W, slope_U, slope_b = empty(W, U)
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
            slope_W, slope_U, slope_b = empty(W, U)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("a piece begins at each of the steps [0, 3, 6")
def truncated(W, U, x, hidden, g, k):  # each step's slope goes back k steps
    slope_W, slope_U, slope_b = empty(W, U)
    for end in range(x.shape[1]):
        delta = g[:, end]
        for t in range(end, max(end - k, -1), -1):
            delta = delta * (1 - hidden[:, t + 1] ** 2)
            slope_W += delta.T @ x[:, t]
            slope_U += delta.T @ hidden[:, t]
            slope_b += delta.sum(axis=0)
            delta = delta @ U
    return slope_W, slope_U, slope_b


@wrong("g changed during the call")
def truncated(W, U, x, hidden, g, k):
    slope_W, slope_U, slope_b = empty(W, U)
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k and t + 1 < x.shape[1]:
            g[:, t] += delta @ U
        delta = g[:, t] * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("the slope with U has shape (4,), not (4, 4)")
def truncated(W, U, x, hidden, g, k):  # in another order
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_b, slope_U


@wrong("the slope with W is wrong: one piece")
def truncated(W, U, x, hidden, g, k):  # the mean over the batch
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t] / len(x)
        slope_U += delta.T @ hidden[:, t] / len(x)
        slope_b += delta.mean(axis=0)
    return slope_W, slope_U, slope_b


@wrong("return three slopes, with W, with U and with b, not NoneType")
def truncated(W, U, x, hidden, g, k):
    slope_W, slope_U, slope_b = empty(W, U)
    for t in reversed(range(x.shape[1])):
        delta = g[:, t] * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]


@wrong("the slope with W has shape (3, 4), not (4, 3)")
def truncated(W, U, x, hidden, g, k):  # transposed
    slope_W, slope_U, slope_b = np.zeros_like(W).T, np.zeros_like(U), np.zeros(len(U))
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += x[:, t].T @ delta
        slope_U += hidden[:, t].T @ delta
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b


@wrong("and k = 1 the slope with W is wrong")
def truncated(W, U, x, hidden, g, k):  # remembers where the first call cut
    k = stored.setdefault("k", k)
    slope_W, slope_U, slope_b = empty(W, U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if (t + 1) % k == 0:
            delta = np.zeros_like(delta)
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        slope_W += delta.T @ x[:, t]
        slope_U += delta.T @ hidden[:, t]
        slope_b += delta.sum(axis=0)
    return slope_W, slope_U, slope_b
