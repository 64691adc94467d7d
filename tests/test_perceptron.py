"""The neurons: the rule and its bound, slopes against PyTorch's, next-token neurons against counting, and bad input."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.errors import MinigptError
from minigpt.language_model import LanguageModel
from minigpt.perceptron import LogisticNeuron, NextTokenNeurons, Perceptron, novikoff_bound

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND, XOR = np.array([-1, -1, -1, 1]), np.array([-1, 1, 1, -1])


def separable(seed, n_inputs, margin):
    random = np.random.default_rng(seed)
    weights, bias = random.normal(size=n_inputs), random.uniform(-0.3, 0.3)
    weights /= np.linalg.norm(weights)
    x = random.uniform(-1, 1, size=(2000, n_inputs))
    x = x[np.abs(x @ weights + bias) > margin][:80]
    return x, np.where(x @ weights + bias > 0, 1, -1), weights, bias


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0.02, 0.3))
def test_the_rule_separates_what_can_be_separated_within_novikoffs_bound(seed, n_inputs, margin):
    x, y, weights, bias = separable(seed, n_inputs, margin)
    perceptron = Perceptron(n_inputs)
    mistakes = perceptron.learn(x, y, passes=10**6)
    assert mistakes[-1] == 0
    assert (perceptron(x) == y).all()
    assert sum(mistakes) <= novikoff_bound(x, y, weights, bias)


def test_the_bound_by_hand():
    """One input, -1 and +1: R is the root of 2 with the bias's input, and the margin is 1."""
    assert novikoff_bound(np.array([[-1.0], [1.0]]), np.array([-1, 1]), np.array([3.0]), 0.0) == pytest.approx(2.0)


def test_the_rule_never_rests_on_xor():
    assert min(Perceptron(2).learn(X, XOR, passes=500)) > 0


def test_a_boundary_that_does_not_separate_gives_no_bound():
    with pytest.raises(MinigptError, match="do not separate"):
        novikoff_bound(X, XOR, np.array([1.0, 1.0]), -0.5)


def test_the_logistic_neurons_slope_is_pytorchs():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 4)), random.choice([-1, 1], size=30)
    neuron = LogisticNeuron(4)
    neuron.weights, neuron.bias = random.normal(size=4), 0.7
    weights, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (neuron.weights, neuron.bias))
    loss = F.binary_cross_entropy_with_logits(torch.tensor(x) @ weights + bias, torch.tensor((y + 1) / 2))
    loss.backward()
    assert neuron.loss(x, y) == pytest.approx(loss.item(), abs=1e-12)
    slope, slope_of_bias = neuron.gradient(x, y)
    assert slope == pytest.approx(weights.grad.numpy(), abs=1e-12)
    assert slope_of_bias == pytest.approx(bias.grad.item(), abs=1e-12)


def test_the_logistic_neuron_learns_and_its_loss_falls():
    neuron = LogisticNeuron(2)
    losses = neuron.learn(X, AND, steps=2000)
    assert losses[0] == pytest.approx(math.log(2))
    assert all(later < earlier for earlier, later in zip(losses, losses[1:]))
    assert ((neuron(X) > 0.5) == (AND > 0)).all()


def random_neurons(n_seen=3, vocabulary_size=6):
    model = NextTokenNeurons(vocabulary_size, n_seen)
    generator = torch.Generator().manual_seed(0)
    model.weights = torch.randn(model.weights.shape, generator=generator)
    model.bias = torch.randn(model.bias.shape, generator=generator)
    return model


@pytest.mark.parametrize("length", [1, 2, 3, 9])
def test_the_next_token_neurons_slope_is_pytorchs(length):
    model = random_neurons()
    ids, targets = torch.randint(6, (5, length)), torch.randint(6, (5, length))
    weights, bias = model.gradient(ids, targets)
    model.weights.requires_grad_()
    model.bias.requires_grad_()
    F.cross_entropy(model.logits(ids).flatten(0, 1), targets.flatten()).backward()
    torch.testing.assert_close(weights, model.weights.grad, atol=1e-7, rtol=1e-5)
    torch.testing.assert_close(bias, model.bias.grad, atol=1e-7, rtol=1e-5)


def test_neurons_that_see_one_token_come_to_the_counted_frequencies():
    """The best they can do is p(next | last), which counting gives."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])
    ids = [0]
    for _ in range(6000):
        ids.append(int(torch.multinomial(truth[ids[-1]], 1, generator=generator)))
    rows = torch.tensor(ids[:6000]).view(-1, 60)
    model = NextTokenNeurons(3, 1)
    model.learn(rows, steps=800, rows=100, learning_rate=0.3)
    counts = torch.zeros(3, 3).index_put_((rows[:, :-1].flatten(), rows[:, 1:].flatten()), torch.ones(5900), True)
    learned = model.log_probs(torch.arange(3)[:, None])[:, 0].exp()
    torch.testing.assert_close(learned, counts / counts.sum(1, keepdim=True), atol=0.02, rtol=0)


def test_they_are_a_language_model():
    model = random_neurons()
    assert isinstance(model, LanguageModel)
    ids = torch.randint(6, (2, 8))
    log_probs = model.log_probs(ids)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 8))
    changed = ids.clone()
    changed[:, 4] = (ids[:, 4] + 1) % 6
    different = (model.log_probs(changed) != log_probs).any(-1)
    assert different.tolist() == [[False] * 4 + [True] * 3 + [False]] * 2  # seen at distances 1 to 3, and never before
    state = None
    for t in range(8):
        step, state = model.advance(ids[:, t : t + 1], state)
        torch.testing.assert_close(step, log_probs[:, t])


@pytest.mark.parametrize(
    ("x", "y", "complaint"),
    [
        (X, AND[:3], "give"),
        (X[:0], AND[:0], "N at least 1"),
        (X * np.nan, AND, "not a finite number"),
        (X, (AND + 1) // 2, "must be -1 or"),
    ],
)
def test_examples_that_cannot_be_used(x, y, complaint):
    for neuron in (Perceptron(2), LogisticNeuron(2)):
        with pytest.raises(MinigptError, match=complaint):
            neuron.learn(x, y)


def test_impossible_sizes_and_tokens():
    with pytest.raises(MinigptError, match="must both be at least 1"):
        NextTokenNeurons(5, 0)
    with pytest.raises(MinigptError, match="token ids run from 0 to 6"):
        random_neurons().log_probs(torch.tensor([[0, 6]]))
