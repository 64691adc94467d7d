"""Back-propagation: the slope of one number with everything that it was computed from, in one pass back.

Chapter 5 builds it. An operation is one function on plain NumPy arrays: it returns its result and, for each input, how
the slope of the result becomes the slope of that input, as in the table of derivatives of a calculus book. The rest is
book-keeping: a `Value` remembers what it was made of, and `backward` goes through that graph once, from its end. The
idea: Linnainmaa 1970; Rumelhart, Hinton & Williams 1986. The form owes much to Karpathy's micrograd.

What is no `Value` is a constant, and has no slope.
"""

from collections.abc import Callable, Sequence
from functools import wraps

import numpy as np

from minigpt.errors import MinigptError


def operation(rule: Callable) -> Callable:
    """Make an operation on arrays into one on values, which remember what they were computed from.

    The rule takes arrays (and options), and returns the result and, for each input that has a slope, the function from
    the slope of the result to that of the input, as it was broadcast.
    """

    @wraps(rule)
    def apply(*inputs, **options) -> "Value":
        arrays = [x.data if isinstance(x, Value) else np.array(x) if isinstance(x, list) else x for x in inputs]
        try:
            result, *derivatives = rule(*arrays, **options)
        except (ValueError, IndexError) as error:
            shapes = " and ".join(str(x.shape) for x in arrays if isinstance(x, np.ndarray))
            raise MinigptError(f"{rule.__name__} is impossible with shape {shapes}: {str(error).strip()}") from error
        if any(isinstance(x, Value) for x in [*inputs[len(derivatives) :], *options.values()]):
            raise MinigptError(f"{rule.__name__} has a slope with its first input only: give the others as numbers")
        return Value(result, rule.__name__, [pair for pair in zip(inputs, derivatives) if isinstance(pair[0], Value)])

    return apply


@operation
def add(a, b):
    return a + b, lambda g: g, lambda g: g


@operation
def subtract(a, b):
    return a - b, lambda g: g, lambda g: -g


@operation
def multiply(a, b):
    return a * b, lambda g: g * b, lambda g: g * a


@operation
def divide(a, b):
    return a / b, lambda g: g / b, lambda g: -g * a / b**2


@operation
def power(x, n):
    return x**n, lambda g: g * n * x ** (n - (n != 0))  # x to the 0 has the slope 0, even at x = 0


@operation
def matmul(a, b):
    """The matrix product of the last two axes; those before them are broadcast."""
    if min(np.ndim(a), np.ndim(b)) < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError("the first must have as many columns as the second has rows; reshape a vector to one of them")
    return a @ b, lambda g: g @ b.swapaxes(-1, -2), lambda g: a.swapaxes(-1, -2) @ g


@operation
def exp(x):
    y = np.exp(x)
    return y, lambda g: g * y


@operation
def log(x):
    return np.log(x), lambda g: g / x


@operation
def tanh(x):
    y = np.tanh(x)
    return y, lambda g: g * (1 - y**2)


@operation
def relu(x):
    return np.maximum(x, 0), lambda g: g * (x > 0)  # at 0 itself the slope is taken to be 0


@operation
def total(x, axis=None, keepdims=False):
    """The sum over one axis, some, or all: each term has the slope of the sum."""
    y = x.sum(axis, keepdims=True)
    return y if keepdims else y.squeeze(axis), lambda g: np.broadcast_to(g.reshape(y.shape), x.shape)


@operation
def largest(x, axis=None, keepdims=False):
    """The maximum over one axis, some, or all: only the largest has a slope, and equals share it."""
    y = x.max(axis, keepdims=True)
    share = (x == y) / (x == y).sum(axis, keepdims=True)
    return y if keepdims else y.squeeze(axis), lambda g: g.reshape(y.shape) * share


@operation
def pick(x, index):
    """x[index], with slices or arrays of integers: what is picked twice gets both slopes."""

    def scatter(g):
        slope = np.zeros_like(x)
        np.add.at(slope, index, g)
        return slope

    return x[index], scatter


@operation
def reshape(x, *shape):
    return x.reshape(*shape), lambda g: g.reshape(x.shape)


@operation
def transpose(x, *axes):
    """The axes in another order; backwards if none is given."""
    order = [axis % x.ndim for axis in axes] or range(x.ndim)[::-1]
    return x.transpose(order), lambda g: g.transpose(np.argsort(order))


@operation
def log_softmax(x, axis=-1):
    """The logarithm of the softmax: x less the logarithm of the sum of exp(x)."""
    shifted = x - x.max(axis, keepdims=True)  # so that exp does not overflow
    y = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    return y, lambda g: g - np.exp(y) * g.sum(axis, keepdims=True)


def unbroadcast(slope: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum a slope over the axes along which an array of this shape was repeated: each copy had its own effect."""
    if slope.shape == shape:
        return slope
    slope = slope.sum(axis=tuple(range(slope.ndim - len(shape))))
    return slope.sum(axis=tuple(axis for axis, length in enumerate(shape) if length == 1), keepdims=True)


class Value:
    """An array that remembers how it was computed.

    Args:
        data: floating-point numbers; copied, unless they are the result of an operation.
        name: of the operation, or of your choice.
        parents: what it was computed from, each with its derivative; none for a leaf, such as a weight.

    Attributes:
        grad: what `backward` leaves: the slope of its result with this value, of the same shape. In a leaf the slopes
            of several passes add up until you set it to None.

    Raises:
        MinigptError: the data are no floating-point numbers.
    """

    __array_ufunc__ = None  # NumPy leaves `array * value` to us
    __iter__ = None

    def __init__(self, data, name: str = "", parents: Sequence[tuple["Value", Callable]] = ()):
        self.data = np.asarray(data) if parents else np.array(data)
        if not np.issubdtype(self.data.dtype, np.floating):
            raise MinigptError(f"a value must hold floats, as in 2.0, to have a slope, but this is {self.data.dtype}")
        self.name, self.parents, self.grad = name, parents, None

    __add__ = __radd__ = add
    __mul__ = __rmul__ = multiply
    __sub__, __truediv__, __matmul__, __pow__, __getitem__ = subtract, divide, matmul, power, pick
    sum, max, reshape, transpose, T = total, largest, reshape, transpose, property(transpose)

    def __rsub__(self, other):
        return subtract(other, self)

    def __rtruediv__(self, other):
        return divide(other, self)

    def __rmatmul__(self, other):
        return matmul(other, self)

    def __neg__(self):
        return multiply(self, -1)

    def mean(self, axis=None, keepdims=False):
        y = self.sum(axis=axis, keepdims=keepdims)
        return y * (y.data.size / self.data.size)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def __repr__(self) -> str:
        return f"Value({self.data})"

    def graph(self) -> list["Value"]:
        """All that this value was computed from, and itself last: each after its parents."""
        order, seen, stack = [], set(), [(self, False)]
        while stack:  # no recursion: a graph may be deeper than Python's stack
            value, parents_are_done = stack.pop()
            if parents_are_done:
                order.append(value)
            elif id(value) not in seen:
                seen.add(id(value))
                stack += [(value, True), *((parent, False) for parent, _ in value.parents)]
        return order

    def backward(self, gradient: np.ndarray | None = None) -> None:
        """Give every value of the graph its `grad`: the chain rule, from the end to the beginning.

        Args:
            gradient: the slope of what you care about with this value; 1 if None, which suits a single number.

        Raises:
            MinigptError: there are several numbers and no gradient, or a shape does not fit.
        """
        if gradient is None and self.data.size == 1:
            gradient = np.ones_like(self.data)
        if np.shape(gradient) != self.shape:
            raise MinigptError(f"backward from shape {self.shape} needs a gradient of that shape, or sum() first")
        slopes = {id(self): np.asarray(gradient, self.data.dtype)}
        for value in reversed(self.graph()):
            slope = slopes.pop(id(value))  # complete: all that use this value were visited before
            value.grad = slope + (0 if value.parents or value.grad is None else value.grad)
            for parent, derivative in value.parents:
                share = unbroadcast(derivative(slope), parent.shape)
                if share.shape != parent.shape:
                    raise MinigptError(f"{value.name} gives an input of shape {parent.shape} a slope of {share.shape}")
                slopes[id(parent)] = slopes[id(parent)] + share if id(parent) in slopes else share


def softmax(x: Value, axis: int = -1) -> Value:
    """Probabilities from sums: exp(x) divided by its sum over an axis."""
    return exp(log_softmax(x, axis=axis))


def cross_entropy(logits: Value, targets: np.ndarray) -> Value:
    """The mean of -log p(target), in nats, of logits (..., V) and integer targets (...) from 0 to V - 1."""
    targets, (*shape, V) = np.asarray(targets), logits.shape
    if targets.dtype.kind not in "iu" or targets.shape != (*shape,) or not np.isin(targets, range(V)).all():
        raise MinigptError(f"for logits {logits.shape} give integer targets from 0 to {V - 1} of shape {(*shape,)}")
    return -log_softmax(logits)[(*np.indices(shape, sparse=True), targets)].mean()
