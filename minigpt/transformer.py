"""The GPT: a decoder-only transformer, from the residual stream up.

Chapter 10 builds it. One block covers many recipes by plain settings of `GPTConfig`:

- `GPT2`, as Radford et al. (2019) published it: learned positions, LayerNorm, GELU, biases, tied embeddings;
- its relatives, from GPT-1 to GPT-J, which chapter 13 compares and `minigpt.family` loads;
- the defaults, a modern one: rotary positions (Su et al. 2021), RMSNorm without gains (Zhang & Sennrich 2019),
  normalised queries and keys (Henry et al. 2020), squared ReLU (So et al. 2021), no biases, projections into the
  residual stream that start at zero, and a key shift: half of each key comes from the token before, and queries start
  equal to keys. So a head finds from the first step on what followed the last time (an induction head; Olsson et al.
  2022), which a small model otherwise takes most of its training to discover. The shift is Jordan's (modded-nanogpt,
  "partial key offset").

Shapes: B batch, T time, V vocabulary, D width, H heads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minigpt.errors import MinigptError
from minigpt.language_model import LanguageModel

SHARPNESS = 10.0  # the largest attention logit of normalised queries and keys: enough to pick one among hundreds


@dataclass(frozen=True)
class GPTConfig:
    """Settings of a GPT.

    Attributes:
        vocabulary_size: V.
        context_length: the longest T.
        n_layers: blocks.
        n_heads: H, attention heads a block.
        width: D, of the residual stream.
        mlp_width: of the hidden layer of the MLP; 4 D if None.
        positions: "learned" or "sinusoidal" vectors added to the tokens, or "rotary" turns of queries and keys.
        rotary_width: how much of each head those turn; if None all, or half with `key_shift`.
        norm: "layer" with gains (and biases), or "rms" without parameters.
        norm_first: normalise what a part reads; if false, the stream after each part (GPT-1), and not before the head.
        parallel: attention and MLP read the same, at the same time (GPT-J).
        activation: "gelu", "gelu_tanh" (its approximation, as in GPT-2), "relu" or "squared_relu".
        windows: of each layer, how many tokens a token sees, itself included; 0 for all of them. If empty, all see all.
        attention_scale: what products of queries and keys are multiplied by; if None, what keeps their variance.
        qk_norm: normalise queries and keys.
        biases: in linear layers and norms.
        attention_biases: those of "all" its layers, of the "projection" alone, or "none"; if None, as `biases`.
        head_bias: a bias for each token of the vocabulary.
        tied_embeddings: the head is the embedding, transposed.
        zero_projections: what is added to the residual stream starts at zero, and so does an untied head.
        key_shift: take half of each key from the token before; the other half is what rotary positions turn.
        norm_epsilon: inside the norm.
    """

    vocabulary_size: int
    context_length: int
    n_layers: int
    n_heads: int
    width: int
    mlp_width: int | None = None
    positions: str = "rotary"
    rotary_width: int | None = None
    norm: str = "rms"
    norm_first: bool = True
    parallel: bool = False
    activation: str = "squared_relu"
    windows: Sequence[int] = ()
    attention_scale: float | None = None
    qk_norm: bool = True
    biases: bool = False
    attention_biases: str | None = None
    head_bias: bool = False
    tied_embeddings: bool = False
    zero_projections: bool = True
    key_shift: bool = True
    norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("vocabulary_size", "context_length", "n_layers", "n_heads", "width"):
            if getattr(self, name) < 1:
                raise MinigptError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if self.width % self.n_heads:
            raise MinigptError(
                f"width {self.width} cannot be shared among {self.n_heads} heads: choose a multiple of it"
            )
        if self.positions == "rotary" and (self.turned_width % 2 or self.turned_width > self.head_width):
            raise MinigptError(
                f"rotary positions turn pairs, but they have {self.turned_width} of a head's {self.head_width}"
                f" coordinates: choose a width of {4 if self.key_shift else 2} a head, or a multiple of it"
            )
        if self.windows and (len(self.windows) != self.n_layers or min(self.windows) < 0):
            raise MinigptError(f"windows are {self.windows}, but {self.n_layers} layers need a number each, 0 or above")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                names = ", ".join(filter(None, known))
                raise MinigptError(f"there is no {name} {getattr(self, name)!r}; choose one of: {names}")

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.width // self.n_heads

    @property
    def turned_width(self) -> int:
        """How much of a head rotary positions turn."""
        return self.rotary_width or (self.head_width // 2 if self.key_shift else self.head_width)


def squared_relu(x: Tensor) -> Tensor:
    """The square of what is above zero (So et al. 2021)."""
    return F.relu(x).square()


ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "squared_relu": squared_relu,
}

CHOICES = {
    "positions": ("learned", "rotary", "sinusoidal"),
    "norm": ("layer", "rms"),
    "activation": tuple(ACTIVATIONS),
    "attention_biases": (None, "all", "projection", "none"),
}

GPT2 = {
    "positions": "learned",
    "norm": "layer",
    "activation": "gelu_tanh",
    "qk_norm": False,
    "biases": True,
    "tied_embeddings": True,
    "zero_projections": False,
    "key_shift": False,
}
"""The settings of GPT-2, for `GPTConfig(..., **GPT2)`."""


def make_norm(config: GPTConfig) -> nn.Module:
    """The norm before each part of a block, and before the head."""
    if config.norm == "layer":
        return nn.LayerNorm(config.width, eps=config.norm_epsilon, bias=config.biases)
    return nn.RMSNorm(config.width, eps=config.norm_epsilon, elementwise_affine=False)


def angles(context_length: int, width: int) -> Tensor:
    """Angles (T, width / 2): position times frequency (Vaswani et al. 2017, 3.5; Su et al. 2021, equation 15)."""
    frequencies = 10_000.0 ** -(torch.arange(0, width, 2) / width)
    return torch.arange(context_length)[:, None] * frequencies


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turn each pair (i, i + n) of the first 2 n dimensions by its angle (Su et al. 2021, equation 34).

    Args:
        x: (..., T, head width).
        cosines, sines: of the angles (T, n).
    """
    n = cosines.shape[-1]
    first, second, rest = x.split([n, n, x.shape[-1] - 2 * n], dim=-1)
    return torch.cat([first * cosines - second * sines, first * sines + second * cosines, rest], dim=-1)


def shift(keys: Tensor) -> Tensor:
    """Take the second half of each key from the token before: (B, H, T, head width)."""
    stay, move = keys.chunk(2, dim=-1)
    return torch.cat([stay, F.pad(move[:, :, :-1], (0, 0, 1, 0))], dim=-1)


def band(queries: int, keys: int, window: int, device: torch.device) -> Tensor:
    """Which keys (columns) the last queries (rows) may see: their own, and those less than a window before it."""
    distance = torch.arange(keys - queries, keys, device=device)[:, None] - torch.arange(keys, device=device)
    return (distance >= 0) & (distance < window)


@dataclass
class LayerCache:
    """The keys and values (B, H, T, head width) that one layer has computed so far."""

    keys: Tensor | None = None
    values: Tensor | None = None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append those of new tokens, and give all."""
        if self.keys is not None:
            keys, values = torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values


@dataclass
class Cache:
    """What a GPT remembers of the tokens (B, T) that it has read."""

    ids: Tensor
    layers: list[LayerCache] = field(default_factory=list)


class CausalSelfAttention(nn.Module):
    """Each position gathers from itself and those before it (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, config: GPTConfig, window: int):
        super().__init__()
        self.config, self.window = config, window
        biases = config.attention_biases or ("all" if config.biases else "none")
        self.queries_keys_values = nn.Linear(config.width, 3 * config.width, bias=biases == "all")
        self.projection = nn.Linear(config.width, config.width, bias=biases != "none")

    @property
    def scale(self) -> float:
        """What the products of queries and keys are multiplied by."""
        if self.config.attention_scale is not None:
            return self.config.attention_scale
        return SHARPNESS / self.config.head_width if self.config.qk_norm else self.config.head_width**-0.5

    def heads(
        self, x: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: LayerCache | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, D / H) of the tokens x (B, T, D), and keys and values of all read so far."""
        (B, T, _), H, width = x.shape, self.config.n_heads, self.config.head_width
        heads = self.queries_keys_values(x).view(B, T, 3 * H, width).transpose(1, 2)  # (B, 3 H, T, D / H)
        queries, keys, values = heads.split(H, dim=1)
        if self.config.qk_norm:
            queries, keys = F.rms_norm(queries, (width,)), F.rms_norm(keys, (width,))
        if rotation is not None:
            queries, keys = rotate(queries, *rotation), rotate(keys, *rotation)
        if cache is not None:
            keys, values = cache.extend(keys, values)
        if self.config.key_shift:
            keys = shift(keys)
        return queries, keys, values

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: LayerCache | None) -> Tensor:
        # New tokens see each other causally. With a cache they come one at a time, and each sees everything.
        causal, mask = x.shape[1] > 1, None
        queries, keys, values = self.heads(x, rotation, cache)
        if self.window:
            causal, mask = False, band(queries.shape[2], keys.shape[2], self.window, x.device)
        found = F.scaled_dot_product_attention(queries, keys, values, mask, is_causal=causal, scale=self.scale)
        return self.projection(found.transpose(1, 2).reshape(x.shape))


class MLP(nn.Module):
    """Two linear layers with an activation between them, at each position alone."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        hidden = config.mlp_width or 4 * config.width
        self.activation = ACTIVATIONS[config.activation]
        self.expansion = nn.Linear(config.width, hidden, bias=config.biases)
        self.projection = nn.Linear(hidden, config.width, bias=config.biases)

    def forward(self, x: Tensor) -> Tensor:
        return self.projection(self.activation(self.expansion(x)))


class Block(nn.Module):
    """Attention, then an MLP; each reads the normalised residual stream and adds to it."""

    def __init__(self, config: GPTConfig, window: int = 0):
        super().__init__()
        self.norm_first = config.norm_first
        self.attention_norm = make_norm(config)
        self.attention = CausalSelfAttention(config, window)
        self.mlp_norm = None if config.parallel else make_norm(config)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: LayerCache | None) -> Tensor:
        if self.mlp_norm is None:
            normed = self.attention_norm(x)
            return x + self.attention(normed, rotation, cache) + self.mlp(normed)
        if not self.norm_first:
            x = self.attention_norm(x + self.attention(x, rotation, cache))
            return self.mlp_norm(x + self.mlp(x))
        x = x + self.attention(self.attention_norm(x), rotation, cache)
        return x + self.mlp(self.mlp_norm(x))


class GPT(nn.Module, LanguageModel):
    """A decoder-only transformer language model.

    Args:
        config: its settings.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.vocabulary_size, self.context_length = config.vocabulary_size, config.context_length
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        if config.positions == "learned":
            self.position_embedding = nn.Embedding(config.context_length, config.width)
        else:
            turns = config.turned_width if config.positions == "rotary" else config.width
            self.register_buffer("cosines", angles(config.context_length, turns).cos(), persistent=False)
            self.register_buffer("sines", angles(config.context_length, turns).sin(), persistent=False)
        windows = config.windows or [0] * config.n_layers
        self.blocks = nn.ModuleList(Block(config, window) for window in windows)
        self.final_norm = make_norm(config) if config.norm_first else nn.Identity()
        self.head = nn.Linear(config.width, config.vocabulary_size, bias=config.head_bias)
        if config.tied_embeddings:
            self.head.weight = self.embedding.weight
        self.initialise()

    def initialise(self) -> None:
        """Draw the first weights: GPT-2's rule, or the modern one, which starts as the identity."""
        modern = self.config.zero_projections
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif weight.ndim == 2:
                std = 1 / math.sqrt(weight.shape[1]) if modern and "blocks" in name else 0.02
                if name.endswith("projection.weight"):  # Radford et al. 2019, section 2.3
                    std = 0.0 if modern else std / math.sqrt(2 * self.config.n_layers)
                nn.init.normal_(weight, std=std)
        if modern:
            nn.init.normal_(self.embedding.weight, std=0.02 if self.config.tied_embeddings else 1.0)
            if not self.config.tied_embeddings:
                nn.init.zeros_(self.head.weight)
        if self.config.key_shift:
            for block in self.blocks:
                queries, keys, _ = block.attention.queries_keys_values.weight.detach().chunk(3)
                keys.copy_(queries)

    def forward(self, ids: Tensor, targets: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """Logits, or the mean loss if there are targets.

        Args:
            ids: token ids (B, T).
            targets: the next token of each (B, T).
            cache: what was read before; `ids` are then the tokens that follow.

        Returns:
            logits (B, T, V), or the mean cross-entropy in nats.
        """
        T, before = ids.shape[1], cache.ids.shape[1] if cache else 0
        x = self.embed(ids, before)
        rotation = None
        if self.config.positions == "rotary":
            rotation = self.cosines[before : before + T], self.sines[before : before + T]
        for layer, block in enumerate(self.blocks):
            x = block(x, rotation, cache.layers[layer] if cache else None)
        logits = self.head(self.final_norm(x))
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def embed(self, ids: Tensor, before: int) -> Tensor:
        """What enters the residual stream (B, T, D) for ids that come after `before` others."""
        x = self.embedding(ids)
        places = slice(before, before + ids.shape[1])
        if self.config.positions == "learned":
            x = x + self.position_embedding.weight[places]
        if self.config.positions == "sinusoidal":  # Vaswani et al. 2017, sections 3.4 and 3.5
            x = x * math.sqrt(x.shape[-1]) + torch.cat([self.sines[places], self.cosines[places]], dim=-1)
        return F.rms_norm(x, (x.shape[-1],)) if self.config.norm == "rms" else x

    @torch.inference_mode()
    def log_probs(self, ids: Tensor) -> Tensor:
        """Next-token log-probabilities (B, T, V) after every prefix of ids (B, T).

        Raises:
            MinigptError: the context is too long, or an id is outside the vocabulary.
        """
        self.check(ids)
        return self(ids).float().log_softmax(dim=-1)

    @torch.inference_mode()
    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read some more tokens, with the keys and values of those before at hand.

        When the context is full, the older half of it is forgotten and the newer half is read again. Several tokens at
        once are read together with all that came before.

        Raises:
            MinigptError: the first tokens are more than the context holds, or an id is outside the vocabulary.
        """
        if state is not None and (ids.shape[1] > 1 or state.ids.shape[1] == self.context_length):
            ids, new, state = torch.cat([state.ids, ids], dim=1), ids.shape[1], None
            if ids.shape[1] > self.context_length:
                ids = ids[:, -max(new, self.context_length // 2) :]
        self.check(ids)
        if state is None:
            state = Cache(ids[:, :0], [LayerCache() for _ in self.blocks])
        logits = self(ids, cache=state)[:, -1]
        state.ids = torch.cat([state.ids, ids], dim=1)
        return logits.float().log_softmax(dim=-1), state

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

    @property
    def n_parameters(self) -> int:
        """Parameters; a tied head counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations a token of training: 6 N + 12 L D T (Chowdhery et al. 2022, appendix B).

        N counts the matrices that multiply: all parameters but look-up tables.
        """
        looked_up = 0 if self.config.tied_embeddings else self.embedding.weight.numel()
        if self.config.positions == "learned":
            looked_up += self.position_embedding.weight.numel()
        attention = 12 * self.config.n_layers * self.config.width * self.context_length
        return 6 * (self.n_parameters - looked_up) + attention
