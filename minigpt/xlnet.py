"""XLNet: a language model that predicts the tokens of a text in any order (Yang et al. 2019).

Chapter 14 builds it on the attention of chapter 3. Three things are new. Positions are relative: attention sees how far
away a key is, not where it is. A second stream holds for each place what can be known of it without its token, for a
place must not see the token that it is asked for. And the hidden states of the text before are kept as memory.

Shapes: B batch, T time, M memory, S = M + T, V vocabulary, D width, H heads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minigpt.errors import MinigptError
from minigpt.files import read_setting
from minigpt.language_model import LanguageModel


@dataclass(frozen=True)
class XLNetConfig:
    """Settings of an XLNet.

    Attributes:
        vocabulary_size: V.
        n_layers: blocks.
        n_heads: H.
        width: D.
        head_width: of one head; H times this need not be D.
        mlp_width: of the hidden layer of the MLP.
        norm_epsilon: inside the norms.
    """

    vocabulary_size: int
    n_layers: int
    n_heads: int
    width: int
    head_width: int
    mlp_width: int
    norm_epsilon: float = 1e-12


def relative_places(T: int, S: int, width: int) -> Tensor:
    """Sinusoids (S + T, D) for distances from S down to 1 - T (Dai et al. 2019, section 3.3)."""
    distances = torch.arange(S, -T, -1.0)
    angles = distances[:, None] * 10_000.0 ** -(torch.arange(0, width, 2) / width)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def order(T: int, places: Sequence[int] | Tensor) -> Tensor:
    """When each place is predicted, its rank (T,): `places` one after the other; all others, of rank -1, are given.

    >>> order(6, [4, 1])
    tensor([-1,  1, -1, -1,  0, -1])
    """
    rank = torch.full((T,), -1)
    rank[torch.as_tensor(places)] = torch.arange(len(places))
    return rank


def visible(rank: Tensor) -> Tensor:
    """Which places (columns) each place (rows) may see when it is predicted: what is given, and what came earlier.

    Args:
        rank: of each place (..., T), as `order` gives it.
    """
    return (rank[..., None, :] < rank[..., None]) | (rank < 0)[..., None, :]


class RelativeAttention(nn.Module):
    """Attention by content, by distance and by segment (Dai et al. 2019, section 3.3; Yang et al. 2019, 2.5)."""

    def __init__(self, config: XLNetConfig):
        super().__init__()
        matrix, vector = (config.width, config.n_heads, config.head_width), (config.n_heads, config.head_width)
        for name in ("queries", "keys", "values", "output", "places"):
            self.register_parameter(name, nn.Parameter(torch.empty(matrix)))
        for name in ("content_bias", "place_bias", "segment_bias"):
            self.register_parameter(name, nn.Parameter(torch.empty(vector)))
        self.segments = nn.Parameter(torch.empty(2, *vector))  # of keys in the same segment, and in another one

    def forward(
        self, x: Tensor, context: Tensor, places: Tensor, steps: Tensor, other: Tensor, hidden: Tensor
    ) -> Tensor:
        """What each row of x gathers (B, N, D).

        Args:
            x: the stream that asks (B, N, D).
            context: what is asked: memory, then the content stream (B, S, D).
            places: a vector for each distance, as `relative_places` gives them.
            steps: which of them lies between a row and a key (B, N, S).
            other: whether a key is of another segment (B, N, S).
            hidden: which keys must not be seen (B, N, S).
        """
        queries = torch.einsum("bnw,whd->bhnd", x, self.queries)
        keys = torch.einsum("bsw,whd->bhsd", context, self.keys)
        values = torch.einsum("bsw,whd->bhsd", context, self.values)
        distances = torch.einsum("pw,whd->hdp", places, self.places)
        by_content = (queries + self.content_bias[:, None]) @ keys.mT  # (B, H, N, S)
        by_place = (queries + self.place_bias[:, None]) @ distances  # (B, H, N, S + T)
        by_segment = torch.einsum("bhnd,khd->bhnk", queries + self.segment_bias[:, None], self.segments)
        scores = by_content + by_place.gather(3, steps[:, None].expand_as(by_content))
        scores = scores + torch.where(other[:, None], by_segment[..., 1:], by_segment[..., :1])
        # As published: a row that may see nothing sees everything alike. So the first of an order is never predicted.
        weights = (scores * keys.shape[-1] ** -0.5 - 1e30 * hidden[:, None]).softmax(dim=-1)
        return torch.einsum("bhnd,whd->bnw", weights @ values, self.output)


class TwoStreamBlock(nn.Module):
    """Attention and an MLP, with a norm after each; both streams go through the same weights."""

    def __init__(self, config: XLNetConfig):
        super().__init__()
        self.attention = RelativeAttention(config)
        self.attention_norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)
        self.expansion = nn.Linear(config.width, config.mlp_width)
        self.projection = nn.Linear(config.mlp_width, config.width)
        self.mlp_norm = nn.LayerNorm(config.width, eps=config.norm_epsilon)

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x, *context))
        return self.mlp_norm(x + self.projection(F.gelu(self.expansion(x))))


class XLNet(nn.Module, LanguageModel):
    """A permutation language model.

    Args:
        config: its settings.
    """

    def __init__(self, config: XLNetConfig):
        super().__init__()
        self.config, self.vocabulary_size = config, config.vocabulary_size
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.mask_embedding = nn.Parameter(torch.empty(1, 1, config.width))
        self.blocks = nn.ModuleList(TwoStreamBlock(config) for _ in range(config.n_layers))
        self.head = nn.Linear(config.width, config.vocabulary_size)
        self.head.weight = self.embedding.weight
        for name, weight in self.named_parameters():
            if "norm" not in name:  # published: 0.02, with which narrow models begin to learn late
                nn.init.zeros_(weight) if name.endswith(".bias") else nn.init.normal_(weight, std=config.width**-0.5)

    def forward(
        self,
        ids: Tensor,
        hidden: Tensor | None = None,
        targets: Tensor | None = None,
        segments: Tensor | None = None,
        memory: list[Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits, and the memory for the text that follows.

        Args:
            ids: token ids (B, T).
            hidden: which places (columns) each place (rows) must not see, (B, T, T); without it all see all.
            targets: places to predict (B, N): their logits then come from the query stream, which does not know their
                tokens.
            segments: the segment of each token (B, T).
            memory: of the text before, (B, M, D) a layer.

        Returns:
            logits (B, T, V), or (B, N, V) with targets; and what each layer read, (B, M + T, D).
        """
        (B, T), M = ids.shape, memory[0].shape[1] if memory else 0
        x, read = self.embedding(ids), []
        places, device = relative_places(T, M + T, x.shape[-1]).to(x), ids.device
        segments = torch.zeros_like(ids) if segments is None else segments
        hidden = torch.zeros(B, T, T, device=device) if hidden is None else hidden
        steps = T - torch.arange(T, device=device)[:, None] + torch.arange(M + T, device=device)
        other = segments[:, :, None] != F.pad(segments, (M, 0))[:, None]
        hidden, itself = F.pad(hidden.bool(), (M, 0)), F.pad(torch.eye(T, device=device).bool(), (M, 0))
        asked = [steps.expand(B, -1, -1), other, hidden]
        content = [*asked[:2], hidden & ~itself]
        if targets is not None:
            asked = [rows.gather(1, targets[..., None].expand(-1, -1, M + T)) for rows in asked]
            asking = self.mask_embedding.expand(*targets.shape, -1)
        for layer, block in enumerate(self.blocks):
            context = torch.cat([memory[layer], x], dim=1) if memory else x
            read.append(context)
            if targets is not None:
                asking = block(asking, context, places, *asked)
            x = block(x, context, places, *content)
        return self.head(x if targets is None else asking), read

    def loss(self, ids: Tensor, rank: Tensor) -> Tensor:
        """Cross-entropy in nats of the places that are not given (Yang et al. 2019, equation 5).

        Args:
            ids: token ids (B, T).
            rank: of each place (B, T), as `order` gives it; as many are given in one row as in another.
        """
        targets = rank.argsort()[:, int((rank[0] < 0).sum()) :]
        logits, _ = self(ids, ~visible(rank), targets)
        return F.cross_entropy(logits.flatten(0, 1).float(), ids.gather(1, targets).flatten())

    @torch.inference_mode()
    def log_probs(self, ids: Tensor) -> Tensor:
        """Next-token log-probabilities (B, T, V) after every prefix of ids (B, T), in the order from left to right.

        One place is put behind the end, and every place asks for its own token knowing only those before it.
        """
        T = ids.shape[1]
        ids = F.pad(ids, (0, 1))
        targets = torch.arange(1, T + 1, device=ids.device).expand(len(ids), -1)
        hidden = ~visible(torch.arange(T + 1, device=ids.device)).expand(len(ids), -1, -1)
        return self(ids, hidden, targets)[0].float().log_softmax(dim=-1)

    @torch.inference_mode()
    def fill(self, ids: Tensor, places: Sequence[int]) -> Tensor:
        """The ids (B, T) with the most probable tokens at some places, found one after the other."""
        ids, hidden = ids.clone(), ~visible(order(ids.shape[1], places)).to(ids.device)
        for place in places:
            logits, _ = self(ids, hidden.expand(len(ids), -1, -1), torch.full_like(ids[:, :1], place))
            ids[:, place] = logits[:, 0].argmax(dim=-1)
        return ids


XLNET_NAMES = {
    "embedding": "word_embedding",
    "mask_embedding": "mask_emb",
    "blocks": "layer",
    "attention.queries": "rel_attn.q",
    "attention.keys": "rel_attn.k",
    "attention.values": "rel_attn.v",
    "attention.output": "rel_attn.o",
    "attention.places": "rel_attn.r",
    "attention.content_bias": "rel_attn.r_w_bias",
    "attention.place_bias": "rel_attn.r_r_bias",
    "attention.segment_bias": "rel_attn.r_s_bias",
    "attention.segments": "rel_attn.seg_embed",
    "attention_norm": "rel_attn.layer_norm",
    "expansion": "ff.layer_1",
    "projection": "ff.layer_2",
    "mlp_norm": "ff.layer_norm",
    "head": "lm_loss",
}
"""What XLNet's published files call the parts of ours."""


def xlnet_config(facts: Mapping[str, Any]) -> XLNetConfig:
    """Our settings from a published configuration.

    Raises:
        MinigptError: a size is missing or cannot be, or a setting is one that ours does not have.
    """
    for name, only in {"attn_type": "bi", "clamp_len": -1, "bi_data": False, "ff_activation": "gelu"}.items():
        if facts.get(name, only) != only:
            raise MinigptError(f"config.json sets {name} to {facts[name]!r}, but an XLNet is read with {only!r} only")
    width, n_heads = read_setting(facts, "d_model"), read_setting(facts, "n_head")
    return XLNetConfig(
        vocabulary_size=read_setting(facts, "vocab_size"),
        n_layers=read_setting(facts, "n_layer"),
        n_heads=n_heads,
        width=width,
        head_width=read_setting(facts, "d_head", default=width // n_heads),
        mlp_width=read_setting(facts, "d_inner"),
        norm_epsilon=read_setting(facts, "layer_norm_eps", default=1e-12, kind=float),
    )
