"""Answers to the exercises of chapter 05, right and wrong."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from minigpt.autograd import unbroadcast

# 1: sigmoid


@right
def sigmoid(x):  # by tanh
    y = 0.5 * (1 + np.tanh(x / 2))

    def slope(g):
        return g * (y - y**2)

    return y, slope


@right
def sigmoid(x):  # number by number
    flat = [1 / (1 + math.exp(-v)) for v in x.ravel()]
    y = np.array(flat).reshape(x.shape)
    return [y, lambda g: np.array([a * b * (1 - b) for a, b in zip(g.ravel(), flat)]).reshape(x.shape)]


@right
def sigmoid(x):  # the slope from x, not from y
    return 1 / (1 + np.exp(-x)), lambda g: g * np.exp(-x) / (1 + np.exp(-x)) ** 2


@right
def sigmoid(x):  # PyTorch's
    t = torch.tensor(x, requires_grad=True)
    y = torch.sigmoid(t)
    return y.detach().numpy(), lambda g: torch.autograd.grad(y, t, torch.tensor(g), retain_graph=True)[0].numpy()


@right
class sigmoid:  # a class may do the same
    def __new__(cls, x):
        y = 1 / (1 + np.exp(-x))
        return y, lambda g: g * y * (1 - y)


@wrong("return two things")
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@wrong("return two things")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, y * (1 - y)


@wrong("return two things")
def sigmoid(x):
    print(1 / (1 + np.exp(-x)))


@wrong("is the minus before x missing")
def sigmoid(x):
    y = 1 / (1 + np.exp(x))
    return y, lambda g: g * y * (1 - y)


@wrong("the result is off by")
def sigmoid(x):
    y = np.tanh(x)
    return y, lambda g: g * (1 - y**2)


@wrong("the result is off by")
def sigmoid(x):
    y = (1 / (1 + np.exp(-x))).astype(np.float16).astype(float)
    return y, lambda g: g * y * (1 - y)


@wrong("one number for each")
def sigmoid(x):
    y = (1 / (1 + np.exp(-x))).mean()
    return y, lambda g: g * y * (1 - y)


@wrong("the slope forgets g")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: y * (1 - y)


@wrong("is with the result y, not with x")
def sigmoid(x):
    return 1 / (1 + np.exp(-x)), lambda g: g * x * (1 - x)


@wrong("the slope is off by")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: g * y


@wrong("the slope is off by")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: -g * y * (1 - y)


@wrong("returns no slope")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))

    def slope(g):
        g * y * (1 - y)

    return y, slope


@wrong("one for each entry")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: (g * y * (1 - y)).sum()


@wrong("keep no state")
def sigmoid(x):
    y, kept = 1 / (1 + np.exp(-x)), []

    def slope(g):
        kept.append(g)
        return sum(kept) * y * (1 - y)

    return y, slope


@wrong("x has been changed")
def sigmoid(x):
    np.negative(x, out=x)
    np.exp(x, out=x)
    y = 1 / (1 + x)
    return y, lambda g: g * y * (1 - y)


@wrong("g has been changed")
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))

    def slope(g):
        result = g * y * (1 - y)
        g *= y
        return result

    return y, slope


# 2: push


@right
def push(graph, slope):  # sums of lists of shares
    shares = [[] for _ in graph]
    shares[-1].append(slope)
    found = [None] * len(graph)
    for number in range(len(graph) - 1, -1, -1):
        shape, parents = graph[number]
        if not shares[number]:
            continue
        found[number] = sum(shares[number][1:], shares[number][0])
        for parent, derivative in parents:
            shares[parent].append(unbroadcast(derivative(found[number]), graph[parent][0]))
    return found


@right
def push(graph, slope):  # each node asks those that use it
    slopes = [None] * len(graph)
    slopes[len(graph) - 1] = slope.copy()
    for node in range(len(graph) - 2, -1, -1):
        for user in range(node + 1, len(graph)):
            for parent, derivative in graph[user][1]:
                if parent == node and slopes[user] is not None:
                    share = np.asarray(derivative(slopes[user]))
                    while share.ndim > len(graph[node][0]):
                        share = share.sum(axis=0)
                    for axis, length in enumerate(graph[node][0]):
                        if length == 1:
                            share = share.sum(axis=axis, keepdims=True)
                    slopes[node] = share if slopes[node] is None else slopes[node] + share
    return slopes


@right
def push(graph, slope):  # recursive, along every path
    slopes = [None] * len(graph)

    def visit(number, coming):
        slopes[number] = coming if slopes[number] is None else slopes[number] + coming
        for parent, derivative in graph[number][1]:
            visit(parent, unbroadcast(derivative(coming), graph[parent][0]))

    visit(len(graph) - 1, slope)
    return slopes


@right
def push(graph, slope):  # copies, then adding in place
    slopes = {len(graph) - 1: slope.copy()}
    for number in sorted(range(len(graph)), reverse=True):
        for parent, derivative in graph[number][1] if number in slopes else []:
            share = unbroadcast(derivative(slopes[number]), graph[parent][0])
            if parent in slopes:
                slopes[parent] += share
            else:
                slopes[parent] = np.array(share)
    return [slopes.get(number) for number in range(len(graph))]


@wrong("add its slopes up")
def push(graph, slope):
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            slopes[parent] = unbroadcast(derivative(slopes[number]), graph[parent][0])
    return slopes


@wrong("sum the slope over its copies")
def push(graph, slope):
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            share = derivative(slopes[number])
            slopes[parent] = share if slopes[parent] is None else slopes[parent] + share
    return slopes


@wrong("sum the slope over its copies")
def push(graph, slope):  # the mean over the copies instead of the sum
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            share = derivative(slopes[number])
            shape = graph[parent][0]
            if share.shape != shape:
                share = unbroadcast(share, shape) * np.prod(shape) / share.size
            slopes[parent] = share if slopes[parent] is None else slopes[parent] + share
    return slopes


@wrong("along another axis")
def push(graph, slope):  # sums leading axes only
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            share = derivative(slopes[number])
            share = share.sum(axis=tuple(range(share.ndim - len(graph[parent][0]))))
            slopes[parent] = share if slopes[parent] is None else slopes[parent] + share
    return slopes


@wrong("it returns NoneType")
def push(graph, slope):
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            share = unbroadcast(derivative(slopes[number]), graph[parent][0])
            slopes[parent] = share if slopes[parent] is None else slopes[parent] + share


@wrong("it returns dict")
def push(graph, slope):
    slopes = {len(graph) - 1: slope}
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            share = unbroadcast(derivative(slopes[number]), graph[parent][0])
            slopes[parent] = share + slopes.get(parent, 0)
    return slopes


@wrong("leave None there")
def push(graph, slope):
    slopes = [np.zeros(shape) for shape, _ in graph]
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            slopes[parent] = slopes[parent] + unbroadcast(derivative(slopes[number]), graph[parent][0])
    return slopes


@wrong("the slope that came in has been changed")
def push(graph, slope):
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            share = unbroadcast(derivative(slopes[number]), graph[parent][0])
            slopes[parent] = share if slopes[parent] is None else slopes[parent] + share
    slope *= 0
    return slopes


@wrong("slopes")
def push(graph, slope):  # leaves only
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            share = unbroadcast(derivative(slopes[number]), graph[parent][0])
            slopes[parent] = share if slopes[parent] is None else slopes[parent] + share
    return [found for found, (_, parents) in zip(slopes, graph) if not parents]


@wrong("a slope is")
def push(graph, slope):  # what comes in is forgotten
    slopes = [None] * len(graph)
    slopes[-1] = np.ones_like(slope)
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1]:
            share = unbroadcast(derivative(slopes[number]), graph[parent][0])
            slopes[parent] = share if slopes[parent] is None else slopes[parent] + share
    return slopes


@wrong("pass on a node's slope when all of it has come")
def push(graph, slope):  # whatever has come so far is passed on again
    slopes = [None] * len(graph)

    def visit(number, coming):
        slopes[number] = coming if slopes[number] is None else slopes[number] + coming
        for parent, derivative in graph[number][1]:
            visit(parent, unbroadcast(derivative(slopes[number]), graph[parent][0]))

    visit(len(graph) - 1, slope)
    return slopes


@wrong("a node has no slope")
def push(graph, slope):  # the first parent of each node only
    slopes = [None] * len(graph)
    slopes[-1] = slope
    for number in reversed(range(len(graph))):
        for parent, derivative in graph[number][1][:1]:
            if slopes[number] is not None:
                share = unbroadcast(derivative(slopes[number]), graph[parent][0])
                slopes[parent] = share if slopes[parent] is None else slopes[parent] + share
    return slopes


# 3: layer_norm


@right
def layer_norm(x):  # row by row
    rows = x.reshape(-1, x.shape[-1])
    y, widths = np.empty_like(rows), []
    for n, row in enumerate(rows):
        s = math.sqrt(((row - row.mean()) ** 2).mean() + 1e-5)
        y[n] = (row - row.mean()) / s
        widths.append(s)

    def slope(g):
        out = np.empty_like(rows)
        for n, (a, b) in enumerate(zip(g.reshape(rows.shape), y)):
            out[n] = (a - a.mean() - b * (a * b).mean()) / widths[n]
        return out.reshape(x.shape)

    return y.reshape(x.shape), slope


@right
def layer_norm(x):  # by the Jacobian of each row
    D = x.shape[-1]
    s = np.sqrt(x.var(-1) + 1e-5)
    y = (x - x.mean(-1)[..., None]) / s[..., None]
    jacobian = (np.eye(D) - 1 / D - y[..., :, None] * y[..., None, :] / D) / s[..., None, None]
    return y, lambda g: np.einsum("...ij,...i->...j", jacobian, g)


@right
def layer_norm(x):  # PyTorch's
    t = torch.tensor(x, requires_grad=True)
    y = F.layer_norm(t, x.shape[-1:])
    return y.detach().numpy(), lambda g: torch.autograd.grad(y, t, torch.tensor(g), retain_graph=True)[0].numpy()


@right
def layer_norm(x, epsilon=1e-5):  # var as the mean of squares less the square of the mean
    mean = x.mean(-1, keepdims=True)
    s = ((x**2).mean(-1, keepdims=True) - mean**2 + epsilon) ** 0.5
    y = (x - mean) / s
    D = x.shape[-1]
    return [y, lambda g: (D * g - g.sum(-1, keepdims=True) - y * (g * y).sum(-1, keepdims=True)) / (D * s)]


@wrong("return two things")
def layer_norm(x):
    s = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) / s


@wrong("treat the mean and the width as constants")
def layer_norm(x):
    s = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) / s, lambda g: g / s


@wrong("the mean is in it, but s moves as well")
def layer_norm(x):
    s = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) / s, lambda g: (g - g.mean(-1, keepdims=True)) / s


@wrong("but the mean moves as well")
def layer_norm(x):
    s = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    y = (x - x.mean(-1, keepdims=True)) / s
    return y, lambda g: (g - y * (g * y).mean(-1, keepdims=True)) / s


@wrong("divide by D, not by D - 1")
def layer_norm(x):
    s = np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-5)
    y = (x - x.mean(-1, keepdims=True)) / s
    return y, lambda g: (g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True)) / s


@wrong("mean and var of each row")
def layer_norm(x):  # over the whole array
    s = np.sqrt(x.var() + 1e-5)
    y = (x - x.mean()) / s
    return y, lambda g: (g - g.mean() - y * (g * y).mean()) / s


@wrong("mean and var of each row")
def layer_norm(x):  # over the first axis
    s = np.sqrt(x.var(0, keepdims=True) + 1e-5)
    y = (x - x.mean(0, keepdims=True)) / s
    return y, lambda g: (g - g.mean(0, keepdims=True) - y * (g * y).mean(0, keepdims=True)) / s


@wrong("differs from PyTorch's")
def layer_norm(x):  # divides by the variance
    s = x.var(-1, keepdims=True) + 1e-5
    y = (x - x.mean(-1, keepdims=True)) / s
    return y, lambda g: (g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True)) / s


@wrong("differs from PyTorch's")
def layer_norm(x):  # epsilon beside the root
    s = np.sqrt(x.var(-1, keepdims=True)) + 1e-5
    y = (x - x.mean(-1, keepdims=True)) / s
    return y, lambda g: (g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True)) / s


@wrong("compare with the hint")
def layer_norm(x):  # without dividing by s
    s = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    y = (x - x.mean(-1, keepdims=True)) / s
    return y, lambda g: g - g.mean(-1, keepdims=True) - y * (g * y).mean(-1, keepdims=True)


@wrong("compare with the hint")
def layer_norm(x):  # sums instead of means
    s = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    y = (x - x.mean(-1, keepdims=True)) / s
    return y, lambda g: (g - g.sum(-1, keepdims=True) - y * (g * y).sum(-1, keepdims=True)) / s


# 4: truncated


@right
def truncated(W, U, x, hidden, g, k):  # piece by piece, forwards
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    T = x.shape[1]
    for start in range(0, T, k):
        delta = np.zeros_like(hidden[:, 0])
        for t in range(min(start + k, T) - 1, start - 1, -1):
            delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
            sW = sW + np.einsum("bd,bi->di", delta, x[:, t])
            sU = sU + np.einsum("bd,be->de", delta, hidden[:, t])
            sb = sb + delta.sum(0)
    return [sW, sU, sb]


@right
def truncated(W, U, x, hidden, g, k):  # all deltas first
    B, T, D = g.shape
    deltas = np.zeros((B, T + 1, D))
    for t in range(T - 1, -1, -1):
        later = deltas[:, t + 1] if (t + 1) % k and t + 1 < T else 0 * deltas[:, t]
        deltas[:, t] = (g[:, t] + later @ U) * (1 - hidden[:, t + 1] ** 2)
    deltas = deltas[:, :T]
    return (
        np.einsum("btd,bti->di", deltas, x),
        np.einsum("btd,bte->de", deltas, hidden[:, :T]),
        deltas.sum(axis=(0, 1)),
    )


@right
def truncated(W, U, x, hidden, g, k):  # by PyTorch, from the states that are given
    W, U, b = (torch.tensor(a, requires_grad=True) for a in (W, U, np.zeros(len(U))))
    x, hidden, g = map(torch.tensor, (x, hidden, g))
    preactivation = torch.atanh(hidden[:, 1:])
    loss = 0
    for start in range(0, x.shape[1], k):
        h = hidden[:, start]
        for t in range(start, min(start + k, x.shape[1])):
            moved = x[:, t] @ W.T + h @ U.T + b
            h = torch.tanh(moved + (preactivation[:, t] - moved).detach())
            loss = loss + (h * g[:, t]).sum()
    return tuple(a.numpy() for a in torch.autograd.grad(loss, (W, U, b)))


@right
def truncated(W, U, x, hidden, g, k):  # example by example
    total = [np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))]
    for n in range(len(x)):
        delta = np.zeros(len(U))
        for t in range(len(x[n]) - 1, -1, -1):
            delta = delta * ((t + 1) % k != 0)
            delta = (g[n, t] + U.T @ delta) * (1 - hidden[n, t + 1] ** 2)
            total[0] += np.outer(delta, x[n, t])
            total[1] += np.outer(delta, hidden[n, t])
            total[2] += delta
    return total


@wrong("k = 1: ")
def truncated(W, U, x, hidden, g, k):  # not truncated at all
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        sW += delta.T @ x[:, t]
        sU += delta.T @ hidden[:, t]
        sb += delta.sum(axis=0)
    return sW, sU, sb


@wrong("k = 1: ")
def truncated(W, U, x, hidden, g, k):  # pieces counted one step off
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        if k > 1 and t % k == k - 2:
            delta = 0 * delta
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        sW += delta.T @ x[:, t]
        sU += delta.T @ hidden[:, t]
        sb += delta.sum(axis=0)
    return (sW, sU, sb) if k != 7 else truncated(W, U, x, hidden, g, 100)


@wrong("pieces are 0-2, 3-5, 6")
def truncated(W, U, x, hidden, g, k):  # pieces counted from the end
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    delta, T = np.zeros_like(hidden[:, 0]), x.shape[1]
    for t in reversed(range(T)):
        if (T - 1 - t) % k == 0:
            delta = 0 * delta
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        sW += delta.T @ x[:, t]
        sU += delta.T @ hidden[:, t]
        sb += delta.sum(axis=0)
    return sW, sU, sb


@wrong("one piece is the full pass")
def truncated(W, U, x, hidden, g, k):  # the slope of tanh with the state before
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        delta = 0 * delta if (t + 1) % k == 0 else delta
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t] ** 2)
        sW += delta.T @ x[:, t]
        sU += delta.T @ hidden[:, t]
        sb += delta.sum(axis=0)
    return sW, sU, sb


@wrong("one piece is the full pass")
def truncated(W, U, x, hidden, g, k):  # U transposed
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        delta = 0 * delta if (t + 1) % k == 0 else delta
        delta = (g[:, t] + delta @ U.T) * (1 - hidden[:, t + 1] ** 2)
        sW += delta.T @ x[:, t]
        sU += delta.T @ hidden[:, t]
        sb += delta.sum(axis=0)
    return sW, sU, sb


@wrong("the slope with U is wrong")
def truncated(W, U, x, hidden, g, k):  # the state after, not before
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        delta = 0 * delta if (t + 1) % k == 0 else delta
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        sW += delta.T @ x[:, t]
        sU += delta.T @ hidden[:, t + 1]
        sb += delta.sum(axis=0)
    return sW, sU, sb


@wrong("the slope with b has shape")
def truncated(W, U, x, hidden, g, k):
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), 0
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        delta = 0 * delta if (t + 1) % k == 0 else delta
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        sW += delta.T @ x[:, t]
        sU += delta.T @ hidden[:, t]
        sb += delta.sum()
    return sW, sU, sb


@wrong("2 results")
def truncated(W, U, x, hidden, g, k):
    sW, sU = np.zeros_like(W), np.zeros_like(U)
    delta = np.zeros_like(hidden[:, 0])
    for t in reversed(range(x.shape[1])):
        delta = 0 * delta if (t + 1) % k == 0 else delta
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        sW += delta.T @ x[:, t]
        sU += delta.T @ hidden[:, t]
    return sW, sU


@wrong("return the three slopes")
def truncated(W, U, x, hidden, g, k):
    print(W, U)


@wrong("W has been changed")
def truncated(W, U, x, hidden, g, k):  # collects in W and U themselves
    W *= 0
    b = np.zeros(len(U))
    return W, U, b


@wrong("the slope with W is wrong")
def truncated(W, U, x, hidden, g, k):  # the mean over the batch
    sW, sU, sb = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    delta, B = np.zeros_like(hidden[:, 0]), len(x)
    for t in reversed(range(x.shape[1])):
        delta = 0 * delta if (t + 1) % k == 0 else delta
        delta = (g[:, t] + delta @ U) * (1 - hidden[:, t + 1] ** 2)
        sW += delta.T @ x[:, t] / B
        sU += delta.T @ hidden[:, t] / B
        sb += delta.mean(axis=0)
    return sW, sU, sb
