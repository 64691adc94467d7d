"""The engine: each operation and random programs of them against PyTorch's and central differences, and bad use."""

import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt import autograd
from minigpt.autograd import (
    Value,
    cross_entropy,
    exp,
    log,
    log_softmax,
    operation,
    relu,
    softmax,
    tanh,
    unbroadcast,
)  # fmt: skip
from minigpt.errors import MinigptError

PICKED = np.array([[2, 0, 2], [1, 2, 2]])

# For each operation: the shapes of its inputs, itself in the engine, and in PyTorch where that is written otherwise.
OPERATIONS = {
    "add": ([(2, 3), (3,)], lambda a, b: a + b, None),
    "add a constant": ([(2, 3)], lambda a: 2 + a + 1, None),
    "subtract": ([(2, 1), (4, 1, 3)], lambda a, b: a - b, None),
    "subtract from a constant": ([(2, 3)], lambda a: 2 - a, None),
    "negate": ([(2, 3)], lambda a: -a, None),
    "multiply": ([(2, 1, 3), (4, 1)], lambda a, b: a * b, None),
    "multiply by itself": ([(2, 3)], lambda a: a * a, None),
    "divide": ([(2, 3), (1, 3)], lambda a, b: a / b, None),
    "divide a constant": ([(2, 3)], lambda a: 2 / a, None),
    "square": ([(2, 3)], lambda a: a**2, None),
    "inverse": ([(2, 3)], lambda a: a**-1, None),
    "power 0": ([(2, 3)], lambda a: a**0, None),
    "matrix product": ([(2, 3), (3, 4)], lambda a, b: a @ b, None),
    "batched product": ([(5, 1, 2, 3), (4, 3, 2)], lambda a, b: a @ b, None),
    "one matrix for a batch": ([(5, 2, 3), (3, 4)], lambda a, b: a @ b, None),
    "slices": ([(4, 5)], lambda a: a[1:3, ::2], None),
    "one row": ([(4, 5)], lambda a: a[-1], None),
    "a new axis": ([(4, 5)], lambda a: a[:, None], None),
    "repeated rows": ([(4, 5)], lambda a: a[PICKED], None),
    "pairs of indices": ([(3, 4)], lambda a: a[[0, 1, 1], [2, 3, 3]], None),
    "sum": ([(2, 3)], lambda a: a.sum(), None),
    "sum over an axis": ([(2, 3, 4)], lambda a: a.sum(axis=1), None),
    "sum over two axes": ([(2, 3, 4)], lambda a: a.sum(axis=(0, -1), keepdims=True), None),
    "mean": ([(2, 3)], lambda a: a.mean(), None),
    "mean over an axis": ([(2, 3, 4)], lambda a: a.mean(axis=-1, keepdims=True), None),
    "maximum": ([(2, 3)], lambda a: a.max(), lambda a: a.amax()),
    "maximum over an axis": ([(2, 3, 4)], lambda a: a.max(axis=1), lambda a: a.amax(1)),
    "maximum over two axes": (
        [(2, 3, 4)],
        lambda a: a.max(axis=(0, 2), keepdims=True),
        lambda a: a.amax((0, 2), keepdim=True),
    ),
    "exp": ([(2, 3)], exp, torch.exp),
    "log": ([(2, 3)], lambda a: log(a * a), lambda a: torch.log(a * a)),
    "tanh": ([(2, 3)], tanh, torch.tanh),
    "relu": ([(2, 3)], relu, torch.relu),
    "reshape": ([(2, 6)], lambda a: a.reshape(3, -1), None),
    "reshape to a tuple": ([(2, 6)], lambda a: a.reshape((4, 3)), None),
    "transpose": ([(2, 3)], lambda a: a.T, None),
    "transpose some axes": ([(2, 3, 4)], lambda a: a.transpose(2, 0, -2), lambda a: a.permute(2, 0, -2)),
    "log_softmax": ([(2, 3)], log_softmax, lambda a: a.log_softmax(-1)),
    "log_softmax over the first axis": ([(2, 3)], lambda a: log_softmax(a, axis=0), lambda a: a.log_softmax(0)),
    "softmax": ([(2, 3)], softmax, lambda a: a.softmax(-1)),
    "cross_entropy": (
        [(2, 3, 4)],
        lambda a: cross_entropy(a, PICKED),
        lambda a: F.cross_entropy(a.flatten(0, 1), torch.tensor(PICKED.ravel())),
    ),
}  # fmt: skip


def numbers(random, *shape):
    """Random numbers from 0.5 to 1.5 and from -1.5 to -0.5: away from 0, where relu and 1 / x break."""
    return random.uniform(0.5, 1.5, size=shape) * random.choice([-1, 1], size=shape)


def close(ours, theirs):
    """Equal to 1e-10 of the largest entry, or of 1."""
    theirs = theirs.detach().numpy()
    return ours.shape == theirs.shape and np.abs(ours - theirs).max() <= 1e-10 * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_and_its_slopes_are_pytorchs(name):
    shapes, ours, theirs = OPERATIONS[name]
    random = np.random.default_rng(0)
    values = [Value(numbers(random, *shape)) for shape in shapes]
    tensors = [torch.tensor(value.data, requires_grad=True) for value in values]
    result, expected = ours(*values), (theirs or ours)(*tensors)
    assert close(result.data, expected)
    gradient = random.normal(size=result.shape)
    result.backward(gradient)
    expected.backward(torch.tensor(gradient))
    assert all(close(value.grad, tensor.grad) for value, tensor in zip(values, tensors))


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operations_slopes_are_central_differences(name):
    shapes, function, _ = OPERATIONS[name]
    random = np.random.default_rng(1)
    arrays = [numbers(random, *shape) for shape in shapes]
    values = [Value(array) for array in arrays]
    result = function(*values)
    gradient = random.normal(size=result.shape)
    result.backward(gradient)
    for array, value in zip(arrays, values):
        for place in np.ndindex(array.shape):
            ends = []
            for step in (1e-5, -1e-5):
                array[place] += step
                ends.append((gradient * function(*map(Value, arrays)).data).sum())
                array[place] -= step
            assert value.grad[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-7)


def test_no_operation_of_the_module_is_left_out():
    functions = inspect.getmembers(autograd, inspect.isfunction)
    public = {name for name, function in functions if function.__module__ == autograd.__name__}
    tested = {"operation", "unbroadcast", "softmax", "cross_entropy"}
    for shapes, function, _ in OPERATIONS.values():
        result = function(*(Value(numbers(np.random.default_rng(0), *shape)) for shape in shapes))
        tested |= {value.name for value in result.graph()}
    assert public <= tested


# Random programs ----------------------------------------------------------------------------------------------------


def broadcastable(a, b):
    try:
        return np.broadcast_shapes(a, b) is not None
    except ValueError:
        return False


def multiplies(a, b):
    return len(a) > 1 < len(b) and a[-1] == b[-2] and broadcastable(a[:-2], b[:-2])


def both(function):
    return function, function


# Each makes, from a program's values so far, one more: in both engines, or in neither where the shapes do not fit.
ONE = [
    both(lambda a: -a), both(lambda a: 1 - a), both(lambda a: a * 0.5), both(lambda a: a**2), both(lambda a: a**3),
    both(lambda a: 1 / (a**2 + 1)), both(lambda a: a.T if a.data.ndim == 2 else a * 2),
    both(lambda a: a.sum()), both(lambda a: a.mean()), both(lambda a: a.reshape(-1)), both(lambda a: a[None]),
    (tanh, torch.tanh), (relu, torch.relu), (lambda a: exp(tanh(a)), lambda a: torch.exp(torch.tanh(a))),
    (lambda a: log(a * a + 1), lambda a: torch.log(a * a + 1)),
]  # fmt: skip
WITH_AXIS = [
    both(lambda a, axis: a.sum(axis=axis)), both(lambda a, axis: a.mean(axis=axis, keepdims=True)),
    (lambda a, axis: a.max(axis=axis), lambda a, axis: a.amax(axis)),
    (lambda a, axis: softmax(a, axis=axis), lambda a, axis: a.softmax(axis)),
    (lambda a, axis: log_softmax(a, axis=axis), lambda a, axis: a.log_softmax(axis)),
]  # fmt: skip
TWO = [both(lambda a, b: a + b), both(lambda a, b: a - b), both(lambda a, b: a * b), both(lambda a, b: a / (b * b + 1))]


def grow(draw, values, tensors):
    """Add one random operation on random earlier results to both programs."""
    i = draw(st.integers(0, len(values) - 1))
    shape = values[i].shape
    fitting = [j for j in range(len(values)) if broadcastable(shape, values[j].shape)]
    factors = [j for j, value in enumerate(values) if multiplies(shape, value.shape)]
    kind = draw(st.sampled_from(["one", "two"] + ["axis", "index"] * bool(shape) + ["matmul"] * 3 * bool(factors)))
    if kind == "one":
        arguments, functions = (i,), draw(st.sampled_from(ONE))
    elif kind == "two":
        arguments, functions = (i, draw(st.sampled_from(fitting))), draw(st.sampled_from(TWO))
    elif kind == "matmul":
        arguments, functions = (i, draw(st.sampled_from(factors))), both(lambda a, b: a @ b)
    elif kind == "axis":
        axis = draw(st.integers(-len(shape), len(shape) - 1))
        arguments, functions = (i,), [lambda a, f=f: f(a, axis) for f in draw(st.sampled_from(WITH_AXIS))]
    else:
        index = draw(st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4))
        arguments, functions = (i,), both(lambda a: a[index])
    for made, function in zip((values, tensors), functions):
        made.append(function(*(made[j] for j in arguments)))


@st.composite
def programs(draw):
    """The values of a random program, and the tensors of the same in PyTorch; the leaves first."""
    length = draw(st.integers(2, 4))
    shapes = st.lists(st.sampled_from([1, length, length]), min_size=0, max_size=3)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = [Value(numbers(random, *draw(shapes))) for _ in range(draw(st.integers(1, 4)))]
    n_leaves, tensors = len(values), [torch.tensor(value.data, requires_grad=True) for value in values]
    for _ in range(draw(st.integers(1, 14))):
        if max(value.data.size for value in values) < 5000 and max(np.abs(v.data).max() for v in values) < 1e4:
            grow(draw, values, tensors)
    return n_leaves, values, tensors


@settings(max_examples=400)
@given(programs())
def test_random_programs_have_pytorchs_results_and_slopes(program):
    n_leaves, values, tensors = program
    used = values[n_leaves:]
    loss = sum((value * value).mean() for value in used)
    expected = sum((tensor * tensor).mean() for tensor in tensors[n_leaves:])
    loss.backward()
    expected.backward()
    assert all(close(value.data, tensor) for value, tensor in zip(values, tensors))
    for value, tensor in zip(values[:n_leaves], tensors):
        if tensor.grad is None:
            assert value.grad is None
        else:
            assert close(value.grad, tensor.grad)


@settings(max_examples=100)
@given(programs(), st.integers(0, 2**32))
def test_a_gradient_given_by_hand_is_carried_back_as_in_pytorch(program, seed):
    n_leaves, values, tensors = program
    gradient = np.random.default_rng(seed).normal(size=values[-1].shape)
    values[-1].backward(gradient)
    if len(values) > n_leaves:
        tensors[-1].backward(torch.tensor(gradient))
        assert all(close(v.grad, t.grad) for v, t in zip(values[:n_leaves], tensors) if t.grad is not None)


# The pass back ------------------------------------------------------------------------------------------------------


def test_a_value_used_on_two_paths_gets_both_slopes():
    x = Value(3.0)
    y = x * x
    (y * x + y).backward()  # x cubed + x squared
    assert x.grad == 3 * 9 + 2 * 3


def test_each_value_is_visited_once_however_many_paths_lead_to_it():
    calls = []

    @operation
    def twice(x):
        def derivative(g):
            calls.append(g)
            return 2 * g

        return 2 * x, derivative

    x = Value(1.0)
    y = twice(x)
    for _ in range(60):  # 2 to the 60 paths
        y = y + y
    y.backward()
    assert len(calls) == 1
    assert x.grad == 2.0**61


def test_a_graph_may_be_deeper_than_pythons_stack():
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad == 100_001
    del y  # nor may its end break anything


def test_slopes_of_several_passes_add_up_in_leaves_and_only_there():
    x = Value([1.0, 2.0])
    y = x * x
    loss = y.sum()
    for passes in (1, 2, 3):
        loss.backward()
        assert x.grad.tolist() == [2.0 * passes, 4.0 * passes]
        assert y.grad.tolist() == [1.0, 1.0]
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_no_two_values_share_a_gradient_or_the_callers_arrays():
    start, gradient = np.ones(2), np.ones(2)
    a, b = Value(start), Value(start)
    (a + b).backward(gradient)
    a.grad *= 5
    a.data -= 1
    assert b.grad.tolist() == gradient.tolist() == start.tolist() == b.data.tolist() == [1.0, 1.0]


def test_constants_have_no_slope_and_cost_nothing():
    x = Value([[1.0, 2.0]])
    y = np.ones((3, 1)) @ x * np.array([1, 2]) + 1
    assert isinstance(y, Value)
    assert len(y.graph()) == 4  # x and the three results
    y.sum().backward()
    assert x.grad.tolist() == [[3.0, 6.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_programs_precision_is_that_of_its_leaves(dtype):
    x = Value(np.ones((2, 3), dtype))
    loss = cross_entropy(tanh(2 * x / 3 - 1).mean(axis=0, keepdims=True), np.array([1]))
    loss.backward()
    assert loss.data.dtype == x.grad.dtype == dtype


def test_a_gradient_of_integers_leaves_slopes_that_are_floats():
    x = Value([1.0, 2.0])
    x.backward(np.array([1, 2]))
    assert x.grad.dtype == np.float64


def test_python_numbers_are_float64():
    assert Value(1.0).data.dtype == Value([1.0, 2.0]).data.dtype == np.float64


def test_equal_maxima_share_the_slope():
    x = Value([1.0, 3.0, 3.0])
    x.max().backward()
    assert x.grad.tolist() == [0.0, 0.5, 0.5]


def test_the_corners_have_the_slope_that_is_promised():
    x = Value([0.0])
    (relu(x) + x**0).backward()
    assert x.grad.tolist() == [0.0]


def test_cross_entropy_does_not_overflow():
    logits = Value([[1000.0, 0.0], [0.0, -1000.0]])
    loss = cross_entropy(logits, [0, 1])
    loss.backward()
    assert loss.data == 500.0
    assert logits.grad.tolist() == [[0.0, 0.0], [0.5, -0.5]]


def test_a_new_operation_is_one_function():
    @operation
    def cube(x):
        return x**3, lambda g: g * 3 * x**2

    x = Value([2.0, 3.0])
    cube(x).sum().backward()
    assert x.grad.tolist() == [12.0, 27.0]


@pytest.mark.parametrize(("shape", "sums"), [((), 6.0), ((1,), [6.0]), ((3,), [2.0] * 3), ((2, 1), [[3.0]] * 2)])
def test_a_broadcast_slope_is_summed_to_the_inputs_shape(shape, sums):
    assert unbroadcast(np.ones((2, 3)), shape).tolist() == sums


# Bad use ------------------------------------------------------------------------------------------------------------

X = Value(np.ones((2, 3)))
BAD = {
    "needs a gradient of that shape": lambda: X.backward(),
    r"backward from shape \(2, 3\)": lambda: X.backward(np.ones(3)),
    "must hold floats": lambda: Value([1, 2]),
    "this is bool": lambda: Value(True),
    "this is object": lambda: Value(X),
    r"add is impossible with shape \(2, 3\) and \(2,\)": lambda: X + np.ones(2),
    r"matmul is impossible with shape \(2, 3\) and \(2, 3\)": lambda: X @ X,
    "reshape a vector": lambda: X @ np.ones(3),
    "pick is impossible .* out of bounds": lambda: X[5],
    "too many indices": lambda: X[0, 0, 0],
    "reshape is impossible .* cannot reshape": lambda: X.reshape(4),
    "total is impossible .* out of bounds": lambda: X.sum(axis=2),
    "transpose is impossible": lambda: X.transpose(0),
    "power has a slope with its first input only": lambda: X**X,
    "targets from 0 to 2": lambda: cross_entropy(X, [0, 3]),
    "targets from 0 to 2 ": lambda: cross_entropy(X, [-1, 0]),
    r"of shape \(2,\)": lambda: cross_entropy(X, [0, 1, 2]),
    "give integer targets": lambda: cross_entropy(X, [0.0, 1.0]),
    "crooked gives an input of shape": lambda: operation(crooked)(X).sum().backward(),
}


def crooked(x):
    return x, lambda g: g[..., None]


@pytest.mark.parametrize("message", BAD)
def test_bad_use_is_told_in_one_sentence(message):
    with pytest.raises(MinigptError, match=message) as error:
        BAD[message]()
    assert "\n" not in str(error.value)


def test_a_value_is_no_sequence():
    with pytest.raises(TypeError, match="not iterable"):
        list(X)
