"""Losses: equal to PyTorch's, forward and backward; identities between them; impossible targets and settings."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt import losses, tales
from minigpt.errors import MinigptError
from minigpt.losses import (
    bits_per_character,
    confidence_penalty_gradient,
    confidence_penalty_loss,
    confidence_penalty_optimum,
    cross_entropy,
    cross_entropy_gradient,
    entropy,
    fit_temperature,
    kl_divergence,
    label_smoothing_gradient,
    label_smoothing_loss,
    lambert_of_exp,
    log_softmax,
    log_sum_exp,
    nats_to_bits,
    reliability,
    smooth,
    weight_penalty,
)

seeds = st.integers(0, 10**6)


def random_logits(*shape, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def random_targets(*shape, classes, seed=0):
    return torch.randint(classes, shape, generator=torch.Generator().manual_seed(seed + 1))


def gradient(loss, logits):
    logits = logits.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(logits), logits)
    return slope


@given(seeds, st.sampled_from([1e-3, 1.0, 30.0, 1e4]))
def test_log_sum_exp_and_log_softmax_are_pytorchs(seed, scale):
    logits = random_logits(3, 4, 7, seed=seed, scale=scale)
    torch.testing.assert_close(log_sum_exp(logits), logits.logsumexp(dim=-1), atol=0, rtol=1e-14)
    torch.testing.assert_close(log_softmax(logits), logits.log_softmax(dim=-1), atol=1e-11, rtol=1e-12)
    slopes = [gradient(lambda x, f=f: f(x).square().sum(), logits) for f in (log_sum_exp, lambda x: x.logsumexp(-1))]
    torch.testing.assert_close(*slopes)


def test_impossible_classes_stay_impossible():
    logits = torch.tensor([[0.0, -math.inf, 1.0], [-math.inf, -math.inf, 2.0]])
    torch.testing.assert_close(log_softmax(logits), logits.log_softmax(dim=-1))
    assert log_sum_exp(torch.full((2, 3), -math.inf)).tolist() == [-math.inf, -math.inf]


@given(seeds)
def test_cross_entropy_is_pytorchs_forward_and_backward(seed):
    logits, targets = random_logits(3, 4, 7, seed=seed), random_targets(3, 4, classes=7, seed=seed)

    def reference(x):
        return F.cross_entropy(x.flatten(0, 1), targets.flatten())

    torch.testing.assert_close(cross_entropy(logits, targets), reference(logits))
    slope = gradient(lambda x: cross_entropy(x, targets), logits)
    torch.testing.assert_close(slope, gradient(reference, logits))
    torch.testing.assert_close(cross_entropy_gradient(logits, targets) / targets.numel(), slope)


@given(seeds)
def test_cross_entropy_to_distributions_is_pytorchs(seed):
    logits, truth = random_logits(5, 6, seed=seed), random_logits(5, 6, seed=seed + 2).softmax(dim=-1)
    torch.testing.assert_close(cross_entropy(logits, truth), F.cross_entropy(logits, truth))
    slope = gradient(lambda x: cross_entropy(x, truth), logits)
    torch.testing.assert_close(slope, gradient(lambda x: F.cross_entropy(x, truth), logits))
    torch.testing.assert_close(cross_entropy_gradient(logits, truth) / 5, slope)


def test_a_one_hot_distribution_is_its_class():
    logits, targets = random_logits(5, 6), random_targets(5, classes=6)
    one_hot = F.one_hot(targets, 6).to(logits.dtype)
    torch.testing.assert_close(cross_entropy(logits, one_hot), cross_entropy(logits, targets))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_classes_may_be_integers_of_any_size(dtype):
    """As token files hold them."""
    logits, targets = random_logits(5, 6), random_targets(5, classes=6)
    assert cross_entropy(logits, targets.to(dtype)) == cross_entropy(logits, targets)
    assert torch.equal(cross_entropy_gradient(logits, targets.to(dtype)), cross_entropy_gradient(logits, targets))


@given(seeds)
def test_cross_entropy_is_entropy_plus_divergence(seed):
    logits, truth = random_logits(5, 6, seed=seed), log_softmax(random_logits(5, 6, seed=seed + 2))
    parts = entropy(truth) + kl_divergence(truth, log_softmax(logits))
    torch.testing.assert_close(cross_entropy(logits, truth.exp()), parts.mean())


@given(seeds)
def test_divergence_is_pytorchs_and_never_negative(seed):
    p, q = log_softmax(random_logits(5, 6, seed=seed)), log_softmax(random_logits(5, 6, seed=seed + 2))
    torch.testing.assert_close(kl_divergence(p, q), F.kl_div(q, p, reduction="none", log_target=True).sum(dim=-1))
    assert (kl_divergence(p, q) >= 0).all()
    assert (kl_divergence(p, p) == 0).all()


def test_the_impossible_adds_nothing_and_a_ruled_out_truth_costs_everything():
    p = torch.tensor([0.5, 0.5, 0.0]).log()
    q = torch.tensor([0.25, 0.75, 0.0]).log()
    assert entropy(p).item() == pytest.approx(math.log(2))
    assert kl_divergence(p, q).item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert kl_divergence(p, torch.tensor([1.0, 0.0, 0.0]).log()).item() == math.inf


@pytest.mark.parametrize(
    "loss",
    [lambda x: entropy(log_softmax(x)), lambda x: kl_divergence(log_softmax(x), log_softmax(x.detach() + 1))],
)
def test_slopes_stay_numbers_where_something_is_impossible(loss):
    slope = gradient(lambda x: loss(x).sum(), torch.tensor([[0.0, -math.inf, 1.0]]))
    assert slope.isfinite().all()


@given(seeds)
def test_a_uniform_distribution_has_the_largest_entropy(seed):
    assert entropy(log_softmax(random_logits(9, seed=seed))) < entropy(torch.zeros(9).log_softmax(0)) + 1e-6


def test_the_penalty_draws_every_parameter_towards_zero():
    parameters = [random_logits(3, 2).requires_grad_(), random_logits(4, seed=1).requires_grad_()]
    weight_penalty(parameters, 0.3).backward()
    for parameter in parameters:
        torch.testing.assert_close(parameter.grad, 0.3 * parameter.detach())


def test_bits_per_character_do_not_depend_on_how_a_text_is_cut():
    nats, characters = 30.0, 24
    assert {round(bits_per_character(nats / n, characters / n), 12) for n in (3, 8, 24)} == {
        round(nats_to_bits(nats) / characters, 12)
    }


@pytest.mark.parametrize(
    ("complain", "words"),
    [
        (lambda: cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3])), "run from 0 to 3, but there are 3 classes"),
        (lambda: cross_entropy(torch.zeros(2, 3), torch.tensor([-1, 0])), "run from -1"),
        (lambda: cross_entropy(torch.zeros(2, 3), torch.tensor([0])), r"targets of shape \(2,\)"),
        (lambda: cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)), "at least one"),
        (lambda: cross_entropy(torch.zeros(2, 3), torch.ones(2, 3)), "does not sum to 1"),
        (lambda: cross_entropy(torch.zeros(1, 2), torch.tensor([[1.5, -0.5]])), "negative entry"),
        (lambda: cross_entropy(torch.zeros(2, 3), torch.ones(2)), "of the same shape"),
        (lambda: cross_entropy(torch.zeros(2, 3), torch.full((2, 3), math.nan)), "does not sum to 1"),
        (lambda: cross_entropy(torch.tensor([[math.nan, 0.0]]), torch.tensor([1])), "a logit is no number"),
        (lambda: cross_entropy(torch.tensor([[math.inf, 0.0]]), torch.tensor([0])), "a logit is no number"),
        (lambda: cross_entropy(torch.full((1, 2), -math.inf), torch.tensor([0])), "no class is possible"),
        (lambda: cross_entropy_gradient(torch.zeros(2, 3), torch.tensor([0, 3])), "but there are 3 classes"),
        (lambda: weight_penalty([], -1.0), "strength of the penalty is -1"),
        (lambda: bits_per_character(1.0, 0.0), "covers 0.0 characters"),
    ],
)
def test_impossible_targets_and_settings(complain, words):
    with pytest.raises(MinigptError, match=words):
        complain()


def test_every_loss_is_a_mean_over_all_examples():
    logits, targets = random_logits(4, 5, 6), random_targets(4, 5, classes=6)
    one_by_one = [cross_entropy(logits[b, t], targets[b, t]) for b in range(4) for t in range(5)]
    torch.testing.assert_close(losses.cross_entropy(logits, targets), torch.stack(one_by_one).mean())


# Chapter 7: label smoothing, the confidence penalty, calibration


def examples(seed=0, n=40, n_classes=7, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(n_classes, (n,), generator=generator)


def distributions(seed=0, n=30, n_classes=6):
    """Flat ones, steep ones, ones with impossible classes, and a certain one."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(n, n_classes, generator=generator, dtype=torch.float64) ** torch.linspace(0, 12, n)[:, None]
    weights[::3, 2:4] = 0.0
    weights[-1] = torch.eye(n_classes)[1]
    return weights / weights.sum(dim=-1, keepdim=True)


@pytest.mark.parametrize("epsilon", [0.0, 0.03, 0.3, 0.99])
def test_label_smoothing_is_pytorchs_forward_and_backward(epsilon):
    logits, targets = examples()
    ours = label_smoothing_loss(logits, targets, epsilon)
    theirs = F.cross_entropy(logits, targets, label_smoothing=epsilon)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    slopes = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-14)


def test_both_losses_take_any_leading_axes():
    logits, targets = examples(n=24)
    cube, targets_of_cube = logits.reshape(2, 3, 4, 7), targets.reshape(2, 3, 4)
    for loss in (label_smoothing_loss, confidence_penalty_loss):
        torch.testing.assert_close(loss(cube, targets_of_cube, 0.2), loss(logits, targets, 0.2))
    for gradient in (label_smoothing_gradient, confidence_penalty_gradient):
        of_cube = gradient(cube, targets_of_cube, 0.2).reshape(24, 7)
        torch.testing.assert_close(of_cube, gradient(logits, targets, 0.2))


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.7])
def test_their_gradients_are_autograds(strength):
    logits, targets = examples()
    pairs = [
        (label_smoothing_loss, label_smoothing_gradient),
        (confidence_penalty_loss, confidence_penalty_gradient),
    ]
    for loss, gradient in pairs:
        (slope,) = torch.autograd.grad(loss(logits, targets, strength), logits)
        torch.testing.assert_close(gradient(logits.detach(), targets, strength) / len(targets), slope)


def test_they_are_kl_terms_to_the_uniform_in_opposite_directions():
    logits, targets = examples()
    log_p, plain = log_softmax(logits), cross_entropy(logits, targets)
    log_u = torch.full_like(log_p, -math.log(7))
    smoothing = 0.8 * plain + 0.2 * (kl_divergence(log_u, log_p).mean() + math.log(7))
    penalty = plain + 0.2 * (kl_divergence(log_p, log_u).mean() - math.log(7))
    torch.testing.assert_close(label_smoothing_loss(logits, targets, 0.2), smoothing)
    torch.testing.assert_close(confidence_penalty_loss(logits, targets, 0.2), penalty)


def test_smoothing_mixes_with_the_uniform():
    mixed = smooth(torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]), 0.2)
    torch.testing.assert_close(mixed, torch.tensor([[0.05, 0.85, 0.05, 0.05], [0.45, 0.45, 0.05, 0.05]]))


def mean_loss(loss, logits, truth, strength):
    """The loss of each row of logits when its labels are drawn from its truth."""
    rows, V = truth.shape
    by_label = [loss_of_rows(loss, logits, torch.full((rows,), label), strength) for label in range(V)]
    return (truth * torch.stack(by_label, dim=-1)).sum(dim=-1)


def loss_of_rows(loss, logits, targets, strength):
    return torch.stack([loss(row[None], target[None], strength) for row, target in zip(logits, targets)])


@pytest.mark.parametrize("strength", [0.05, 0.3, 0.9])
@pytest.mark.parametrize(
    ("loss", "optimum"),
    [(label_smoothing_loss, smooth), (confidence_penalty_loss, confidence_penalty_optimum)],
    ids=["label smoothing", "confidence penalty"],
)
def test_no_prediction_loses_less_than_the_optimum(loss, optimum, strength):
    truth = distributions()
    best = optimum(truth, strength).log().requires_grad_()
    least = mean_loss(loss, best, truth, strength)
    (slope,) = torch.autograd.grad(least.sum(), best)
    assert slope.abs().max() < 1e-12
    generator = torch.Generator().manual_seed(0)
    for size in (0.01, 0.3, 3.0):
        other = best + size * torch.randn(best.shape, generator=generator, dtype=torch.float64)
        assert (mean_loss(loss, other, truth, strength) > least).all()


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.floats(0.003, 50), st.integers(2, 60))
def test_the_penaltys_optimum_solves_its_equation(seed, beta, n_classes):
    truth = distributions(seed, 12, max(n_classes, 6))
    p = confidence_penalty_optimum(truth, beta)
    surplus = p.log().clamp(min=-1e4) + torch.special.entr(p).sum(dim=-1, keepdim=True)
    torch.testing.assert_close(p * (1 + beta * surplus), truth, rtol=0, atol=1e-9)
    torch.testing.assert_close(p.sum(dim=-1), torch.ones(12, dtype=torch.float64), rtol=0, atol=1e-9)


def test_without_strength_the_optimum_is_the_truth():
    truth = distributions()
    assert torch.equal(smooth(truth, 0.0), truth)
    assert torch.equal(confidence_penalty_optimum(truth, 0.0), truth)


@pytest.mark.parametrize("y", [-700.0, -3.0, 0.9, 1.0, 1.1, 50.0, 1e6])
def test_lamberts_function_solves_its_equation(y):
    w = lambert_of_exp(torch.tensor([y], dtype=torch.float64))
    assert (w + w.log()).item() == pytest.approx(y, rel=1e-12)


def test_lamberts_function_at_one_is_the_omega_constant():
    assert lambert_of_exp(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(0.5671432904097838, abs=1e-15)


def test_the_distance_of_the_optima_from_the_truth_on_a_tale():
    """On a certain character label smoothing costs -log(1 - epsilon + epsilon / V), and on no other one less."""
    oracle = tales.Oracle("english")
    text = tales.document("english", "validation", 0)
    ids = torch.tensor([[oracle.tokenizer.end_of_text, *oracle.tokenizer.encode(text)]])
    log_truth = oracle.log_probs(ids)[0]
    costs = kl_divergence(log_truth, smooth(log_truth.exp(), 0.1).log())
    certain = log_truth.max(dim=-1).values == 0
    assert 0 < certain.sum() < len(certain)
    expected = -math.log(0.9 + 0.1 / oracle.vocabulary_size)
    torch.testing.assert_close(costs[certain], torch.full_like(costs[certain], expected))
    assert (costs[~certain] < expected).all()


def test_reliability_by_hand():
    """Two bins of width a half: three guesses at 0.8, 0.8 and 0.6, two of them right, and one at 0.4, wrong."""
    probabilities = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.4, 0.3, 0.3]]
    log_probs = torch.tensor(probabilities, dtype=torch.float64).log()
    bins = reliability(log_probs, torch.tensor([0, 1, 0, 2]), n_bins=2)
    assert bins.counts.tolist() == [1, 3]
    assert bins.confidence.tolist() == pytest.approx([0.4, 2.2 / 3])
    assert bins.accuracy.tolist() == pytest.approx([0.0, 2 / 3])
    assert bins.expected_calibration_error == pytest.approx(0.25 * 0.4 + 0.75 * 0.2 / 3)


def test_bins_are_closed_above_and_empty_ones_are_left_out():
    """0.45 and 0.5 share the fifth of ten bins; nothing lies between them and the tenth."""
    log_probs = torch.tensor([[0.5, 0.5, 0.0], [0.45, 0.3, 0.25], [1.0, 0.0, 0.0]], dtype=torch.float64).log()
    bins = reliability(log_probs, torch.tensor([0, 0, 0]), n_bins=10)
    assert bins.confidence.tolist() == pytest.approx([0.475, 1.0])
    assert bins.counts.tolist() == [2, 1]


def test_a_model_that_knows_the_truth_is_calibrated():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(40_000, 5, generator=generator, dtype=torch.float64)
    targets = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]
    assert reliability(log_softmax(logits), targets).expected_calibration_error < 0.01
    assert reliability(log_softmax(3 * logits), targets).expected_calibration_error > 0.1


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_a_factor(factor):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(40_000, 5, generator=generator, dtype=torch.float64)
    targets = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]
    assert fit_temperature(factor * logits, targets) == pytest.approx(factor, rel=0.03)


def test_no_temperature_loses_less_than_the_fitted_one():
    logits, _ = examples(n=300)
    targets = torch.multinomial((logits / 2).softmax(dim=-1), 1, generator=torch.Generator().manual_seed(0))[:, 0]
    fitted = fit_temperature(logits.detach(), targets)
    least = cross_entropy(logits / fitted, targets)
    assert all(least < cross_entropy(logits / (fitted * factor), targets) for factor in (0.5, 0.95, 1.05, 2.0))


def test_the_temperature_stays_in_its_range():
    logits = torch.tensor([[3.0, 0.0], [0.0, 3.0]])
    assert fit_temperature(logits, torch.tensor([0, 1])) == pytest.approx(0.01, rel=1e-6)  # always right
    assert fit_temperature(logits, torch.tensor([1, 0])) == pytest.approx(100, rel=1e-6)  # always wrong


@pytest.mark.parametrize("epsilon", [-0.1, 1.0, math.nan])
def test_an_impossible_epsilon_is_refused(epsilon):
    logits, targets = examples()
    for refuse in (label_smoothing_loss, label_smoothing_gradient):
        with pytest.raises(MinigptError, match="epsilon is"):
            refuse(logits, targets, epsilon)
    with pytest.raises(MinigptError, match="epsilon is"):
        smooth(distributions(), epsilon)


@pytest.mark.parametrize("beta", [-0.1, math.inf, math.nan])
def test_an_impossible_beta_is_refused(beta):
    logits, targets = examples()
    for refuse in (confidence_penalty_loss, confidence_penalty_gradient):
        with pytest.raises(MinigptError, match="beta is"):
            refuse(logits, targets, beta)
    with pytest.raises(MinigptError, match="beta is"):
        confidence_penalty_optimum(distributions(), beta)


def test_logits_that_no_temperature_can_repair_are_refused():
    with pytest.raises(MinigptError, match="a logit is no number"):
        fit_temperature(torch.tensor([[0.0, math.nan]]), torch.tensor([0]))
    with pytest.raises(MinigptError, match="targets of shape"):
        fit_temperature(torch.zeros(2, 3), torch.tensor([0]))


@pytest.mark.parametrize("loss", [label_smoothing_loss, confidence_penalty_loss])
def test_classes_outside_the_vocabulary_are_refused(loss):
    with pytest.raises(MinigptError, match="but there are 3 classes"):
        loss(torch.zeros(2, 3), torch.tensor([0, 3]), 0.1)


def test_the_penalty_and_its_slope_stay_numbers_where_something_is_impossible():
    logits, targets = torch.tensor([[0.0, -math.inf, 1.0]], requires_grad=True), torch.tensor([2])
    loss = confidence_penalty_loss(logits, targets, 0.3)
    (slope,) = torch.autograd.grad(loss, logits)
    assert loss.isfinite()
    assert slope.isfinite().all()
    torch.testing.assert_close(confidence_penalty_gradient(logits.detach(), targets, 0.3), slope)


def test_predictions_that_cannot_be_judged_are_refused():
    log_probs, targets = log_softmax(torch.zeros(4, 3)), torch.zeros(4, dtype=torch.long)
    for wrong in [(log_probs * math.nan, targets), (log_probs, targets[:3]), (log_probs[:0], targets[:0])]:
        with pytest.raises(MinigptError, match="log-probabilities"):
            reliability(*wrong)
    with pytest.raises(MinigptError, match="0 bins"):
        reliability(log_probs, targets, n_bins=0)
