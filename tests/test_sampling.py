"""Sampling: the published sets and probabilities, frequencies, generation, and impossible settings."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minigpt.errors import MinigptError
from minigpt.language_model import LanguageModel
from minigpt.sampling import Sampler, complete, generate, temperature, top_k, top_p

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "sampling.json"


class Bigrams(LanguageModel):
    """Next-token probabilities that depend on the last token alone; no state of its own."""

    def __init__(self, log_probs):
        self.table, self.vocabulary_size = log_probs, len(log_probs)

    def log_probs(self, ids):
        return self.table[ids]


def some_log_probs(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).mul(2).log_softmax(-1)


def kept(log_probs):
    return log_probs.isfinite().nonzero()[:, 0].tolist()


def test_the_golden_sets_and_probabilities():
    if not GOLDEN.exists():
        pytest.skip(f"the golden sampling data are not at {GOLDEN}")
    for case in json.loads(GOLDEN.read_text())["cases"]:
        log_probs = torch.tensor(case["logits"], dtype=torch.float64).log_softmax(-1)
        k, p, t = case["top_k"], case["top_p"], case["temperature"]
        assert kept(top_k(log_probs, k)) == case["kept_by_top_k"]
        assert kept(top_p(log_probs, p)) == case["kept_by_top_p"]
        assert kept(top_p(temperature(log_probs, t), p)) == case["kept_by_temperature_then_top_p"]
        assert kept(top_p(top_k(log_probs, k), p)) == case["kept_by_top_k_then_top_p"]
        probabilities = Sampler(temperature=t, top_k=k).rule(log_probs).exp()
        torch.testing.assert_close(
            probabilities, torch.tensor(case["probs_temperature_top_k"], dtype=torch.float64), atol=1e-6, rtol=0
        )


@given(st.integers(0, 10**6), st.floats(0.05, 5), st.integers(1, 30), st.floats(0.01, 1))
def test_every_rule_gives_a_distribution(seed, t, k, p):
    for log_probs in (
        temperature(some_log_probs(20, seed=seed), t),
        top_k(some_log_probs(20, seed=seed), k),
        top_p(some_log_probs(20, seed=seed), p),
        Sampler(t, k, p).rule(some_log_probs(3, 20, seed=seed)),
    ):
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:-1]))


@given(st.integers(0, 10**6), st.floats(0.05, 0.999))
def test_top_p_keeps_the_fewest_that_reach_p(seed, p):
    probabilities = some_log_probs(20, seed=seed).exp()
    keep = kept(top_p(probabilities.log(), p))
    assert probabilities[keep].sum() >= p - 1e-5
    least = probabilities[keep].min()
    assert len(keep) == 1 or probabilities[keep].sum() - least < p + 1e-5


def test_greedy_is_temperature_zero():
    log_probs = some_log_probs(5, 20)
    assert torch.equal(Sampler(temperature=0)(log_probs, torch.Generator()), log_probs.argmax(-1))


def test_frequencies():
    log_probs = some_log_probs(8)
    rows, sampler = 40_000, Sampler(temperature=0.8, top_k=5)
    drawn = sampler(log_probs.expand(rows, 8), torch.Generator().manual_seed(0))
    expected = sampler.rule(log_probs).exp()
    frequencies = torch.bincount(drawn, minlength=8) / rows
    assert ((frequencies - expected).abs() <= 4 * (expected * (1 - expected) / rows).sqrt()).all()


def test_the_same_seed_gives_the_same_text():
    model, start = Bigrams(some_log_probs(20, 20)), torch.zeros(3, 1, dtype=torch.long)
    first, again, other = (complete(model, start, 30, Sampler(), seed=seed) for seed in (1, 1, 2))
    assert first.shape == (3, 30)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_generation_follows_the_model():
    """A model in which token n is always followed by n + 1."""
    certain = torch.full((10, 10), -math.inf)
    certain[torch.arange(10), torch.arange(1, 11) % 10] = 0.0
    assert complete(Bigrams(certain), torch.tensor([[3], [7]]), 4, Sampler()).tolist() == [[4, 5, 6, 7], [8, 9, 0, 1]]


def test_rows_stop_one_by_one():
    certain = torch.full((10, 10), -math.inf)
    certain[torch.arange(10), torch.arange(1, 11) % 10] = 0.0
    written = complete(Bigrams(certain), torch.tensor([[3], [6]]), 50, Sampler(), stop=9)
    assert written.tolist() == [[4, 5, 6, 7, 8, 9], [7, 8, 9, 9, 9, 9]]


def test_generation_streams():
    model = Bigrams(some_log_probs(20, 20))
    tokens = generate(model, torch.zeros(1, 1, dtype=torch.long), 10**9, Sampler())
    assert next(tokens).shape == (1,)  # long before the billionth


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": 0}, "k must be at least 1, not 0"),
        ({"top_p": 1.5}, "at most 1, not 1.5"),
        ({"top_p": 0}, "above 0"),
    ],
)
def test_impossible_settings(settings, complaint):
    with pytest.raises(MinigptError, match=complaint):
        Sampler(**settings)
