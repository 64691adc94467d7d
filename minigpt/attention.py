"""Attention: a soft look-up in what was read, from Bahdanau's translator to causal heads with a key-value cache.

Chapter 3 builds it. `Translator` is the encoder-decoder for which attention was invented (Bahdanau, Cho & Bengio 2015);
`CausalMultiHeadAttention` is what a GPT keeps of it (Vaswani et al. 2017), with PyTorch's names and shapes, so that
`load_state_dict` takes the weights of `torch.nn.MultiheadAttention` as they are; `AttentionLanguageModel` is the
smallest language model that can be made of it.

Shapes: B batch, T time, S time of what is looked at, V vocabulary, D width, H heads.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minigpt.errors import MinigptError
from minigpt.language_model import LanguageModel
from minigpt.recurrent import GRU


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention (Vaswani et al. 2017, equation 1).

    Args:
        queries: what is looked for (..., T, d).
        keys: what it is compared with (..., S, d).
        values: what is found there (..., S, D).
        mask: True where a query may look at a key (..., T, S); None lets all see all.

    Returns:
        for each query the weighted mean of the values (..., T, D), and the weights (..., T, S).

    Raises:
        MinigptError: queries and keys differ in width, or the mask leaves a query nothing to look at.
    """
    if queries.shape[-1] != keys.shape[-1]:
        raise MinigptError(
            f"queries are {queries.shape[-1]} wide and keys {keys.shape[-1]}: a dot product needs equal widths"
        )
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])  # (..., T, S)
    if mask is not None:
        if not mask.any(dim=-1).all():
            raise MinigptError("the mask hides every key from some query: leave each of them at least one")
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ values, weights


def causal_mask(n_new: int, n_all: int) -> Tensor:
    """Which of all positions each of the newest ones may look at: itself and those before it.

    Args:
        n_new: T, how many of the last positions look.
        n_all: S, how many positions there are.

    Returns:
        True where row t may look at column s (T, S).

    >>> causal_mask(2, 3).int().tolist()
    [[1, 1, 0], [1, 1, 1]]
    """
    return torch.ones(n_new, n_all, dtype=torch.bool).tril(diagonal=n_all - n_new)


class AdditiveAttention(nn.Module):
    """Attention whose scores come from a little network (Bahdanau, Cho & Bengio 2015, section 3.1 and appendix A.1.2).

        score = v . tanh(W query + U value)

    Args:
        query_width: of a query.
        value_width: of a value.
        width: D, of the hidden layer.
    """

    def __init__(self, query_width: int, value_width: int, width: int):
        super().__init__()
        self.of_query = nn.Linear(query_width, width, bias=False)
        self.of_value = nn.Linear(value_width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Look once.

        Args:
            query: (B, query width).
            keys: `of_value(values)` (B, S, D), which the caller computes once for all queries.
            values: (B, S, value width).
            mask: True where there is something to look at (B, S).

        Returns:
            the weighted mean of the values (B, value width), and the weights (B, S).
        """
        scores = self.score(torch.tanh(self.of_query(query)[:, None] + keys))[..., 0]  # (B, S)
        weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)
        return (weights[:, None] @ values)[:, 0], weights


END = 0
"""The token that begins and ends a translation, and fills up what is shorter than the longest of its batch."""


def reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each row within its own length; twice gives the first again.

    Args:
        x: (B, S, D).
        lengths: (B,).
    """
    S = x.shape[1]
    places = (lengths[:, None] - 1 - torch.arange(S, device=x.device)) % S  # (B, S); what fills up stays behind
    return x.gather(1, places[..., None].expand_as(x))


@dataclass(frozen=True)
class Source:
    """What an encoder made of a batch of sentences.

    Attributes:
        keys: (B, S, D).
        values: (B, S, 2 D).
        mask: where there are words (B, S).
        state: the decoder's first state (1, B, D).
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    state: Tensor


class Translator(nn.Module):
    """An encoder-decoder with attention (Bahdanau, Cho & Bengio 2015, section 3).

    Two GRUs read the source, one from each end, and what they hold at each word is that word's value. A third GRU
    writes: before each token it looks at the source, and takes in what it found together with the token before.

    Args:
        n_source: source vocabulary.
        n_target: V, target vocabulary.
        width: D, of embeddings and states.
    """

    def __init__(self, n_source: int, n_target: int, width: int):
        super().__init__()
        self.source_embedding = nn.Embedding(n_source, width)
        self.rightward, self.leftward = GRU(width, width), GRU(width, width)
        self.first_state = nn.Linear(width, width)
        self.attention = AdditiveAttention(width, 2 * width, width)
        self.target_embedding = nn.Embedding(n_target, width)
        self.decoder = GRU(3 * width, width)
        self.head = nn.Linear(3 * width, n_target)

    def encode(self, source: Tensor) -> Source:
        """Read source tokens (B, S), filled up with END.

        Raises:
            MinigptError: a sentence is empty.
        """
        mask = source != END
        lengths = mask.sum(dim=1)
        if not lengths.all():
            raise MinigptError("a source sentence is empty: give each at least one token")
        x = self.source_embedding(source)  # (B, S, D)
        rightward, _ = self.rightward(x)
        leftward = reverse(self.leftward(reverse(x, lengths))[0], lengths)
        values = torch.cat([rightward, leftward], dim=-1)  # (B, S, 2 D)
        state = torch.tanh(self.first_state(leftward[:, 0]))[None]  # (1, B, D)
        return Source(self.attention.of_value(values), values, mask, state)

    def step(self, tokens: Tensor, state: Tensor, source: Source) -> tuple[Tensor, Tensor, Tensor]:
        """Look at the source and write one token.

        Args:
            tokens: the last token of each row (B,).
            state: (1, B, D).
            source: what `encode` returned.

        Returns:
            logits of the next token (B, V), the new state (1, B, D), and the attention weights (B, S).
        """
        found, weights = self.attention(state[0], source.keys, source.values, source.mask)  # (B, 2 D), (B, S)
        x = torch.cat([self.target_embedding(tokens), found], dim=-1)  # (B, 3 D)
        written, (state,) = self.decoder(x[:, None], (state,))
        return self.head(torch.cat([written[:, 0], found], dim=-1)), state, weights

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """The mean cross-entropy, in nats, of translations when each token is told the true ones before it.

        Args:
            source: (B, S), filled up with END.
            target: (B, T), filled up with END, of which each row has at least one.
        """
        read = self.encode(source)
        tokens, state, logits = torch.full_like(target[:, 0], END), read.state, []
        for truth in target.unbind(dim=1):
            one, state, _ = self.step(tokens, state, read)
            logits.append(one)
            tokens = truth
        return F.cross_entropy(torch.stack(logits, dim=1).flatten(0, 1), target.flatten())

    @torch.inference_mode()
    def translate(self, source: Tensor, most_tokens: int) -> tuple[Tensor, Tensor]:
        """Write the most probable token, time after time.

        Args:
            source: (B, S), filled up with END.
            most_tokens: T, how many to write.

        Returns:
            tokens (B, T), with END after the end of each row, and attention weights (B, T, S).
        """
        read = self.encode(source)
        tokens, state, written, looks = torch.full_like(source[:, 0], END), read.state, [], []
        ended = torch.zeros_like(tokens, dtype=torch.bool)
        for _ in range(most_tokens):
            logits, state, weights = self.step(tokens, state, read)
            tokens = logits.argmax(dim=-1).masked_fill(ended, END)
            ended = ended | (tokens == END)
            written.append(tokens)
            looks.append(weights)
        return torch.stack(written, dim=1), torch.stack(looks, dim=1)


Cache = tuple[Tensor, Tensor]
"""The keys and the values (B, H, S, D / H) of all that was read."""


class CausalMultiHeadAttention(nn.Module):
    """Several looks at once, none of them into the future (Vaswani et al. 2017, section 3.2.2).

    Equal to `torch.nn.MultiheadAttention` with a causal mask.

    Args:
        width: D.
        n_heads: H.

    Raises:
        MinigptError: a size is less than 1, or the heads cannot share the width.
    """

    mask = staticmethod(causal_mask)

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        if width < 1 or n_heads < 1 or width % n_heads:
            raise MinigptError(f"{n_heads} heads cannot share a width of {width}: choose a multiple of the heads")
        self.n_heads = n_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache, Tensor]:
        """Let each position look at itself and at those before it.

        Args:
            x: (B, T, D).
            cache: what the last call returned, if x follows what was read then.

        Returns:
            what each position found (B, T, D), the cache for the next call, and the weights (B, H, T, S).
        """
        B, T, D = x.shape
        projected = F.linear(x, self.in_proj_weight, self.in_proj_bias)  # (B, T, 3 D)
        heads = projected.view(B, T, 3 * self.n_heads, -1).transpose(1, 2)  # (B, 3 H, T, D / H)
        queries, keys, values = heads.chunk(3, dim=1)
        if cache is not None:
            keys, values = torch.cat([cache[0], keys], dim=2), torch.cat([cache[1], values], dim=2)
        found, weights = attend(queries, keys, values, self.mask(T, keys.shape[2]).to(x.device))
        return self.out_proj(found.transpose(1, 2).reshape(B, T, D)), (keys, values), weights


def sinusoids(n_positions: int, width: int) -> Tensor:
    """Positions as waves, so that "so many steps back" is one and the same rotation everywhere (Vaswani et al. 2017,
    section 3.5; with all sines before all cosines).

    Args:
        n_positions: T.
        width: D, an even number.

    Returns:
        (T, D), between -1 and 1.
    """
    frequencies = 10_000.0 ** -(torch.arange(0, width, 2) / width)
    angles = torch.arange(n_positions)[:, None] * frequencies  # (T, D / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@dataclass(frozen=True)
class Memory:
    """What an `AttentionLanguageModel` keeps of the tokens (B, S) that it has read."""

    ids: Tensor
    cache: Cache


class AttentionLanguageModel(nn.Module, LanguageModel):
    """Token embeddings plus sinusoids, one layer of causal attention, and a head with one hidden layer.

    Args:
        vocabulary_size: V.
        context_length: how many tokens it can look at.
        width: D, an even number.
        n_heads: H.

    Raises:
        MinigptError: a size is less than 1, the width is odd, or the heads cannot share it.
    """

    def __init__(self, vocabulary_size: int, context_length: int, width: int, n_heads: int):
        super().__init__()
        for name, value in {"vocabulary_size": vocabulary_size, "context_length": context_length}.items():
            if value < 1:
                raise MinigptError(f"{name} is {value}, but must be at least 1")
        if width % 2:
            raise MinigptError(f"width is {width}, but sines and cosines come in pairs: choose an even number")
        self.vocabulary_size, self.context_length = vocabulary_size, context_length
        self.attention = CausalMultiHeadAttention(width, n_heads)
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.register_buffer("positions", sinusoids(context_length, width), persistent=False)
        self.hidden = nn.Linear(width, 4 * width)
        self.head = nn.Linear(4 * width, vocabulary_size)

    def read(self, ids: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache, Tensor]:
        """Logits (B, T, V) after each of the ids (B, T), the cache, and the attention weights (B, H, T, S)."""
        before = cache[0].shape[2] if cache else 0
        x = self.embedding(ids) + self.positions[before : before + ids.shape[1]]  # (B, T, D)
        found, cache, weights = self.attention(x, cache)
        return self.head(F.relu(self.hidden(x + found))), cache, weights

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> Tensor:
        """Logits, or the mean loss if there are targets.

        Args:
            ids: token ids (B, T).
            targets: the next token of each (B, T).

        Returns:
            logits (B, T, V), or the mean cross-entropy in nats.
        """
        logits, _, _ = self.read(ids)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    @torch.inference_mode()
    def log_probs(self, ids: Tensor) -> Tensor:
        """Next-token log-probabilities (B, T, V) after every prefix of ids (B, T).

        Raises:
            MinigptError: there are too many ids, or one is outside the vocabulary.
        """
        self.check(ids)
        return self(ids).float().log_softmax(dim=-1)

    @torch.inference_mode()
    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read some more tokens, with the keys and values of those before at hand.

        When they no longer fit into the context, the older half of it is forgotten and the newer half read again.

        Raises:
            MinigptError: the new tokens alone are more than the context holds, or an id is outside the vocabulary.
        """
        seen = ids if state is None else torch.cat([state.ids, ids], dim=1)
        if state is not None and seen.shape[1] > self.context_length:
            seen = ids = seen[:, -max(ids.shape[1], self.context_length // 2) :]
            state = None
        self.check(ids)
        logits, cache, _ = self.read(ids, state.cache if state else None)
        return logits[:, -1].float().log_softmax(dim=-1), Memory(seen, cache)

    def check(self, ids: Tensor) -> None:
        """Raise a MinigptError if the model cannot read these ids."""
        if ids.shape[1] > self.context_length:
            raise MinigptError(
                f"{ids.shape[1]} tokens do not fit into this model's context of {self.context_length}: shorten them"
            )
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.vocabulary_size:
            raise MinigptError(
                f"token ids run from {int(ids.min())} to {int(ids.max())}, but this model's vocabulary ends at"
                f" {self.vocabulary_size - 1}: use the tokeniser that it was trained with"
            )
