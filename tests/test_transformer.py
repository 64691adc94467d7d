"""The GPT: published logits, causality, the cache, positions, counts, and one batch learned by heart."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minigpt.errors import MinigptError
from minigpt.transformer import GPT, GPT2, GPTConfig, angles, band, rotate, shift

ROOT = Path(__file__).resolve().parents[1]
SMALL = GPTConfig(vocabulary_size=50, context_length=24, n_layers=2, n_heads=4, width=32)
RECIPES = {"modern": SMALL, "gpt2": replace(SMALL, **GPT2), "tied": replace(SMALL, tied_embeddings=True)}
every_recipe = pytest.mark.parametrize("config", RECIPES.values(), ids=RECIPES)


def scrambled(config, seed=0):
    """A GPT whose every parameter is random: with zeros in it, a test would see too little."""
    torch.manual_seed(seed)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def some_ids(*shape, seed=1):
    return torch.randint(SMALL.vocabulary_size, shape, generator=torch.Generator().manual_seed(seed))


# Beside others


@torch.no_grad()
def test_a_gpt2_block_is_pytorchs_encoder_layer():
    config = RECIPES["gpt2"]
    block = scrambled(config).blocks[0]
    layer = nn.TransformerEncoderLayer(
        config.width, config.n_heads, 4 * config.width, 0.0, lambda x: F.gelu(x, approximate="tanh"),
        batch_first=True, norm_first=True,
    )  # fmt: skip
    pairs = [
        (layer.self_attn.in_proj_weight, block.attention.queries_keys_values.weight),
        (layer.self_attn.in_proj_bias, block.attention.queries_keys_values.bias),
        *zip(layer.self_attn.out_proj.parameters(), block.attention.projection.parameters(), strict=True),
        *zip(layer.linear1.parameters(), block.mlp.expansion.parameters(), strict=True),
        *zip(layer.linear2.parameters(), block.mlp.projection.parameters(), strict=True),
        *zip(layer.norm1.parameters(), block.attention_norm.parameters(), strict=True),
        *zip(layer.norm2.parameters(), block.mlp_norm.parameters(), strict=True),
    ]
    for theirs, ours in pairs:
        theirs.copy_(ours)
    x = torch.randn(3, 7, config.width)
    expected = layer(x, nn.Transformer.generate_square_subsequent_mask(7), is_causal=True)
    torch.testing.assert_close(block(x, None, None), expected, atol=1e-5, rtol=1e-4)


def test_rotary_positions_are_the_complex_product_of_the_paper():
    config = replace(SMALL, key_shift=False)
    turns = angles(config.context_length, config.turned_width)
    x = torch.randn(2, 4, config.context_length, config.head_width)
    pairs = torch.complex(*x.chunk(2, dim=-1)) * torch.polar(torch.ones_like(turns), turns)
    torch.testing.assert_close(rotate(x, turns.cos(), turns.sin()), torch.cat([pairs.real, pairs.imag], dim=-1))


# What must hold


def test_a_band_is_what_a_local_layer_may_see():
    assert band(3, 5, 2, torch.device("cpu")).int().tolist() == [[0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]]


RELATIVES = {
    "local": {"windows": (0, 5)},
    "half turned": {"rotary_width": 4, "key_shift": False},
    "sinusoidal": {"positions": "sinusoidal"},
    "after": {"norm_first": False},
    "parallel": {"parallel": True},
    "unscaled": {"attention_scale": 1.0, "qk_norm": False},
}


@pytest.mark.parametrize("settings", RELATIVES.values(), ids=RELATIVES)
def test_relatives_do_not_see_the_future_and_read_on_from_a_cache(settings):
    model = scrambled(replace(SMALL, **settings))
    ids = some_ids(2, 20)
    whole = model.log_probs(ids)
    changed = ids.clone()
    changed[:, 13] = (changed[:, 13] + 1) % SMALL.vocabulary_size
    assert torch.equal(model.log_probs(changed)[:, :13], whole[:, :13])
    assert not torch.allclose(model.log_probs(changed)[:, 13:], whole[:, 13:], atol=1e-3)
    found, state = model.advance(ids[:, :7])
    for place in range(7, 20):
        torch.testing.assert_close(found, whole[:, place - 1], atol=1e-5, rtol=1e-4)
        found, state = model.advance(ids[:, place : place + 1], state)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_local_layer_sees_its_window_and_no_further(layers):
    model = scrambled(replace(SMALL, n_layers=layers, windows=(4,) * layers, key_shift=False))
    ids = some_ids(1, 24)
    changed = ids.clone()
    changed[:, 0] = (changed[:, 0] + 1) % SMALL.vocabulary_size
    differs = (model.log_probs(changed) != model.log_probs(ids)).any(dim=-1)[0]
    assert differs.nonzero().max() == 3 * layers  # each layer carries three places on


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"windows": (3,)}, "windows are .* 2 layers need a number each"),
        ({"windows": (3, -1)}, "0 or above"),
        ({"rotary_width": 3}, "turn pairs"),
        ({"rotary_width": 40}, "turn pairs"),
        ({"attention_biases": "some"}, "no attention_biases 'some'; choose one of: all, projection, none"),
    ],
)
def test_impossible_relatives(settings, complaint):
    with pytest.raises(MinigptError, match=complaint):
        replace(SMALL, **settings)


@every_recipe
def test_no_token_sees_the_future(config):
    model, ids = scrambled(config), some_ids(2, 20)
    changed = ids.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % config.vocabulary_size
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :12], after[:, :12])
    assert (before[:, 12:] - after[:, 12:]).abs().min(dim=-1).values.max() > 0


def test_rotary_attention_depends_on_distance_alone():
    """Queries and keys moved together keep their products."""
    turns = angles(SMALL.context_length, SMALL.turned_width)
    query, key = torch.randn(2, SMALL.head_width)

    def product(i, j):
        turned = [rotate(x[None], turns[p : p + 1].cos(), turns[p : p + 1].sin()) for x, p in ((query, i), (key, j))]
        return (turned[0] * turned[1]).sum()

    for offset in range(10):
        torch.testing.assert_close(product(5 + offset, 2 + offset), product(5, 2), atol=1e-5, rtol=1e-5)
    assert abs(product(5, 2) - product(5, 3)) > 1e-3


def test_shifted_keys_come_from_the_token_before():
    keys = torch.arange(24.0).view(1, 1, 6, 4)
    shifted = shift(keys)
    assert torch.equal(shifted[..., :2], keys[..., :2])
    assert torch.equal(shifted[:, :, 1:, 2:], keys[:, :, :-1, 2:])
    assert not shifted[:, :, 0, 2:].any()


def test_a_new_model_looks_where_its_token_was_followed_before():
    """With the key shift, attention starts as an induction head: after "a b ... a" it looks at b."""
    torch.manual_seed(0)
    config = replace(SMALL, n_heads=1, n_layers=1, context_length=64, width=64)
    model = GPT(config)
    ids = torch.cat([torch.randperm(50)[:40], torch.tensor([0])])
    ids[-1] = ids[17]
    attention, x = model.blocks[0].attention, model.blocks[0].attention_norm(model.embed(ids[None], 0))
    queries, keys, _ = attention.queries_keys_values(x).chunk(3, dim=-1)
    half = config.head_width // 2
    logits = queries[0, -1, half:] @ shift(keys[None])[0, 0, :, half:].T
    assert logits.argmax() == 18


@every_recipe
@pytest.mark.parametrize("new", [1, 3])
def test_the_cache_gives_what_reading_anew_gives(config, new):
    model, ids = scrambled(config), some_ids(2, 24)
    log_probs, state = model.advance(ids[:, :9])
    torch.testing.assert_close(log_probs, model.log_probs(ids[:, :9])[:, -1], atol=1e-5, rtol=1e-5)
    for end in range(9 + new, 25, new):
        log_probs, state = model.advance(ids[:, end - new : end], state)
        torch.testing.assert_close(log_probs, model.log_probs(ids[:, :end])[:, -1], atol=1e-5, rtol=1e-5)


@every_recipe
def test_generation_goes_on_when_the_context_is_full(config):
    """Then the newer half of the context is kept."""
    model, ids = scrambled(config), some_ids(2, 26)
    _, state = model.advance(ids[:, :24])
    log_probs, state = model.advance(ids[:, 24:25], state)
    torch.testing.assert_close(log_probs, model.log_probs(ids[:, 13:25])[:, -1], atol=1e-5, rtol=1e-5)
    log_probs, state = model.advance(ids[:, 25:26], state)
    torch.testing.assert_close(log_probs, model.log_probs(ids[:, 13:26])[:, -1], atol=1e-5, rtol=1e-5)


@every_recipe
def test_a_new_model_knows_nothing(config):
    """Its first loss is that of a uniform guess."""
    torch.manual_seed(0)
    model, ids = GPT(config), some_ids(4, 24)
    assert model(ids, ids.roll(1, 1)).item() == pytest.approx(math.log(config.vocabulary_size), abs=0.2)


@every_recipe
def test_one_batch_is_learned_by_heart(config):
    torch.manual_seed(0)
    model, ids = GPT(config), some_ids(4, 25)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(200):
        loss = model(ids[:, :-1], ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


# Counts


def test_gpt2s_parameters():
    with torch.device("meta"):
        model = GPT(GPTConfig(vocabulary_size=50257, context_length=1024, n_layers=12, n_heads=12, width=768, **GPT2))
    assert model.n_parameters == 124_439_808  # as published; the paper's 117 million was a miscount


@every_recipe
def test_flops_are_those_that_pytorch_counts(config):
    """Forward and backward, but PyTorch counts the whole square of attention and no look-ups; so does the formula."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model, ids = GPT(config), some_ids(3, 25)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(ids[:, :-1], ids[:, 1:]).backward()
    counted = counter.get_total_flops() / (3 * 24)
    vectors = sum(p.numel() for p in model.parameters() if p.ndim == 1)  # norms and biases do not multiply matrices
    assert counted == model.flops_per_token - 6 * vectors


# Bad input


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"width": 30}, "cannot be shared among 4 heads"),
        ({"width": 24}, "multiple"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"positions": "sinus"}, "choose one of: learned, rotary"),
        ({"norm": "batch"}, "choose one of: layer, rms"),
        ({"activation": "tanh"}, "choose one of: gelu"),
    ],
)
def test_impossible_settings(wrong, complaint):
    with pytest.raises(MinigptError, match=complaint):
        replace(SMALL, **wrong)


def test_too_long_a_context_and_unknown_tokens():
    model = GPT(SMALL)
    with pytest.raises(MinigptError, match="25 tokens do not fit into this model's context of 24"):
        model.log_probs(some_ids(1, 25))
    with pytest.raises(MinigptError, match="vocabulary ends at 49"):
        model.advance(torch.tensor([[50]]))
