"""The GPT: published logits, causality, the cache, positions, counts, and one batch learned by heart."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from minigpt.errors import MinigptError
from minigpt.sampling import Sampler, complete
from minigpt.transformer import GPT, GPT2, GPTConfig, load_gpt2, rotary_angles, rotate, shift

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "data" / "gpt2-tiny"
GOLDEN = ROOT.parent / "shared" / "golden"
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


def check_golden(folder, golden):
    """The logits of a stored GPT-2 on its own ids, within what float32 allows (../shared/golden/README.md)."""
    difference = load_gpt2(folder)(golden["input_ids"]) - golden["logits"]
    read = golden["attention_mask"].bool() if "attention_mask" in golden else ...
    assert difference[read].abs().max() < 2e-4


def test_published_logits_of_the_tiny_gpt2():
    check_golden(TINY, load_file(TINY / "expected.safetensors"))


@pytest.mark.parametrize("name", ["gpt2", "gpt2_hub_layout"])
def test_published_logits_and_greedy_tokens(name):
    folder = GOLDEN / name
    if not folder.exists():
        pytest.skip(f"the golden checkpoints are not at {GOLDEN}")
    check_golden(folder, load_file(folder / "golden.safetensors"))
    model = load_gpt2(folder)
    for case in json.loads((folder / "golden.json").read_text())["greedy"]:
        ids = complete(model, torch.tensor([case["prompt"]]), len(case["continuation"]), Sampler(temperature=0))
        assert ids[0].tolist() == case["continuation"]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_new_gpt2s_of_hugging_face(tied, seed, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'reference'")
    torch.manual_seed(seed)
    sizes = {"vocab_size": 61 + seed, "n_positions": 20, "n_layer": 1 + seed, "n_head": 3, "n_embd": 12}
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, tie_word_embeddings=tied)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(std=0.3)
        theirs.save_pretrained(tmp_path)
        ids = torch.randint(61, (3, 20))
        torch.testing.assert_close(load_gpt2(tmp_path)(ids), theirs(ids).logits, atol=2e-4, rtol=0)


def copy_of_tiny(folder, settings=(), change=None):
    """The tiny GPT-2 with some settings, and the dictionary of its tensors, changed."""
    facts = json.loads((TINY / "config.json").read_text()) | dict(settings)
    (folder / "config.json").write_text(json.dumps({name: value for name, value in facts.items() if value != "gone"}))
    tensors = load_file(TINY / "model.safetensors")
    (change or dict)(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


def hub_layout(tensors):
    for name in list(tensors):
        tensors[name.removeprefix("transformer.")] = tensors.pop(name)
    for layer in range(3):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 44, 44).tril()
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    tensors["lm_head.weight"] = tensors["wte.weight"].clone()


def test_other_layouts_of_the_same_checkpoint_give_the_same_logits(tmp_path):
    ids = torch.arange(44)[None]
    assert torch.equal(load_gpt2(copy_of_tiny(tmp_path, change=hub_layout))(ids), load_gpt2(TINY)(ids))


C_ATTN = "transformer.h.1.attn.c_attn.weight"


@pytest.mark.parametrize(
    ("settings", "change", "complaint"),
    [
        ({}, lambda t: t.pop(C_ATTN), r"lacks the tensor h\.1\.attn\.c_attn\.weight"),
        ({}, lambda t: t.update({"transformer.h.0.extra": torch.ones(1)}), r"has a tensor h\.0\.extra"),
        ({}, lambda t: t.update({C_ATTN: t[C_ATTN].T.contiguous()}), r"c_attn\.weight with the shape \(90, 30\), but"),
        ({"n_layer": 2}, None, r"has a tensor h\.2\.\S+, which a GPT-2 of this config\.json has no place for"),
        ({"tie_word_embeddings": False}, None, r"lacks the tensor lm_head\.weight"),
        ({"activation_function": "relu"}, None, "sets activation_function to 'relu', but .* 'gelu_new' only"),
        ({"scale_attn_by_inverse_layer_idx": True}, None, "sets scale_attn_by_inverse_layer_idx to True"),
        ({"model_type": "gpt3"}, None, "sets model_type to 'gpt3'"),
        ({"n_embd": "gone"}, None, "lacks 'n_embd'"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(settings, change, complaint, tmp_path):
    with pytest.raises(MinigptError, match=complaint):
        load_gpt2(copy_of_tiny(tmp_path, settings, change))


def test_a_checkpoint_that_is_missing_or_damaged_is_refused(tmp_path):
    with pytest.raises(MinigptError, match=r"there is no file .*config\.json"):
        load_gpt2(tmp_path)
    weights = copy_of_tiny(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(MinigptError, match=r"model\.safetensors cannot be read"):
        load_gpt2(tmp_path)
    weights.unlink()
    with pytest.raises(MinigptError, match=r"model\.safetensors cannot be read"):
        load_gpt2(tmp_path)


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
    angles = rotary_angles(config)
    x = torch.randn(2, 4, config.context_length, config.head_width)
    pairs = torch.complex(*x.chunk(2, dim=-1)) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(rotate(x, angles.cos(), angles.sin()), torch.cat([pairs.real, pairs.imag], dim=-1))


# What must hold


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
    angles = rotary_angles(SMALL)
    query, key = torch.randn(2, SMALL.head_width)

    def product(i, j):
        turned = [rotate(x[None], angles[p : p + 1].cos(), angles[p : p + 1].sin()) for x, p in ((query, i), (key, j))]
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
