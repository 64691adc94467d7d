"""How a model speaks: rules that transform log-probabilities, and generation, written once for every `LanguageModel`.

Chapter 8 builds it. Each rule takes log-probabilities (..., V) and gives log-probabilities, so that rules compose;
tokens that are ruled out get minus infinity. Ties are treated as Hugging Face's `transformers` treats them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from minigpt.errors import MinigptError
from minigpt.language_model import LanguageModel


def temperature(log_probs: Tensor, t: float) -> Tensor:
    """Divide by the temperature and normalise again: below 1 sharper, above 1 flatter, 0 only the most probable.

    Raises:
        MinigptError: the temperature is negative or no number.
    """
    if not 0 <= t < math.inf:
        raise MinigptError(
            f"the temperature is {t}, but must be 0 or more: 0 takes the most probable, 1 changes nothing"
        )
    if t == 0:
        best = log_probs.argmax(dim=-1, keepdim=True)
        return torch.full_like(log_probs, -math.inf).scatter(-1, best, 0.0)
    return (log_probs / t).log_softmax(dim=-1)


def top_k(log_probs: Tensor, k: int) -> Tensor:
    """Keep the k most probable tokens, and all that tie with the last of them (Fan et al. 2018, section 5.4).

    Raises:
        MinigptError: k is less than 1.
    """
    if k < 1:
        raise MinigptError(f"top-k keeps the k most probable tokens, so k must be at least 1, not {k}")
    kth = log_probs.topk(min(k, log_probs.shape[-1]), dim=-1).values[..., -1:]
    return log_probs.masked_fill(log_probs < kth, -math.inf).log_softmax(dim=-1)


def top_p(log_probs: Tensor, p: float) -> Tensor:
    """Keep the fewest tokens whose probabilities reach p (nucleus sampling; Holtzman et al. 2020, section 3.1).

    Raises:
        MinigptError: p is not above 0 and at most 1.
    """
    if not 0 < p <= 1:
        raise MinigptError(f"top-p keeps tokens of total probability p, so p must be above 0 and at most 1, not {p}")
    ascending, order = log_probs.sort(dim=-1)
    surplus = ascending.exp().cumsum(dim=-1) <= 1 - p
    surplus[..., -1] = False  # the most probable one always stays
    return log_probs.masked_fill(surplus.scatter(-1, order, surplus), -math.inf).log_softmax(dim=-1)


@dataclass(frozen=True)
class Sampler:
    """The rules by which the next token is drawn, applied in this order.

    Attributes:
        temperature: 0 is greedy.
        top_k: None for no limit.
        top_p: None for no limit.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        self.rule(torch.zeros(1, 2))  # complain about impossible settings at once

    def rule(self, log_probs: Tensor) -> Tensor:
        """Apply the rules to log-probabilities (..., V)."""
        log_probs = temperature(log_probs, self.temperature)
        if self.top_k is not None:
            log_probs = top_k(log_probs, self.top_k)
        if self.top_p is not None:
            log_probs = top_p(log_probs, self.top_p)
        return log_probs

    def __call__(self, log_probs: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one token (B,) for each row of (B, V), with a generator on the CPU."""
        probabilities = self.rule(log_probs).exp().cpu()
        return torch.multinomial(probabilities, 1, generator=generator)[:, 0].to(log_probs.device)


def generate(
    model: LanguageModel, ids: Tensor, n_tokens: int, sampler: Sampler, *, seed: int = 0, stop: int | None = None
) -> Iterator[Tensor]:
    """Let a model go on, token by token.

    Args:
        model: any language model.
        ids: prompts (B, T), all of one length.
        n_tokens: how many tokens to write at most.
        sampler: how to draw them.
        seed: the same seed gives the same tokens on the same machine.
        stop: a row that has drawn this token repeats it; when all rows have, generation ends.

    Yields:
        The next token of each row (B,).
    """
    generator = torch.Generator().manual_seed(seed)
    stopped = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    log_probs, state = model.advance(ids)
    for count in range(n_tokens):
        token = sampler(log_probs, generator)
        if stop is not None:
            token = token.masked_fill(stopped, stop)
            stopped |= token == stop
        yield token
        if stopped.all() or count == n_tokens - 1:
            return
        log_probs, state = model.advance(token[:, None], state)


def complete(
    model: LanguageModel, ids: Tensor, n_tokens: int, sampler: Sampler, *, seed: int = 0, stop: int | None = None
) -> Tensor:
    """What `generate` writes, as one tensor (B, at most n_tokens)."""
    return torch.stack(list(generate(model, ids, n_tokens, sampler, seed=seed, stop=stop)), dim=1)
