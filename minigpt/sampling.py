"""How a model speaks: rules that transform log-probabilities, and generation, written once for every `LanguageModel`.

Chapter 8 builds it. Each rule takes log-probabilities (..., V) and gives log-probabilities, so that rules compose;
tokens that are ruled out get minus infinity. Ties are treated as Hugging Face's `transformers` treats them. A `Sampler`
draws by these rules; `beam_search` draws nothing, but looks for what is most probable as a whole.

Shapes: B batch, T time, V vocabulary, K hypotheses in a beam.
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


def min_p(log_probs: Tensor, p: float) -> Tensor:
    """Keep the tokens that are at least p times as probable as the most probable one (Nguyen et al. 2024, section 3).

    Raises:
        MinigptError: p is not from 0 to 1.
    """
    if not 0 <= p <= 1:
        raise MinigptError(
            f"min-p keeps tokens at least p times as probable as the best, so p must be from 0 to 1, not {p}"
        )
    probabilities = log_probs.exp()
    least = p * probabilities.amax(dim=-1, keepdim=True)
    return log_probs.masked_fill(probabilities < least, -math.inf).log_softmax(dim=-1)


@dataclass(frozen=True)
class Sampler:
    """The rules by which the next token is drawn, applied in this order.

    Attributes:
        temperature: 0 is greedy.
        top_k: None for no limit.
        top_p: None for no limit.
        min_p: None for no limit.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        self.rule(torch.zeros(1, 2))  # complain about impossible settings at once

    def rule(self, log_probs: Tensor) -> Tensor:
        """Apply the rules to log-probabilities (..., V)."""
        log_probs = temperature(log_probs, self.temperature)
        if self.top_k is not None:
            log_probs = top_k(log_probs, self.top_k)
        if self.top_p is not None:
            log_probs = top_p(log_probs, self.top_p)
        if self.min_p is not None:
            log_probs = min_p(log_probs, self.min_p)
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


def beam_search(
    model: LanguageModel,
    ids: Tensor,
    n_tokens: int,
    width: int,
    *,
    length_penalty: float = 0.0,
    stop: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Look for the most probable continuations, several at a time (Sutskever et al. 2014, section 3.2).

    A hypothesis that has ended keeps its place while it is among the best. Each step reads every living one again, as
    much of it as the context holds: slower than carrying states along, but the same for every model.

    Args:
        model: any language model.
        ids: prompts (B, T), all of one length.
        n_tokens: how many tokens to write at most.
        width: K, how many hypotheses stay in each row; 1 is greedy.
        length_penalty: hypotheses are ranked by log-probability / length ** length_penalty (Wu et al. 2016, section 7):
            0 prefers short ones, 1 compares the means.
        stop: a hypothesis that has written this token has ended, and repeats it.

    Returns:
        the tokens (B, K, at most n_tokens), best first, and the log-probability of each continuation (B, K) in float64,
        not divided by anything; minus infinity where there were fewer than K possible ones.

    Raises:
        MinigptError: the width is less than 1.
    """
    if width < 1:
        raise MinigptError(f"the beam's width is {width}, but it must hold at least 1 hypothesis")
    (B, T), V = ids.shape, model.vocabulary_size
    texts = ids[:, None].expand(B, width, T)
    scores = torch.full((B, width), -math.inf, dtype=torch.float64, device=ids.device)
    scores[:, 0] = 0.0  # at first there is one hypothesis, the prompt
    lengths, ended = torch.zeros_like(scores), torch.zeros_like(scores, dtype=torch.bool)
    for _ in range(n_tokens):
        living = ~ended & scores.isfinite()
        if not living.any():
            break
        log_probs = torch.full((B, width, V), -math.inf, dtype=torch.float64, device=ids.device)
        if stop is not None:
            log_probs[ended, stop] = 0.0
        seen = texts[living] if model.context_length is None else texts[living][:, -model.context_length :]
        log_probs[living] = model.advance(seen)[0].double()
        candidates, lengths = scores[..., None] + log_probs, lengths + living
        ranks = candidates / lengths.clamp(min=1)[..., None] ** length_penalty
        best = ranks.flatten(1).topk(width).indices  # (B, K) among K V candidates
        parents, tokens = best // V, best % V
        texts = torch.cat([texts.gather(1, parents[..., None].expand_as(texts)), tokens[..., None]], dim=2)
        scores, lengths = candidates.flatten(1).gather(1, best), lengths.gather(1, parents)
        if stop is not None:
            ended = tokens == stop
    return texts[:, :, T:], scores
