"""What a model should learn: likelihood as a loss, what it measures, and how it is held back.

Chapter 6 builds the first part, from the log-likelihood to the Kullback-Leibler divergence; chapter 7 the second, label
smoothing, the confidence penalty and calibration. The last dimension is the one of the classes; losses are in nats.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from minigpt.errors import MinigptError


def log_sum_exp(logits: Tensor) -> Tensor:
    """The logarithm of the sum of exponentials over the last dimension, without overflow.

    Taking the largest out of the sum leaves exponents of at most 0.

    Args:
        logits: (..., V); minus infinity stands for what is impossible.

    >>> round(log_sum_exp(torch.tensor([1000.0, 1000.0])).item(), 2)
    1000.69
    """
    largest = logits.amax(dim=-1, keepdim=True)
    largest = torch.where(largest.isfinite(), largest, 0.0)  # all impossible: the sum is 0, its logarithm -infinity
    return (logits - largest).exp().sum(dim=-1).log() + largest[..., 0]


def log_softmax(logits: Tensor) -> Tensor:
    """The logarithms of the probabilities (..., V) that logits (..., V) stand for."""
    logits = logits - logits.amax(dim=-1, keepdim=True)  # small numbers keep more digits behind the point
    return logits - log_sum_exp(logits)[..., None]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean negative log-likelihood of the targets, in nats.

    Args:
        logits: (..., V).
        targets: the right classes (...), or for each example a distribution over the classes (..., V).

    Raises:
        MinigptError: the shapes do not fit, there are no examples, a class is outside the vocabulary, a target is no
            distribution, or a logit is no number.
    """
    targets, log_probs = as_distributions(targets, logits), log_softmax(logits)
    if log_probs.isnan().any():
        raise MinigptError("a logit is no number, or no class is possible: lower the learning rate, or mend the mask")
    # What has no share in the target does not count, even where the model holds it for impossible.
    return -(targets * log_probs.masked_fill(targets == 0, 0.0)).sum(dim=-1).mean()


def cross_entropy_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """The slope of each example's loss with its logits (..., V): the prediction minus the target, p - t.

    The arguments are those of `cross_entropy`.
    """
    return log_softmax(logits).exp() - as_distributions(targets, logits)


def as_distributions(targets: Tensor, logits: Tensor) -> Tensor:
    """Targets as distributions (..., V): a class becomes the one that has it for certain.

    Raises:
        MinigptError: they are no targets for logits of this shape.
    """
    if targets.is_floating_point():
        check_distributions(targets, logits.shape)
        return targets
    check_classes(targets, logits.shape)
    return F.one_hot(targets.long(), logits.shape[-1]).to(logits.dtype)


def check_classes(targets: Tensor, shape: torch.Size) -> None:
    """Raise a MinigptError unless targets are classes for logits of this shape."""
    if targets.shape != shape[:-1] or not targets.numel():
        raise MinigptError(
            f"logits of shape {tuple(shape)} need targets of shape {tuple(shape[:-1])}, at least one of them, not"
            f" {tuple(targets.shape)}"
        )
    if not 0 <= int(targets.min()) <= int(targets.max()) < shape[-1]:
        raise MinigptError(
            f"targets run from {int(targets.min())} to {int(targets.max())}, but there are {shape[-1]} classes, counted"
            " from 0: use the tokeniser that the model has"
        )


def check_distributions(targets: Tensor, shape: torch.Size) -> None:
    """Raise a MinigptError unless targets are distributions for logits of this shape."""
    if targets.shape != shape or not targets.numel():
        raise MinigptError(
            f"logits of shape {tuple(shape)} need target distributions of the same shape, not {tuple(targets.shape)}"
        )
    sums = targets.sum(dim=-1)
    if not bool((targets >= 0).all()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
        raise MinigptError("a target distribution has a negative entry or does not sum to 1: divide it by its sum")


def entropy(log_probs: Tensor) -> Tensor:
    """The mean surprise of a distribution about itself, in nats (Shannon 1948, section 6).

    Args:
        log_probs: (..., V); minus infinity, the impossible, adds nothing.
    """
    impossible = log_probs == -math.inf
    return -(log_probs.exp() * log_probs.masked_fill(impossible, 0.0)).sum(dim=-1)


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q): how many nats more it costs to expect q where p is true (Kullback & Leibler 1951, equation 2.4).

    Args:
        log_p: what is true, log-probabilities (..., V); minus infinity, the impossible, adds nothing.
        log_q: what is expected (..., V); infinite where it rules out what p allows.
    """
    impossible = log_p == -math.inf
    return (log_p.exp() * (log_p - log_q).masked_fill(impossible, 0.0)).sum(dim=-1)


def weight_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """The regulariser lambda R(theta) = strength / 2 times the sum of the squares of all parameters.

    Its slope is strength times the parameter, which draws each towards 0.

    Args:
        parameters: theta.
        strength: lambda.

    Raises:
        MinigptError: the strength is negative or no finite number.
    """
    if not 0 <= strength < math.inf:
        raise MinigptError(f"the strength of the penalty is {strength}, but must be 0 or more, and finite")
    return strength / 2 * sum(parameter.square().sum() for parameter in parameters)


def nats_to_bits(nats: float) -> float:
    """Information in bits: 1 nat is 1 / ln 2 of them.

    >>> nats_to_bits(math.log(8))
    3.0
    """
    return nats / math.log(2)


def bits_per_character(nats_per_token: float, characters_per_token: float) -> float:
    """What makes models with different tokenisers comparable.

    Args:
        nats_per_token: the mean loss; the logarithm of the perplexity per token.
        characters_per_token: how many characters a token covers in the mean, on the same text.

    Raises:
        MinigptError: a token covers no characters.
    """
    if not characters_per_token > 0:
        raise MinigptError(f"a token covers {characters_per_token} characters in the mean, but that must be above 0")
    return nats_to_bits(nats_per_token) / characters_per_token


# Chapter 7: label smoothing, the confidence penalty, calibration


def smooth(probabilities: Tensor, epsilon: float) -> Tensor:
    """Mix a distribution with the uniform one: (1 - epsilon) p + epsilon / V (Szegedy et al. 2016, section 7).

    Of a one-hot label it makes the target of label smoothing, and of the true distribution the prediction to which
    that target leads.

    Args:
        probabilities: (..., V).
        epsilon: the share of the uniform distribution.

    Raises:
        MinigptError: epsilon is not from 0 to below 1.

    >>> smooth(torch.tensor([0.0, 1.0, 0.0, 0.0]), 0.1)
    tensor([0.0250, 0.9250, 0.0250, 0.0250])
    """
    if not 0 <= epsilon < 1:
        raise MinigptError(f"epsilon is {epsilon}, but must be 0 or more and below 1: the share of the uniform")
    return (1 - epsilon) * probabilities + epsilon / probabilities.shape[-1]


def label_smoothing_loss(logits: Tensor, targets: Tensor, epsilon: float) -> Tensor:
    """Mean cross-entropy to smoothed labels, in nats (Szegedy et al. 2016, section 7).

    Up to a constant it is (1 - epsilon) times the cross-entropy plus epsilon KL(uniform || prediction).

    Args:
        logits: (..., V).
        targets: the right classes (...).
        epsilon: the share of the uniform distribution in the labels; 0 is the plain cross-entropy.

    Raises:
        MinigptError: the logits and targets do not fit, or epsilon is not from 0 to below 1.
    """
    return cross_entropy(logits, smooth(as_distributions(targets, logits), epsilon))


def label_smoothing_gradient(logits: Tensor, targets: Tensor, epsilon: float) -> Tensor:
    """The slope of each example's loss with its logits (..., V): prediction minus smoothed label.

    The arguments are those of `label_smoothing_loss`.
    """
    return cross_entropy_gradient(logits, smooth(as_distributions(targets, logits), epsilon))


def confidence_penalty_loss(logits: Tensor, targets: Tensor, beta: float) -> Tensor:
    """Mean cross-entropy minus beta times the entropy of the prediction, in nats (Pereyra et al. 2017, section 3).

    Up to a constant it is the cross-entropy plus beta KL(prediction || uniform).

    Args:
        logits: (..., V).
        targets: the right classes (...).
        beta: the reward for entropy; 0 is the plain cross-entropy.

    Raises:
        MinigptError: the logits and targets do not fit, or beta is negative or no finite number.
    """
    check_reward(beta)
    return cross_entropy(logits, targets) - beta * entropy(log_softmax(logits)).mean()


def confidence_penalty_gradient(logits: Tensor, targets: Tensor, beta: float) -> Tensor:
    """The slope of each example's loss with its logits (..., V): p - label + beta p (log p + entropy).

    The arguments are those of `confidence_penalty_loss`.
    """
    check_reward(beta)
    log_probs = log_softmax(logits)
    surplus = log_probs + entropy(log_probs)[..., None]  # above 0 for what is more probable than most
    slope_of_entropy = -(log_probs.exp() * surplus).masked_fill(log_probs == -math.inf, 0.0)
    return cross_entropy_gradient(logits, targets) - beta * slope_of_entropy


def check_reward(beta: float) -> None:
    """Raise a MinigptError unless entropy can be rewarded by beta."""
    if not 0 <= beta < math.inf:
        raise MinigptError(f"beta is {beta}, but must be 0 or more, and finite: it rewards entropy")


def confidence_penalty_optimum(truth: Tensor, beta: float) -> Tensor:
    """The prediction p (..., V) of least confidence-penalised loss where the labels are drawn from `truth`.

    Its slope is zero: truth = p (beta log p + mu), with the one mu for which p sums to 1. In terms of
    w = log p + mu / beta that is w + log w = log(truth / beta) + mu / beta, so w is a value of Lambert's function.

    Args:
        truth: (..., V), in float64 for a precise answer.
        beta: the reward for entropy.

    Raises:
        MinigptError: beta is negative or no finite number.
    """
    check_reward(beta)
    if beta == 0:
        return truth
    mu = torch.ones_like(truth[..., :1])  # its solution is 1 + beta times the entropy of p
    log_ratio = (truth / beta).clamp(min=torch.finfo(truth.dtype).tiny).log()
    for _ in range(30):  # Newton's method; as the sum of p is convex in mu, it comes from one side and never overshoots
        w = lambert_of_exp(log_ratio + mu / beta)
        p = (w - mu / beta).exp()
        mu = mu + (p.sum(dim=-1, keepdim=True) - 1) / (p / (w + 1)).sum(dim=-1, keepdim=True) * beta
    return p


def lambert_of_exp(y: Tensor) -> Tensor:
    """The w for which w + log w = y: Lambert's function of exp(y), without computing exp(y) (Corless et al. 1996)."""
    w = torch.where(y > 1, y - y.clamp(min=1).log(), (y - 1).exp())  # below the solution
    for _ in range(6):  # Newton's method; as the left side is concave, it comes from below
        w = w * (1 + y - w.log()) / (1 + w)
    return w


@dataclass(frozen=True)
class Reliability:
    """How often a model is right, beside how sure it is: predictions in bins of like confidence, empty bins left out.

    Attributes:
        confidence: the mean probability of the best guess in each bin.
        accuracy: the share of best guesses that were right.
        counts: how many predictions there are.
    """

    confidence: Tensor
    accuracy: Tensor
    counts: Tensor

    @property
    def expected_calibration_error(self) -> float:
        """The mean distance of confidence from accuracy (Guo et al. 2017, equation 3)."""
        distances = (self.confidence - self.accuracy).abs()
        return ((distances * self.counts).sum() / self.counts.sum()).item()


def reliability(log_probs: Tensor, targets: Tensor, n_bins: int = 15) -> Reliability:
    """Sort predictions by their confidence into bins of equal width (Guo et al. 2017, section 2).

    Args:
        log_probs: (..., V).
        targets: the right classes (...).
        n_bins: from 0 to 1.

    Raises:
        MinigptError: the log-probabilities are no numbers, the shapes do not fit, or there is no bin.
    """
    if log_probs.shape[:-1] != targets.shape or not targets.numel() or log_probs.isnan().any() or n_bins < 1:
        raise MinigptError(
            f"log-probabilities of shape {tuple(log_probs.shape)}, targets of shape {tuple(targets.shape)} and"
            f" {n_bins} bins: give (..., V) without NaN, (...) of the same, and at least 1 bin"
        )
    confidence, guesses = log_probs.flatten(0, -2).double().exp().max(dim=-1)
    right = (guesses == targets.flatten()).double()
    bins = (confidence * n_bins).ceil().long().clamp(1, n_bins) - 1
    counts = torch.bincount(bins, minlength=n_bins)
    filled = counts > 0
    sums = [torch.bincount(bins, weights=values, minlength=n_bins) for values in (confidence, right)]
    return Reliability(*[(total / counts)[filled] for total in sums], counts[filled])


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature, from 0.01 to 100, at which a trained model loses least (Guo et al. 2017, section 4.2).

    Fit it to examples that the model was not trained on.

    Args:
        logits: (N, V).
        targets: the right classes (N,).

    Raises:
        MinigptError: the logits and targets do not fit, or a logit is no number.
    """
    cross_entropy(logits, targets)  # complains about what does not fit
    of_targets = logits.gather(-1, targets[..., None]).mean()
    low, high = 0.01, 100.0
    for _ in range(30):
        middle = math.sqrt(low * high)
        expected = ((logits / middle).softmax(dim=-1) * logits).sum(dim=-1).mean()
        # The slope of the loss with 1 / temperature is the expected logit minus the target's; it rises with it.
        low, high = (middle, high) if expected > of_targets else (low, middle)
    return math.sqrt(low * high)
