"""Tests of T5: published results, Hugging Face's, distances, and spans cut out and put back."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from minigpt.errors import MinigptError
from minigpt.family import load
from minigpt.t5 import T5, T5Config, buckets, corrupt, cut, restore, t5_config

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"
EXACT = 2e-4
SMALL = T5Config(23, 2, 2, n_heads=3, width=12, head_width=5, mlp_width=20, n_buckets=8, longest_distance=16)


@pytest.fixture(scope="module", params=["t5_v1_0", "t5_v1_1"])
def published(request):
    folder = GOLDEN / request.param
    if not folder.exists():
        pytest.skip(f"the golden checkpoints are not at {GOLDEN}")
    return load(folder)[0], load_file(folder / "golden.safetensors"), json.loads((folder / "golden.json").read_text())


@torch.no_grad()
def test_published_states_logits_and_losses(published):
    model, tensors, facts = published
    source, mask, labels = (tensors[name] for name in ("input_ids", "attention_mask", "labels"))
    states = model.encoder(model.embedding(source), mask)
    assert (states - tensors["encoder_last_hidden_state"])[mask.bool()].abs().max() < EXACT
    logits = model(source, tensors["decoder_input_ids"], mask)
    assert (logits - tensors["logits"])[tensors["decoder_attention_mask"].bool()].abs().max() < EXACT
    assert model.loss(source, labels, mask).item() == pytest.approx(facts["loss_batch"], abs=1e-5)
    lengths = zip(facts["source_lengths"], facts["target_lengths"], facts["loss_per_sequence"], strict=True)
    for row, (source_length, target_length, loss) in enumerate(lengths):  # alone, and without padding
        alone = model.loss(source[row : row + 1, :source_length], labels[row : row + 1, :target_length])
        assert alone.item() == pytest.approx(loss, abs=1e-5)


@torch.no_grad()
def test_published_greedy_tokens_with_and_without_a_cache(published):
    model, _, facts = published
    for case in facts["greedy"]:
        source = torch.tensor([case["source"]])
        assert model.write(source, 20)[0].tolist() == case["continuation"]
        ids = torch.tensor([[facts["decoder_start_token_id"]]])
        for _ in range(20):
            ids = torch.cat([ids, model(source, ids)[:, -1:].argmax(dim=-1)], dim=1)
        assert ids[0, 1:].tolist() == case["continuation"]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["relu", "gated-gelu"])
def test_new_checkpoints_of_hugging_face(kind, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'reference'")
    torch.manual_seed(len(kind))
    config = transformers.T5Config(
        vocab_size=41, d_model=14, d_kv=5, d_ff=22, num_layers=3, num_decoder_layers=1, num_heads=3,
        relative_attention_num_buckets=12, relative_attention_max_distance=31, feed_forward_proj=kind,
        tie_word_embeddings=kind == "relu", decoder_start_token_id=0,
    )  # fmt: skip
    theirs = transformers.T5ForConditionalGeneration(config).eval()
    for parameter in theirs.parameters():
        parameter.normal_(std=0.3)
    theirs.save_pretrained(tmp_path)
    ours, _ = load(tmp_path)
    source, ids = torch.randint(1, 41, (3, 50)), torch.randint(1, 41, (3, 40))
    expected = theirs(input_ids=source, decoder_input_ids=ids).logits
    torch.testing.assert_close(ours(source, ids), expected, atol=EXACT, rtol=0)


# What must hold


def slow_bucket(distance, n, longest, both_sides):
    side = 0
    if both_sides:
        n //= 2
        side, distance = (n if distance > 0 else 0), -abs(distance)
    back = max(0, -distance)
    if back < n // 2:
        return side + back
    share = math.log(back / (n // 2)) / math.log(longest / (n // 2))
    return side + min(n - 1, n // 2 + int(share * (n - n // 2)))


@pytest.mark.parametrize("both_sides", [True, False])
@pytest.mark.parametrize(("n", "longest"), [(32, 128), (8, 19), (10, 23)])
def test_buckets_are_those_of_the_paper(both_sides, n, longest):
    distances = range(-200, 201)
    found = buckets(torch.tensor(distances), n, longest, both_sides).tolist()
    assert found == [slow_bucket(distance, n, longest, both_sides) for distance in distances]
    assert set(found) == set(range(n)) - ({n // 2} if both_sides else set())  # a key just here is never "later"


@given(st.integers(4, 60), st.floats(0.05, 0.5), st.floats(1, 5), st.integers(0, 10**6))
def test_no_token_is_lost_between_source_and_target(length, share, mean, seed):
    ids, sentinels = list(range(length)), list(range(1000, 1100))
    try:
        spans = cut(length, share, mean, torch.Generator().manual_seed(seed))
    except MinigptError:
        count = max(1, round(share * length))
        assert length - count < max(1, round(count / mean)) - 1
        return
    source, target = corrupt(ids, spans, sentinels)
    assert restore(source, target, sentinels) == ids
    assert [id for id in source if id >= 1000] == sentinels[: len(spans)]
    assert [id for id in target if id >= 1000] == sentinels[: len(spans) + 1]
    assert len(target) - len(spans) - 1 == max(1, round(share * length))


def test_cut_out_is_where_chance_has_it():
    places = torch.zeros(20)
    for seed in range(400):
        places[[place for span in cut(20, 0.25, 2.5, torch.Generator().manual_seed(seed)) for place in span]] += 1
    assert places.min() > 0  # the first token and the last, too


@torch.no_grad()
def test_the_decoder_does_not_see_the_future_and_the_encoder_sees_both_sides():
    torch.manual_seed(0)
    model = T5(SMALL).eval()
    source, ids = torch.randint(23, (1, 9)), torch.randint(23, (1, 8))
    logits = model(source, ids)
    changed = F.pad(ids[:, 1:], (0, 1), value=3)
    assert torch.equal(
        model(source, F.pad(ids[:, :-1], (0, 1), value=int(ids[0, -1] + 1) % 23))[:, :-1], logits[:, :-1]
    )
    assert not torch.equal(model(source, changed)[:, 1:], logits[:, 1:])
    other = source.clone()
    other[0, -1] = (other[0, -1] + 1) % 23
    assert not torch.allclose(model(other, ids)[:, 0], logits[:, 0])
    torch.testing.assert_close(model.log_probs(ids)[:, :3], model.log_probs(ids[:, :3]), atol=1e-5, rtol=1e-4)


def test_it_learns_to_fill_in():
    torch.manual_seed(0)
    model, generator = T5(SMALL), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(200):
        pairs = [
            corrupt([2 + (start + i) % 10 for i in range(12)], cut(12, 0.25, 1.5, generator), [20, 21, 22])
            for start in range(8)
        ]
        loss = model.loss(*(torch.tensor(side) for side in zip(*pairs, strict=True)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 2.5
    assert sum(losses[-10:]) / 10 < 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"feed_forward_proj": "silu"}, "a T5 has relu or gated-gelu"),
        ({"d_kv": None}, "lacks 'd_kv'"),
        ({"d_ff": 0}, "sets d_ff to 0, which cannot be"),
        ({"num_decoder_layers": "two"}, "sets num_decoder_layers to 'two', which cannot be"),
        ({"layer_norm_epsilon": "small"}, "sets layer_norm_epsilon to 'small', which cannot be"),
        ({"decoder_start_token_id": 9}, "the token 9, which is not in the vocabulary"),
    ],
)
def test_what_ours_cannot_do_is_refused(change, complaint):
    facts = {"vocab_size": 9, "num_layers": 1, "num_heads": 1, "d_model": 4, "d_ff": 8, "d_kv": 4} | change
    with pytest.raises(MinigptError, match=complaint):
        t5_config({name: value for name, value in facts.items() if value is not None})
    with pytest.raises(MinigptError, match="give longer texts"):
        cut(4, 0.9, 1, torch.Generator())
    with pytest.raises(MinigptError, match="2 spans need 3 sentinels, not 2"):
        corrupt(range(5), [range(1), range(2, 3)], [8, 9])
