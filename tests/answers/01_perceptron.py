"""Answers to the exercises of chapter 01, right and wrong."""

import numpy as np
import torch
import torch.nn.functional as F

from minigpt.perceptron import LogisticNeuron, Perceptron

# 1: nand ------------------------------------------------------------------------------------------------------------


@right  # integers in a tuple: twice as large
def nand(n):
    return (-2,) * n, 2 * n - 1


@right  # NumPy, different weights
def nand(n):
    weights = -np.arange(1.0, n + 1)
    return weights, -weights.sum() - 0.5


@right  # tensors, and a list instead of a tuple
def nand(n, width=1.0):
    return [torch.full((n,), -width), torch.tensor(n * width - width / 2)]


@right  # learned instead of thought of
def nand(n):
    x = np.array(np.meshgrid(*[[0, 1]] * n)).reshape(n, -1).T
    perceptron = Perceptron(n)
    perceptron.learn(x, np.where(x.all(axis=1), -1, 1))
    return perceptron.weights, perceptron.bias


@right  # small numbers
def nand(n):
    return np.full(n, -0.1), np.float32(0.1 * n - 0.05)


@wrong("that is AND")
def nand(n):
    return (1.0,) * n, 0.5 - n


@wrong("that is NOR")
def nand(n):
    return (-1.0,) * n, 0.5


@wrong("a sum of 0 is not above 0")
def nand(n):
    return (-1.0,) * n, n - 1


@wrong("first come 3 weights, one an input, not something of the shape (2,)")  # for two inputs only
def nand(n):
    return (-1.0, -1.0), 1.5


@wrong("mind that there are 3 inputs")  # a bias that fits two inputs only
def nand(n):
    return (-1.0,) * n, 1.5


@wrong("so the unit says +1, but should say -1")  # the bias as large as it is for more inputs
def nand(n):
    return (-1.0,) * n, n + 0.5


@wrong("mind that there are 2 inputs")  # OR
def nand(n):
    return (1.0,) * n, -0.5


@wrong("first come 2 weights, one an input, not something of the shape ()")  # the bias first
def nand(n):
    return n - 0.5, (-1.0,) * n


@wrong("first come 2 weights, one an input, not something of the shape ()")  # one weight for all
def nand(n):
    return -1.0, n - 0.5


@wrong("return a pair, weights and bias")  # in one list
def nand(n):
    return [-1.0] * n + [n - 0.5]


@wrong("return a pair, weights and bias")
def nand(n):
    perceptron = Perceptron(n)
    perceptron.weights[:], perceptron.bias = -1.0, n - 0.5
    return perceptron


@wrong("return a pair, weights and bias")  # the unit itself
def nand(n):
    return lambda x: 1 if sum(x) < n else -1


@wrong("nothing comes back")
def nand(n):
    print((-1.0,) * n, n - 0.5)


@wrong("behind the weights comes the bias, one number")
def nand(n):
    return (-1.0,) * n, (n - 0.5,)


@wrong("mind that there are")  # one bias for each size, kept from the call before
def nand(n, biases=[]):
    biases.append(n - 0.5)
    return (-1.0,) * n, biases[0]


# 2: xor_units -------------------------------------------------------------------------------------------------------


@right  # a but not b, b but not a, one of them
def xor_units():
    return ((1, -1), -0.5), ((-1, 1), -0.5), ((1, 1), 1)


@right  # lists, tensors, arrays
def xor_units():
    return [[torch.tensor([1.0, 1.0]), -1.5], [np.array([-1.0, -1.0]), 0.5], [[-1.0, -1.0], -1.0]]


@right  # and, or: or, unless and
def xor_units(large=10):
    return ((large, large), -15), ((large, large), -5), ((-large, large), -5)


@right  # implications: not (a implies b and b implies a)
def xor_units():
    first, second = ((-1.0, 1.0), 0.5), ((1.0, -1.0), 0.5)
    third = ((-1.0, -1.0), 1.0)
    return first, second, third


@right  # learned: the third from the answers of the other two
def xor_units():
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([-1, 1, 1, -1])
    first, second, third = Perceptron(2), Perceptron(2), Perceptron(2)
    first.learn(x, np.where(x.any(axis=1), 1, -1))
    second.learn(x, np.where(x.all(axis=1), 1, -1))
    third.learn(np.stack([first(x), second(x)], axis=1), y)
    return [(unit.weights, unit.bias) for unit in (first, second, third)]


@wrong("the third unit would be right if it read 0 and 1")
def xor_units():
    return ((1, -1), -0.5), ((-1, 1), -0.5), ((1, 1), -0.5)


@wrong("the third unit would be right if it read 0 and 1")
def xor_units():
    return ((1, 1), -0.5), ((1, 1), -1.5), ((1, -2), -0.5)


@wrong("all four answers are the other way round")  # both or none
def xor_units():
    return ((1, 1), -0.5), ((-1, -1), 1.5), ((-1, -1), 1)


@wrong("so no third can tell them apart")  # the same unit twice
def xor_units():
    return ((1, 1), -0.5), ((1, 1), -0.5), ((1, 1), -1)


@wrong("so no third can tell them apart")  # the second's line is no other one
def xor_units():
    return ((1, 1), -0.5), ((1, 1), -0.9), ((1, -1), -1)


@wrong("so no third can tell them apart")  # a sum of 0: the second says no to (0, 1) and (1, 0) as well
def xor_units():
    return ((1, 1), -0.5), ((-1, -1), 1), ((1, 1), -1)


@wrong("so no third can tell them apart")  # units that do nothing
def xor_units():
    return ((0, 0), 0), ((0, 0), 0), ((0, 0), 0)


@wrong("and the third -1 instead of +1")  # or or not both needs no second layer
def xor_units():
    return ((1, 1), -0.5), ((-1, -1), 1.5), ((1, 1), -2)


@wrong("and the third +1 instead of -1")  # one of the two is enough for it
def xor_units():
    return ((1, 1), -0.5), ((-1, -1), 1.5), ((1, 1), 1)


@wrong("and the third -1 instead of +1")  # the third reads only one of them
def xor_units():
    return ((1, -1), -0.5), ((-1, 1), -0.5), ((1, 0), 0)


@wrong("return three units")
def xor_units():
    return ((1, 1), -0.5), ((-1, -1), 1.5)


@wrong("return three units")  # the answers to the four inputs
def xor_units():
    return [-1, 1, 1, -1]


@wrong("first come 2 weights, one an input, not something of the shape ()")  # no biases
def xor_units():
    return (1, 1), (-1, -1), (1, 1, -1)


@wrong("return a pair, weights and bias")
def xor_units():
    units = Perceptron(2), Perceptron(2), Perceptron(2)
    for unit, weights, bias in zip(units, [(1, 1), (-1, -1), (1, 1)], (-0.5, 1.5, -1)):
        unit.weights[:], unit.bias = weights, bias
    return units


@wrong("first come 2 weights, one an input, not something of the shape (4,)")  # a third unit that reads the inputs, too
def xor_units():
    return ((1, 1), -0.5), ((-1, -1), 1.5), ((0, 0, 1, 1), -1)


@wrong("nothing comes back")
def xor_units():
    first, second, third = ((1, 1), -0.5), ((-1, -1), 1.5), ((1, 1), -1)


# 3: soft_gradient ---------------------------------------------------------------------------------------------------


@right  # plain loops
def soft_gradient(x, q, weights, bias):
    slopes, slope = [0.0] * len(weights), 0.0
    for inputs, target in zip(x, q):
        z = sum(w * a for w, a in zip(weights, inputs)) + bias
        error = 1 / (1 + np.exp(-z)) - target
        slope += error / len(x)
        for i, a in enumerate(inputs):
            slopes[i] += error * a / len(x)
    return slopes, slope


@right  # PyTorch does it
def soft_gradient(x, q, weights, bias):
    w, b = torch.tensor(weights, requires_grad=True), torch.tensor(bias, requires_grad=True)
    p = torch.sigmoid(torch.tensor(x) @ w + b)
    loss = -(torch.tensor(q) * p.log() + (1 - torch.tensor(q)) * (1 - p).log()).mean()
    return torch.autograd.grad(loss, [w, b])


@right  # measured, by central differences
def soft_gradient(x, q, weights, bias, small=1e-5):
    def loss(parameters):
        p = 1 / (1 + np.exp(-(x @ parameters[:-1] + parameters[-1])))
        return np.mean(-q * np.log(p) - (1 - q) * np.log(1 - p))

    at, slopes = np.append(weights, bias), []
    for move in np.eye(len(at)) * small:
        slopes.append((loss(at + move) - loss(at - move)) / (2 * small))
    return np.array(slopes[:-1]), slopes[-1]


@right  # a mixture of the chapter's neuron with sure labels
def soft_gradient(x, q, weights, bias):
    neuron = LogisticNeuron(len(weights))
    neuron.weights, neuron.bias = weights, bias
    w, b = np.zeros(len(weights)), 0.0
    for inputs, chance in zip(x, q):
        for label, share in ((np.array([1]), chance), (np.array([-1]), 1 - chance)):
            one, other = neuron.gradient(inputs[None], label)
            w, b = w + share * one / len(x), b + share * other / len(x)
    return w, b


@right  # einsum, in float32
def soft_gradient(x, q, weights, bias):
    x, q, weights = (torch.from_numpy(part).float() for part in (x, q, weights))
    error = (x @ weights + bias).sigmoid() - q
    return torch.einsum("n,ni->i", error, x) / len(x), error.mean()


@right  # the bias as one more weight; the slope where the loss is written with log(1 + e^z)
def soft_gradient(x, q, weights, bias):
    x = np.column_stack([x, np.ones(len(x))])
    slopes = ((np.tanh((x @ np.append(weights, bias)) / 2) + 1) / 2 - q) @ x / len(x)
    return slopes[:-1], slopes[-1]


@wrong("yours is the other way round")
def soft_gradient(x, q, weights, bias):
    error = q - 1 / (1 + np.exp(-(x @ weights + bias)))
    return error @ x / len(x), error.mean()


@wrong("yours is the sum over the examples")
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return error @ x, error.sum()


@wrong("yours is that of labels -1 and +1")
def soft_gradient(x, q, weights, bias):
    neuron = LogisticNeuron(len(weights))
    neuron.weights, neuron.bias = weights, bias
    return neuron.gradient(x, q)


@wrong("yours is that of sure labels")
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q.round()
    return error @ x / len(x), error.mean()


@wrong("yours is that of the squared error")
def soft_gradient(x, q, weights, bias):
    p = 1 / (1 + np.exp(-(x @ weights + bias)))
    error = (p - q) * p * (1 - p)
    return error @ x / len(x), error.mean()


@wrong("yours is that of a neuron without its bias")
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights))) - q
    return error @ x / len(x), error.mean()


@wrong("the mean of error times input")  # divided by the number of inputs
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return error @ x / x.shape[1], error.mean()


@wrong("the mean of error times input")  # the second half of the loss forgotten
def soft_gradient(x, q, weights, bias):
    p = 1 / (1 + np.exp(-(x @ weights + bias)))
    error = -q * (1 - p)
    return error @ x / len(x), error.mean()


@wrong("the mean of error times input")  # the logistic function with a turned sign
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(x @ weights + bias)) - q
    return error @ x / len(x), error.mean()


@wrong("the mean of error times input")  # the sum itself instead of the probability
def soft_gradient(x, q, weights, bias):
    error = x @ weights + bias - q
    return error @ x / len(x), error.mean()


@wrong("the mean of error times input")  # the mean input times the mean error
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return error.mean() * x.mean(axis=0), error.mean()


@wrong("the mean of error times input")  # the slope with the bias forgotten
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return error @ x / len(x), 0.0


@wrong("the mean of error times input")  # the weights after a step down the slope
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return weights - error @ x / len(x), bias - error.mean()


@wrong("first come 3 weights, one an input, not something of the shape (7, 3)")  # each example's
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return error[:, None] * x, error.mean()


@wrong("behind the weights comes the bias, one number")
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return error @ x / len(x), error


@wrong("return a pair, weights and bias")  # the loss
def soft_gradient(x, q, weights, bias):
    p = 1 / (1 + np.exp(-(x @ weights + bias)))
    return np.mean(-q * np.log(p) - (1 - q) * np.log(1 - p))


@wrong("return a pair, weights and bias")
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    return error @ x / len(x)


@wrong("your function changes q")
def soft_gradient(x, q, weights, bias):
    q -= 1 / (1 + np.exp(-(x @ weights + bias)))
    return -q @ x / len(x), -q.mean()


@wrong("your function changes weights")
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    weights -= error @ x / len(x)
    return error @ x / len(x), error.mean()


@wrong("nothing comes back")
def soft_gradient(x, q, weights, bias):
    error = 1 / (1 + np.exp(-(x @ weights + bias))) - q
    print(error @ x / len(x), error.mean())


# 4: averaged_perceptron ---------------------------------------------------------------------------------------------


@right  # all steps kept, with the bias as one more weight
def averaged_perceptron(x, y, passes):
    x = np.column_stack([x, np.ones(len(x))])
    w, kept = np.zeros(x.shape[1]), []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs) <= 0:
                w += label * inputs
            kept.append(w.copy())
    mean = np.mean(kept, axis=0)
    return mean[:-1], mean[-1]


@right  # Daumé's trick: each correction weighted by the share of the steps that it lasts
def averaged_perceptron(x, y, passes):
    w, b, u, beta, step = np.zeros(x.shape[1]), 0, np.zeros(x.shape[1]), 0, 0
    steps = passes * len(x)
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
                u, beta = u + step * label * inputs, beta + step * label
            step += 1
    return w - u / steps, b - beta / steps


@right  # a running mean, in plain Python
def averaged_perceptron(x, y, passes):
    w, b = [0.0] * x.shape[1], 0.0
    mean, mean_bias, step = list(w), 0.0, 0
    for _ in range(passes):
        for inputs, label in zip(x.tolist(), y.tolist()):
            if label * (sum(a * c for a, c in zip(w, inputs)) + b) <= 0:
                w = [a + label * c for a, c in zip(w, inputs)]
                b += label
            step += 1
            mean = [m + (a - m) / step for m, a in zip(mean, w)]
            mean_bias += (b - mean_bias) / step
    return mean, mean_bias


@right  # tensors
def averaged_perceptron(x, y, passes):
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    w, b = torch.zeros(x.shape[1]), torch.tensor(0.0)
    total, total_bias = torch.zeros_like(w), torch.zeros_like(b)
    for n in range(passes * len(x)):
        n %= len(x)
        if y[n] * (w @ x[n] + b) <= 0:
            w += y[n] * x[n]
            b += y[n]
        total += w
        total_bias += b
    return total / (passes * len(x)), total_bias / (passes * len(x))


@right  # the chapter's own perceptron, one example at a time
def averaged_perceptron(x, y, passes):
    perceptron, weights, biases = Perceptron(x.shape[1]), [], []
    for n in list(range(len(x))) * passes:
        perceptron.learn(x[n : n + 1].astype(float), y[n : n + 1], passes=1)
        weights.append(perceptron.weights.copy())
        biases.append(perceptron.bias)
    return np.mean(weights, axis=0), np.mean(biases)


@wrong("yours is the last weights")
def averaged_perceptron(x, y, passes):
    w, b = np.zeros(x.shape[1]), 0.0
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
    return w, b


@wrong("yours is the last weights")  # += changes the one array that the list holds again and again
def averaged_perceptron(x, y, passes):
    w, kept = np.zeros(x.shape[1] + 1), []
    x = np.column_stack([x, np.ones(len(x))])
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs) <= 0:
                w += label * inputs
            kept.append(w)
    mean = np.mean(kept, axis=0)
    return mean[:-1], mean[-1]


@wrong("yours is the mean of the weights before each step")
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            kept.append(w)
            biases.append(b)
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("yours is the mean of the corrections")
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
                kept.append(w)
                biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("yours is the mean of one step a pass")
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
        kept.append(w)
        biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("do all the passes")  # stops after a pass without a mistake
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        mistakes = 0
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b, mistakes = w + label * inputs, b + label, mistakes + 1
            kept.append(w)
            biases.append(b)
        if not mistakes:
            break
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("correct if y (w x + b) <= 0")  # never begins
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) < 0:
                w, b = w + label * inputs, b + label
            kept.append(w)
            biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("correct if y (w x + b) <= 0")  # a sum of 0 is no mistake where the label is -1
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if (1 if w @ inputs + b > 0 else -1) != label:
                w, b = w + label * inputs, b + label
            kept.append(w)
            biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("and divide by all steps")  # the sum
def averaged_perceptron(x, y, passes):
    w, b, total, total_bias = np.zeros(x.shape[1]), 0.0, 0.0, 0.0
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            total, total_bias = total + w, total_bias + b
    return total, total_bias


@wrong("and divide by all steps")  # divided by the number of examples only
def averaged_perceptron(x, y, passes):
    w, b, total, total_bias = np.zeros(x.shape[1]), 0.0, 0.0, 0.0
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            total, total_bias = total + w, total_bias + b
    return total / len(x), total_bias / len(x)


@wrong("start from zero")  # one pass, whatever was asked for
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for inputs, label in zip(x, y):
        if label * (w @ inputs + b) <= 0:
            w, b = w + label * inputs, b + label
        kept.append(w)
        biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("start from zero")  # starts anew in each pass
def averaged_perceptron(x, y, passes):
    kept, biases = [], []
    for _ in range(passes):
        w, b = np.zeros(x.shape[1]), 0.0
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            kept.append(w)
            biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("start from zero")  # random weights at first
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.random.randn(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            kept.append(w)
            biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("correct if y (w x + b) <= 0")  # shuffled
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for n in np.random.permutation(len(x)):
            if y[n] * (w @ x[n] + b) <= 0:
                w, b = w + y[n] * x[n], b + y[n]
            kept.append(w)
            biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("correct if y (w x + b) <= 0")  # the bias takes no part
def averaged_perceptron(x, y, passes):
    w, kept = np.zeros(x.shape[1]), []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs) <= 0:
                w = w + label * inputs
            kept.append(w)
    return np.mean(kept, axis=0), 0.0


@wrong("the bias last, not")  # the last bias with the mean weights
def averaged_perceptron(x, y, passes):
    w, b, kept = np.zeros(x.shape[1]), 0.0, []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            kept.append(w)
    return np.mean(kept, axis=0), b


@wrong("the bias last, not")  # whole numbers
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            kept.append(w)
            biases.append(b)
    return sum(kept) // len(kept), sum(biases) // len(biases)


@wrong("not something of the shape ()")  # the mean over everything
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            kept.append(w)
            biases.append(b)
    return np.mean(kept), np.mean(biases)


@wrong("return a pair, weights and bias")  # a Perceptron
def averaged_perceptron(x, y, passes):
    perceptron = Perceptron(x.shape[1])
    perceptron.learn(x, y, passes)
    return perceptron


@wrong("your function changes x or y")
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    x *= y[:, None].astype(x.dtype)  # so that a mistake is a sum that is not above 0
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if w @ inputs + label * b <= 0:
                w, b = w + inputs, b + label
            kept.append(w)
            biases.append(b)
    return np.mean(kept, axis=0), np.mean(biases)


@wrong("UFuncTypeError")  # weights of whole numbers because the inputs are, and a mean that is none
def averaged_perceptron(x, y, passes):
    w, b, mean, mean_bias = np.zeros_like(x[0]), 0, np.zeros_like(x[0]), 0.0
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            mean += w / (passes * len(x))
            mean_bias += b / (passes * len(x))
    return mean, mean_bias


@wrong("nothing comes back")
def averaged_perceptron(x, y, passes):
    w, b, kept, biases = np.zeros(x.shape[1]), 0.0, [], []
    for _ in range(passes):
        for inputs, label in zip(x, y):
            if label * (w @ inputs + b) <= 0:
                w, b = w + label * inputs, b + label
            kept.append(w)
            biases.append(b)
    print(np.mean(kept, axis=0), np.mean(biases))
