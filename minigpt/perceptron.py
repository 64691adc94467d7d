"""One neuron: the perceptron, the logistic neuron, and a next-character model with one neuron for each character.

Chapter 1 builds them. A neuron weighs its inputs, adds a bias, and compares the sum with zero; the perceptron answers
yes or no, the logistic neuron with a probability. Shapes: N examples, I inputs; B batch, T time, V vocabulary.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minigpt.errors import MinigptError
from minigpt.language_model import LanguageModel


def check_examples(x: np.ndarray, y: np.ndarray) -> None:
    """Complain about what no neuron can learn from.

    Args:
        x: inputs (N, I).
        y: labels (N,), -1 or +1.

    Raises:
        MinigptError: the shapes do not fit, an input is no number, or a label is neither -1 nor +1.
    """
    if x.ndim != 2 or y.shape != x.shape[:1] or not len(x):
        raise MinigptError(
            f"inputs of shape {x.shape} and labels of shape {y.shape}: give (N, I) and (N,), N at least 1"
        )
    if not np.isfinite(x).all():
        raise MinigptError("an input is not a finite number: remove or repair that example")
    if not np.isin(y, (-1, 1)).all():
        raise MinigptError(f"the labels are {np.unique(y)[:5]}, but must be -1 or +1")


class Perceptron:
    """A threshold unit that learns from its mistakes (Rosenblatt 1958).

    Args:
        n_inputs: I.
    """

    def __init__(self, n_inputs: int):
        self.weights, self.bias = np.zeros(n_inputs), 0.0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The answer to each input (N, I): +1 if the weighted sum is above zero, else -1 (N,)."""
        return np.where(x @ self.weights + self.bias > 0, 1, -1)

    def learn(self, x: np.ndarray, y: np.ndarray, passes: int = 1000) -> list[int]:
        """Go through the examples until a whole pass is without a mistake, or there have been enough passes.

        Args:
            x: inputs (N, I).
            y: labels (N,), -1 or +1.
            passes: the most passes.

        Returns:
            the number of mistakes in each pass.

        Raises:
            MinigptError: the examples cannot be used.
        """
        check_examples(x, y)
        mistakes = []
        while len(mistakes) < passes and (not mistakes or mistakes[-1]):
            mistakes.append(0)
            for inputs, label in zip(x, y):
                if label * (self.weights @ inputs + self.bias) <= 0:
                    self.weights += label * inputs
                    self.bias += label
                    mistakes[-1] += 1
        return mistakes


def novikoff_bound(x: np.ndarray, y: np.ndarray, weights: np.ndarray, bias: float) -> float:
    """How many mistakes the perceptron can make at most: (R / margin) squared (Novikoff 1962).

    Args:
        x: inputs (N, I).
        y: labels (N,), -1 or +1.
        weights, bias: of any line that separates them; the wider its margin, the lower the bound.

    Raises:
        MinigptError: it does not separate them.
    """
    check_examples(x, y)
    inputs = np.column_stack([x, np.ones(len(x))])  # the bias is the weight of one more input, which is always 1
    separator = np.append(weights, bias)
    margin = (y * (inputs @ separator)).min() / np.linalg.norm(separator)
    if not margin > 0:
        raise MinigptError("these weights do not separate the examples, and only for those that do is there a bound")
    return (np.linalg.norm(inputs, axis=1).max() / margin) ** 2


class LogisticNeuron:
    """A neuron whose answer is a probability, and which learns by the slope of its loss (Cox 1958).

    Args:
        n_inputs: I.
    """

    def __init__(self, n_inputs: int):
        self.weights, self.bias = np.zeros(n_inputs), 0.0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The probability of +1 for each input (N, I): (N,)."""
        return 1 / (1 + np.exp(-(x @ self.weights + self.bias)))

    def loss(self, x: np.ndarray, y: np.ndarray) -> float:
        """The mean of -log p(right label), in nats."""
        return np.logaddexp(0, -y * (x @ self.weights + self.bias)).mean()

    def gradient(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        """The slope of the loss with each weight (I,), and with the bias: the mean error times the input."""
        error = self(x) - (y + 1) / 2  # probability minus what it should be, 0 or 1
        return error @ x / len(x), error.mean()

    def learn(self, x: np.ndarray, y: np.ndarray, steps: int = 1000, learning_rate: float = 1.0) -> list[float]:
        """Go down the slope, all examples at once.

        Args:
            x: inputs (N, I).
            y: labels (N,), -1 or +1.
            steps: how often.
            learning_rate: how far, times the slope.

        Returns:
            the loss before each step.

        Raises:
            MinigptError: the examples cannot be used.
        """
        check_examples(x, y)
        losses = []
        for _ in range(steps):
            losses.append(self.loss(x, y))
            weights, bias = self.gradient(x, y)
            self.weights = self.weights - learning_rate * weights
            self.bias = self.bias - learning_rate * bias
        return losses


class NextTokenNeurons(LanguageModel):
    """One neuron for each token of the vocabulary, all looking at the last few tokens: softmax regression.

    The inputs are one-hot, so each weight says how much one token at one distance speaks for another as the next one.

    Args:
        vocabulary_size: V.
        n_seen: how many of the last tokens the neurons look at.

    Raises:
        MinigptError: one of them is less than 1.
    """

    def __init__(self, vocabulary_size: int, n_seen: int):
        if min(vocabulary_size, n_seen) < 1:
            raise MinigptError(f"vocabulary_size {vocabulary_size} and n_seen {n_seen} must both be at least 1")
        self.vocabulary_size, self.n_seen = vocabulary_size, n_seen
        self.weights = torch.zeros(n_seen, vocabulary_size, vocabulary_size)  # (distance, token seen, next token)
        self.bias = torch.zeros(vocabulary_size)

    def logits(self, ids: Tensor) -> Tensor:
        """The neurons' sums (B, T, V) after every prefix of ids (B, T); before the first token nothing is seen."""
        sums = self.bias + self.weights[0, ids]
        for distance in range(1, min(self.n_seen, ids.shape[1])):
            sums[:, distance:] += self.weights[distance, ids[:, :-distance]]
        return sums

    def log_probs(self, ids: Tensor) -> Tensor:
        """As the protocol says.

        Raises:
            MinigptError: an id is outside the vocabulary.
        """
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.vocabulary_size:
            raise MinigptError(
                f"token ids run from {int(ids.min())} to {int(ids.max())}, but the vocabulary ends at"
                f" {self.vocabulary_size - 1}: use the tokeniser that the model was made for"
            )
        return self.logits(ids.cpu()).log_softmax(dim=-1).to(ids.device)

    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As the protocol says; the state is the last few tokens."""
        seen = ids if state is None else torch.cat([state, ids], dim=1)
        seen = seen[:, -self.n_seen :]
        return self.log_probs(seen)[:, -1], seen

    def gradient(self, ids: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The slope of the mean loss with the weights and the bias: again the mean error times the input.

        Args:
            ids: (B, T).
            targets: the token after each (B, T).
        """
        V = self.vocabulary_size
        error = (self.logits(ids).softmax(dim=-1) - F.one_hot(targets, V)) / targets.numel()  # (B, T, V)
        weights = torch.zeros_like(self.weights)
        for distance in range(min(self.n_seen, ids.shape[1])):
            seen = ids[:, : ids.shape[1] - distance].flatten()
            weights[distance].index_add_(0, seen, error[:, distance:].flatten(0, 1))
        return weights, error.sum(dim=(0, 1))

    def learn(self, ids: Tensor, steps: int = 300, rows: int = 64, learning_rate: float = 0.5, seed: int = 0) -> None:
        """Go down the slope, on some random rows at a time, with a step of its own for each weight.

        A weight's step is divided by the size of its slopes so far, so what is seldom seen is learned as well (AdaGrad;
        Duchi et al. 2011, equation 1).

        Args:
            ids: documents as rows (N, T + 1).
            steps, rows: how often, and how many rows each time.
            learning_rate: the size of a first step.
            seed: of the choice of rows.
        """
        generator = torch.Generator().manual_seed(seed)
        squares = torch.full_like(self.weights, 1e-10), torch.full_like(self.bias, 1e-10)
        for _ in range(steps):
            chosen = ids[torch.randint(len(ids), (rows,), generator=generator)]
            slopes = self.gradient(chosen[:, :-1], chosen[:, 1:])
            for parameter, slope, square in zip((self.weights, self.bias), slopes, squares):
                square += slope**2
                parameter -= learning_rate * slope / square.sqrt()
