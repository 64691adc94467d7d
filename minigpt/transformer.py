"""The GPT: a decoder-only transformer, from the residual stream up.

Chapter 10 builds it. One block covers two recipes by plain settings of `GPTConfig`:

- `GPT2`, as Radford et al. (2019) published it: learned positions, LayerNorm, GELU, biases, tied embeddings;
- the defaults, a modern one: rotary positions (Su et al. 2021), RMSNorm without gains (Zhang & Sennrich 2019),
  normalised queries and keys (Henry et al. 2020), squared ReLU (So et al. 2021), no biases, projections into the
  residual stream that start at zero, and a key shift: half of each key comes from the token before, and queries start
  equal to keys. So a head finds from the first step on what followed the last time (an induction head; Olsson et al.
  2022), which a small model otherwise takes most of its training to discover. The shift is Jordan's (modded-nanogpt,
  "partial key offset").

Shapes: B batch, T time, V vocabulary, D width, H heads.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from minigpt.errors import MinigptError
from minigpt.files import read_json
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
        positions: "learned" vectors added to the tokens, or "rotary" turns of queries and keys.
        norm: "layer" with gains (and biases), or "rms" without parameters.
        activation: "gelu" (its tanh form, as in GPT-2) or "squared_relu".
        qk_norm: normalise queries and keys.
        biases: in linear layers and norms.
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
    norm: str = "rms"
    activation: str = "squared_relu"
    qk_norm: bool = True
    biases: bool = False
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
        if self.positions == "rotary" and self.rotary_width % 2:
            raise MinigptError(
                f"rotary positions turn pairs, but a head is {self.head_width} wide: choose a width of"
                f" {4 if self.key_shift else 2} a head, or a multiple of it"
            )
        for name, known in {"positions": POSITIONS, "norm": NORMS, "activation": ACTIVATIONS}.items():
            if getattr(self, name) not in known:
                raise MinigptError(f"there is no {name} {getattr(self, name)!r}; choose one of: {', '.join(known)}")

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.width // self.n_heads

    @property
    def rotary_width(self) -> int:
        """How much of a head rotary positions turn."""
        return self.head_width // 2 if self.key_shift else self.head_width


POSITIONS = ("learned", "rotary")
NORMS = ("layer", "rms")
ACTIVATIONS = ("gelu", "squared_relu")

GPT2 = {
    "positions": "learned",
    "norm": "layer",
    "activation": "gelu",
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


def rotary_angles(config: GPTConfig) -> Tensor:
    """Angles (T, rotary width / 2): position times frequency (Su et al. 2021, equation 15)."""
    frequencies = 10_000.0 ** -(torch.arange(0, config.rotary_width, 2) / config.rotary_width)
    return torch.arange(config.context_length)[:, None] * frequencies


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

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.queries_keys_values = nn.Linear(config.width, 3 * config.width, bias=config.biases)
        self.projection = nn.Linear(config.width, config.width, bias=config.biases)

    @property
    def scale(self) -> float:
        """What the products of queries and keys are multiplied by."""
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
        causal = x.shape[1] > 1
        found = F.scaled_dot_product_attention(*self.heads(x, rotation, cache), is_causal=causal, scale=self.scale)
        return self.projection(found.transpose(1, 2).reshape(x.shape))


class MLP(nn.Module):
    """Two linear layers with an activation between them, at each position alone."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        hidden = config.mlp_width or 4 * config.width
        self.activation = config.activation
        self.expansion = nn.Linear(config.width, hidden, bias=config.biases)
        self.projection = nn.Linear(hidden, config.width, bias=config.biases)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.expansion(x)
        hidden = F.gelu(hidden, approximate="tanh") if self.activation == "gelu" else F.relu(hidden).square()
        return self.projection(hidden)


class Block(nn.Module):
    """Attention, then an MLP; each reads the normalised residual stream and adds to it."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.attention_norm = make_norm(config)
        self.attention = CausalSelfAttention(config)
        self.mlp_norm = make_norm(config)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: LayerCache | None) -> Tensor:
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
            angles = rotary_angles(config)
            self.register_buffer("cosines", angles.cos(), persistent=False)
            self.register_buffer("sines", angles.sin(), persistent=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.final_norm = make_norm(config)
        self.head = nn.Linear(config.width, config.vocabulary_size, bias=False)
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
        if self.config.positions == "learned":
            x = x + self.position_embedding.weight[before : before + ids.shape[1]]
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


GPT2_NAMES = {
    "blocks": "h",
    "attention.queries_keys_values": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "mlp.expansion": "mlp.c_fc",
    "mlp.projection": "mlp.c_proj",
    "attention_norm": "ln_1",
    "mlp_norm": "ln_2",
    "final_norm": "ln_f",
    "position_embedding": "wpe",
    "embedding": "wte",
    "head": "lm_head",
}
"""What GPT-2's published files call the parts of our GPT, to be replaced in this order."""

GPT2_SETTINGS = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
}
"""What `config.json` must say where it says anything: our block does it in this way only."""


def read_gpt2_config(path: Path) -> GPTConfig:
    """The settings in a published `config.json`.

    Raises:
        MinigptError: it is missing or damaged, lacks a size, or asks for what our block cannot do.
    """
    facts = read_json(path)
    for name, only in GPT2_SETTINGS.items():
        if facts.get(name, only) != only:
            raise MinigptError(f"{path} sets {name} to {facts[name]!r}, but a GPT-2 is read with {only!r} only")
    try:
        return GPTConfig(
            vocabulary_size=facts["vocab_size"],
            context_length=facts["n_positions"],
            n_layers=facts["n_layer"],
            n_heads=facts["n_head"],
            width=facts["n_embd"],
            mlp_width=facts.get("n_inner"),
            norm_epsilon=facts.get("layer_norm_epsilon", 1e-5),
            **GPT2 | {"tied_embeddings": facts.get("tie_word_embeddings", True)},
        )
    except KeyError as error:
        raise MinigptError(f"{path} lacks {error.args[0]!r}: it is no config.json of a GPT-2") from None


@torch.no_grad()
def load_gpt2(folder: str | Path) -> GPT:
    """A GPT with the weights of a GPT-2 as it is published (Radford et al. 2019, in Hugging Face's format).

    Args:
        folder: with `config.json` and `model.safetensors`. Names may begin with `transformer.`; stored causal masks
            and a copy of the tied head are passed over.

    Raises:
        MinigptError: a file is missing or damaged, or a tensor is missing, surplus or of another shape.
    """
    path = Path(folder) / "model.safetensors"
    model = GPT(read_gpt2_config(Path(folder) / "config.json"))
    try:
        tensors = {name.removeprefix("transformer."): tensor for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise MinigptError(f"{path} cannot be read ({error}): check the path, or fetch it again") from None
    if model.config.tied_embeddings:
        tensors.pop("lm_head.weight", None)
    for ours, parameter in model.named_parameters():
        name = ours
        for part, published in GPT2_NAMES.items():
            name = name.replace(part, published)
        if name not in tensors:
            raise MinigptError(f"{path} lacks the tensor {name}: is config.json another model's?")
        tensor = tensors.pop(name)
        place = parameter.t() if ".c_" in name else parameter  # GPT-2's matrices stand the other way round
        if tensor.shape != place.shape:
            raise MinigptError(
                f"{path} holds {name} with the shape {tuple(tensor.shape)}, but by config.json it is"
                f" {tuple(place.shape)}: take both files from one place"
            )
        place.copy_(tensor)
    for name in tensors:
        if not name.endswith((".attn.bias", ".attn.masked_bias")):  # the causal mask needs no storing
            raise MinigptError(f"{path} has a tensor {name}, which a GPT-2 of this config.json has no place for")
    return model.eval()
