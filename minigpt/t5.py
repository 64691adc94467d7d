"""T5: an encoder reads a text with holes, and a decoder writes what was in them (Raffel et al. 2020).

Chapter 14 builds it on the attention of chapter 3. New are the relative positions, a number added to each score by the
distance alone, which falls into few buckets; and the objective, span corruption.

Shapes: B batch, S source time, T target time, V vocabulary, D width, H heads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minigpt.errors import MinigptError
from minigpt.files import read_setting
from minigpt.language_model import LanguageModel
from minigpt.transformer import LayerCache


@dataclass(frozen=True)
class T5Config:
    """Settings of a T5.

    Attributes:
        vocabulary_size: V.
        n_layers: blocks of the encoder.
        n_decoder_layers: blocks of the decoder.
        n_heads: H.
        width: D.
        head_width: of one head; H times this need not be D.
        mlp_width: of the hidden layer of the MLP.
        n_buckets: of distances.
        longest_distance: from here on all are in the last bucket.
        gated: the MLP of version 1.1, two layers multiplied, one through GELU; else one through ReLU.
        tied_embeddings: the head is the embedding, transposed.
        scaled_head: what the head reads is divided by the root of D.
        start: the id before the first target.
        norm_epsilon: inside the norms.
    """

    vocabulary_size: int
    n_layers: int
    n_decoder_layers: int
    n_heads: int
    width: int
    head_width: int
    mlp_width: int
    n_buckets: int = 32
    longest_distance: int = 128
    gated: bool = True
    tied_embeddings: bool = False
    scaled_head: bool = False
    start: int = 0
    norm_epsilon: float = 1e-6


def buckets(distance: Tensor, n: int, longest: int, both_sides: bool) -> Tensor:
    """The bucket of each distance, key minus query: one each for small ones, then wider and wider (section 2.1).

    Args:
        distance: of any shape.
        n: how many buckets.
        longest: from here on all are in the last one.
        both_sides: half of the buckets are for keys that come later; otherwise those are not seen at all.
    """
    side = torch.zeros_like(distance)
    if both_sides:
        n //= 2
        side, distance = n * (distance > 0), -distance.abs()
    back = (-distance).clamp(min=0)
    exact = n // 2
    far = exact + (torch.log(back.clamp(min=1) / exact) / math.log(longest / exact) * (n - exact)).long()
    return side + torch.where(back < exact, back, far.clamp(max=n - 1))


class RelativeBias(nn.Module):
    """What distance adds to the scores of each head."""

    def __init__(self, config: T5Config, both_sides: bool):
        super().__init__()
        self.config, self.both_sides = config, both_sides
        self.of_bucket = nn.Embedding(config.n_buckets, config.n_heads)

    def forward(self, queries: int, keys: int) -> Tensor:
        """For the last queries of as many keys, (1, H, queries, keys); a decoder's future is minus infinity."""
        device = self.of_bucket.weight.device
        distance = torch.arange(keys, device=device) - torch.arange(keys - queries, keys, device=device)[:, None]
        found = buckets(distance, self.config.n_buckets, self.config.longest_distance, self.both_sides)
        bias = self.of_bucket(found).permute(2, 0, 1)[None]
        return bias if self.both_sides else bias.masked_fill(distance > 0, -math.inf)


class Attention(nn.Module):
    """Scaled by nothing: T5 begins with smaller weights instead."""

    def __init__(self, config: T5Config):
        super().__init__()
        self.n_heads, inner = config.n_heads, config.n_heads * config.head_width
        self.queries, self.keys, self.values = (nn.Linear(config.width, inner, bias=False) for _ in range(3))
        self.output = nn.Linear(inner, config.width, bias=False)

    def heads(self, x: Tensor) -> Tensor:
        """Split (B, T, H times head width) into heads (B, H, T, head width)."""
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)

    def offer(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of what can be asked."""
        return self.heads(self.keys(context)), self.heads(self.values(context))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        found = F.scaled_dot_product_attention(self.heads(self.queries(x)), keys, values, bias, scale=1.0)
        return self.output(found.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear layers around ReLU; or, gated, three around GELU (Shazeer 2020)."""

    def __init__(self, config: T5Config):
        super().__init__()
        self.expansion = nn.Linear(config.width, config.mlp_width, bias=False)
        self.gate = nn.Linear(config.width, config.mlp_width, bias=False) if config.gated else None
        self.projection = nn.Linear(config.mlp_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.gate is None:
            return self.projection(F.relu(self.expansion(x)))
        return self.projection(F.gelu(self.gate(x), approximate="tanh") * self.expansion(x))


class Block(nn.Module):
    """Attention among the tokens of a text; in a decoder, attention to the source; an MLP."""

    def __init__(self, config: T5Config, decodes: bool):
        super().__init__()
        self.self_norm, self.self_attention = make_norm(config), Attention(config)
        self.cross_norm, self.cross_attention = (make_norm(config), Attention(config)) if decodes else (None, None)
        self.mlp_norm, self.mlp = make_norm(config), MLP(config)

    def forward(self, x: Tensor, bias: Tensor, cache: LayerCache | None, source: Sequence[Tensor]) -> Tensor:
        normed = self.self_norm(x)
        keys, values = self.self_attention.offer(normed)
        if cache is not None:
            keys, values = cache.extend(keys, values)
        x = x + self.self_attention(normed, keys, values, bias)
        if self.cross_attention is not None:
            x = x + self.cross_attention(self.cross_norm(x), *source)
        return x + self.mlp(self.mlp_norm(x))


def make_norm(config: T5Config) -> nn.Module:
    """RMSNorm with gains."""
    return nn.RMSNorm(config.width, eps=config.norm_epsilon)


class Stack(nn.Module):
    """An encoder, or a decoder."""

    def __init__(self, config: T5Config, n_layers: int, decodes: bool):
        super().__init__()
        self.relative_bias = RelativeBias(config, both_sides=not decodes)  # one for all layers
        self.blocks = nn.ModuleList(Block(config, decodes) for _ in range(n_layers))
        self.final_norm = make_norm(config)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        caches: Sequence[LayerCache] | None = None,
        sources: Sequence[Sequence[Tensor]] | None = None,
    ) -> Tensor:
        """The states (B, T, D) of embedded tokens x (B, T, D).

        Args:
            x: new tokens.
            mask: which of them are no padding (B, T).
            caches: of those read before, a layer.
            sources: keys, values and mask of the source, a layer.
        """
        T = x.shape[1]
        before = caches[0].keys.shape[2] if caches and caches[0].keys is not None else 0
        bias = self.relative_bias(T, before + T)
        if mask is not None:
            bias = bias.masked_fill(~mask[:, None, None].bool(), -math.inf)
        for layer, block in enumerate(self.blocks):
            x = block(x, bias, caches[layer] if caches else None, sources[layer] if sources else ())
        return self.final_norm(x)


class T5(nn.Module, LanguageModel):
    """An encoder-decoder. As a language model, the decoder writes a text after the source that says nothing.

    Args:
        config: its settings.
    """

    def __init__(self, config: T5Config):
        super().__init__()
        self.config, self.vocabulary_size = config, config.vocabulary_size
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.encoder = Stack(config, config.n_layers, decodes=False)
        self.decoder = Stack(config, config.n_decoder_layers, decodes=True)
        self.head = nn.Linear(config.width, config.vocabulary_size, bias=False)
        if config.tied_embeddings:
            self.head.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight)
        for name, weight in self.named_parameters():
            if weight.ndim == 2 and name != "embedding.weight":
                # Queries begin smaller by the root of a head's width: their scores are not divided by it.
                scale = config.head_width if "queries" in name else 1
                nn.init.normal_(weight, std=1 / math.sqrt(weight.shape[1] * scale))

    def encode(self, source: Tensor, mask: Tensor | None = None) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """What the decoder can ask of a source (B, S), layer by layer; `mask` (B, S) is false at padding."""
        states = self.encoder(self.embedding(source), mask)
        seen = None if mask is None else mask[:, None, None].bool()
        return [(*block.cross_attention.offer(states), seen) for block in self.decoder.blocks]

    def decode(
        self,
        ids: Tensor,
        sources: list[tuple[Tensor, Tensor, Tensor | None]],
        caches: Sequence[LayerCache] | None = None,
    ) -> Tensor:
        """Logits (B, T, V) after each of the target's tokens ids (B, T), the first of which is `start`."""
        x = self.decoder(self.embedding(ids), None, caches, sources)
        return self.head(x * self.config.width**-0.5 if self.config.scaled_head else x)

    def forward(self, source: Tensor, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits (B, T, V) of a target that begins with `start`, ids (B, T), after a source (B, S)."""
        return self.decode(ids, self.encode(source, mask))

    def loss(self, source: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Mean cross-entropy in nats of targets (B, T); -100 is padding.

        Args:
            source: token ids (B, S).
            target: what to write (B, T).
            mask: false where the source is padding (B, S).
        """
        ids = F.pad(target[:, :-1], (1, 0), value=self.config.start).clamp(min=0)
        return F.cross_entropy(self(source, ids, mask).flatten(0, 1).float(), target.flatten(), ignore_index=-100)

    @torch.inference_mode()
    def write(self, source: Tensor, count: int, mask: Tensor | None = None) -> Tensor:
        """The most probable token, `count` times, after a source (B, S)."""
        sources, caches = self.encode(source, mask), [LayerCache() for _ in self.decoder.blocks]
        ids = [torch.full_like(source[:, :1], self.config.start)]
        for _ in range(count):
            ids.append(self.decode(ids[-1], sources, caches)[:, -1:].argmax(dim=-1))
        return torch.cat(ids[1:], dim=1)

    @torch.inference_mode()
    def log_probs(self, ids: Tensor) -> Tensor:
        """Next-token log-probabilities (B, T, V) after every prefix of ids (B, T), with a source of `start` alone."""
        source = torch.full_like(ids[:, :1], self.config.start)
        return self.decode(ids, self.encode(source)).float().log_softmax(dim=-1)


class Answer(LanguageModel):
    """What a T5 writes after one source, as a language model.

    Args:
        model: the T5.
        source: token ids (1, S).
    """

    def __init__(self, model: T5, source: Tensor):
        self.model, self.vocabulary_size, self.sources = model, model.vocabulary_size, model.encode(source)

    @torch.inference_mode()
    def log_probs(self, ids: Tensor) -> Tensor:
        """Next-token log-probabilities (1, T, V) after every prefix of ids (1, T), the first of which is `start`."""
        return self.model.decode(ids, self.sources).float().log_softmax(dim=-1)

    @torch.inference_mode()
    def advance(self, ids: Tensor, state: list[LayerCache] | None = None) -> tuple[Tensor, list[LayerCache]]:
        """Read some more tokens of the answer and predict the next one; see `LanguageModel.advance`."""
        caches = state or [LayerCache() for _ in self.model.decoder.blocks]
        return self.model.decode(ids, self.sources, caches)[:, -1].float().log_softmax(dim=-1), caches


def cut(length: int, share: float, mean_length: float, generator: torch.Generator) -> list[range]:
    """Where to cut spans out of a text (section 3.1.4).

    Args:
        length: of the text.
        share: of the tokens to cut out.
        mean_length: of a span.
        generator: of the draw.

    Raises:
        MinigptError: the text is too short to cut so many spans out and leave something between them.
    """
    count = max(1, round(share * length))
    spans = max(1, round(count / mean_length))
    if not spans <= count <= length - spans + 1:
        raise MinigptError(f"{spans} spans of {count} tokens cannot be cut out of {length}: give longer texts")
    lengths, gaps = parts_of(count, spans, generator), parts_of(length - count + 2, spans + 1, generator)
    found, at = [], -1  # so that before the first span there may be nothing; behind the last one, too
    for gap, size in zip(gaps, lengths, strict=False):
        found.append(range(at + gap, at + gap + size))
        at += gap + size
    return found


def parts_of(total: int, count: int, generator: torch.Generator) -> list[int]:
    """Cut a number into so many parts of at least one, all ways equally likely."""
    cuts = torch.randperm(total - 1, generator=generator)[: count - 1].sort().values + 1
    return torch.diff(cuts, prepend=torch.tensor([0]), append=torch.tensor([total])).tolist()


def corrupt(ids: Sequence[int], spans: Sequence[range], sentinels: Sequence[int]) -> tuple[list[int], list[int]]:
    """A text with a sentinel for each span, and the spans behind their sentinels (section 3.1.4).

    Args:
        ids: the text.
        spans: where they are.
        sentinels: ids that the text does not have; one a span, and one that ends the target.

    >>> corrupt(range(10), [range(1, 2), range(8, 10)], [97, 98, 99])
    ([0, 97, 2, 3, 4, 5, 6, 7, 98], [97, 1, 98, 8, 9, 99])

    Raises:
        MinigptError: there are too few sentinels.
    """
    if len(spans) >= len(sentinels):
        raise MinigptError(f"{len(spans)} spans need {len(spans) + 1} sentinels, not {len(sentinels)}")
    source, target, at = [], [], 0
    for span, sentinel in zip(spans, sentinels, strict=False):
        source += [*ids[at : span.start], sentinel]
        target += [sentinel, *ids[span.start : span.stop]]
        at = span.stop
    return [*source, *ids[at:]], [*target, sentinels[len(spans)]]


def restore(source: Sequence[int], target: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """The text that `corrupt` cut into two."""
    spans, text = {sentinel: [] for sentinel in sentinels}, []
    for id in target:
        if id in spans:
            span = spans[id]
        else:
            span.append(id)
    for id in source:
        text += spans.get(id, [id])
    return text


T5_NAMES = {
    "relative_bias.of_bucket": "block.0.layer.0.SelfAttention.relative_attention_bias",
    "blocks": "block",
    "self_norm": "layer.0.layer_norm",
    "self_attention": "layer.0.SelfAttention",
    "cross_norm": "layer.1.layer_norm",
    "cross_attention": "layer.1.EncDecAttention",
    "queries": "q",
    "keys": "k",
    "values": "v",
    "output": "o",
    "final_norm": "final_layer_norm",
}
"""What T5's published files call the parts of ours that encoder, decoder and both versions have in common."""


def t5_names(config: T5Config, decodes: bool) -> dict[str, str]:
    """What T5's published files call the parts of our encoder or decoder."""
    mlp = f"layer.{2 if decodes else 1}"
    dense = f"{mlp}.DenseReluDense"
    inner = {"mlp.gate": "wi_0", "mlp.expansion": "wi_1" if config.gated else "wi", "mlp.projection": "wo"}
    return T5_NAMES | {"mlp_norm": f"{mlp}.layer_norm"} | {ours: f"{dense}.{name}" for ours, name in inner.items()}


def t5_config(facts: Mapping[str, Any]) -> T5Config:
    """Our settings from a published configuration.

    Raises:
        MinigptError: a size is missing or cannot be, or the MLP is of a kind that ours does not have.
    """
    kind = facts.get("feed_forward_proj", "relu")
    if kind not in ("relu", "gated-gelu"):
        raise MinigptError(f"config.json sets feed_forward_proj to {kind!r}; a T5 has relu or gated-gelu")
    tied = facts.get("tie_word_embeddings", True)
    config = T5Config(
        vocabulary_size=read_setting(facts, "vocab_size"),
        n_layers=read_setting(facts, "num_layers"),
        n_decoder_layers=read_setting(facts, "num_decoder_layers", "num_layers"),
        n_heads=read_setting(facts, "num_heads"),
        width=read_setting(facts, "d_model"),
        head_width=read_setting(facts, "d_kv"),
        mlp_width=read_setting(facts, "d_ff"),
        n_buckets=read_setting(facts, "relative_attention_num_buckets", default=32),
        longest_distance=read_setting(facts, "relative_attention_max_distance", default=128),
        gated=kind == "gated-gelu",
        tied_embeddings=tied,
        scaled_head=facts.get("scale_decoder_outputs", tied),
        start=facts.get("decoder_start_token_id") or 0,
        norm_epsilon=read_setting(facts, "layer_norm_epsilon", default=1e-6, kind=float),
    )
    if config.start not in range(config.vocabulary_size):
        raise MinigptError(f"config.json starts texts with the token {config.start!r}, which is not in the vocabulary")
    return config
