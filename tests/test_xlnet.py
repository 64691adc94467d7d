"""Tests of XLNet: published results, Hugging Face's, and what each order may see."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from minigpt.errors import MinigptError
from minigpt.family import load
from minigpt.xlnet import XLNet, XLNetConfig, order, relative_places, visible, xlnet_config

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "xlnet"
EXACT = 2e-4
SMALL = XLNetConfig(vocabulary_size=23, n_layers=2, n_heads=3, width=12, head_width=5, mlp_width=20)


@pytest.fixture(scope="module")
def published():
    if not GOLDEN.exists():
        pytest.skip(f"the golden checkpoints are not at {GOLDEN}")
    return load(GOLDEN)[0], load_file(GOLDEN / "golden.safetensors"), json.loads((GOLDEN / "golden.json").read_text())


def scrambled(config=SMALL):
    torch.manual_seed(0)
    model = XLNet(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@torch.no_grad()
def test_published_both_sides_with_padding_on_the_left(published):
    model, tensors, _ = published
    real = tensors["a_attention_mask"].bool()
    hidden = ~real[:, None].expand(-1, real.shape[1], -1)
    for name, segments in (("a_logits", tensors["a_token_type_ids"]), ("a_logits_no_segments", None)):
        logits, _ = model(tensors["a_input_ids"], hidden, segments=segments)
        assert (logits - tensors[name])[real].abs().max() < EXACT


@torch.no_grad()
def test_published_permutations(published):
    model, tensors, facts = published
    ids, hidden, segments = (tensors[f"b_{name}"] for name in ("input_ids", "perm_mask", "token_type_ids"))
    targets = torch.tensor(facts["b_predicted_positions"])
    assert torch.equal(tensors["b_target_mapping"].argmax(dim=-1), targets)
    logits, _ = model(ids, hidden, targets, segments)
    assert (logits - tensors["b_logits"]).abs().max() < EXACT
    loss = F.cross_entropy(logits.flatten(0, 1), tensors["b_labels"].flatten())
    assert loss.item() == pytest.approx(facts["b_loss"], abs=1e-5)
    assert (model(ids, hidden, segments=segments)[0] - tensors["b_logits_content_stream"]).abs().max() < EXACT
    for row, places in enumerate(facts["b_orders"]):  # the published masks are those of the published orders
        assert torch.equal(~visible(order(len(places), places)), hidden[row].bool())


@torch.no_grad()
def test_published_memory(published):
    model, tensors, _ = published
    first, memory = model(tensors["d_input_ids_1"])
    second, _ = model(tensors["d_input_ids_2"], memory=memory)
    assert (first - tensors["d_logits_1"]).abs().max() < EXACT
    assert (second - tensors["d_logits_2"]).abs().max() < EXACT


@torch.no_grad()
def test_published_greedy_tokens(published):
    model, _, facts = published
    for case in facts["greedy"]:
        ids = list(case["prompt"])
        for _ in range(20):  # a place at the end asks, and nobody sees it
            T = len(ids) + 1
            hidden = F.pad(torch.zeros(1, T, T - 1), (0, 1), value=1)
            logits, _ = model(torch.tensor([[*ids, 0]]), hidden, torch.tensor([[T - 1]]))
            ids.append(int(logits.argmax()))
        assert ids[len(case["prompt"]) :] == case["continuation"]


@torch.no_grad()
@pytest.mark.parametrize("seed", [0, 1])
def test_new_checkpoints_of_hugging_face(seed, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is in the extra 'reference'")
    torch.manual_seed(seed)
    sizes = {"vocab_size": 31, "d_model": 12 + 4 * seed, "n_layer": 2, "n_head": 2, "d_inner": 20 + seed}
    theirs = transformers.XLNetLMHeadModel(transformers.XLNetConfig(**sizes, layer_norm_eps=1e-6)).eval()
    for parameter in theirs.parameters():
        parameter.normal_(std=0.3)
    theirs.save_pretrained(tmp_path)
    ours, tokenizer = load(tmp_path)
    assert tokenizer is None
    ids, T = torch.randint(31, (3, 9)), 9
    hidden = ~visible(order(T, torch.randperm(T)[:6])).expand(3, -1, -1)
    targets = torch.tensor([3, 8]).expand(3, -1)
    mapping = F.one_hot(targets, T).float()
    expected = theirs(ids, perm_mask=hidden.float(), target_mapping=mapping).logits
    torch.testing.assert_close(ours(ids, hidden, targets)[0], expected, atol=EXACT, rtol=0)


# What must hold


def test_what_is_given_is_seen_by_all_and_the_rest_in_its_order():
    rank = order(5, [3, 0, 1])
    assert rank.tolist() == [1, 2, -1, 0, -1]
    assert visible(rank).int().tolist() == [
        [0, 0, 1, 1, 1],
        [1, 0, 1, 1, 1],
        [0, 0, 1, 0, 1],
        [0, 0, 1, 0, 1],
        [0, 0, 1, 0, 1],
    ]
    assert torch.equal(visible(torch.stack([rank, rank.flip(0)]))[1], visible(rank.flip(0)))


@torch.no_grad()
def test_a_target_sees_neither_itself_nor_what_comes_later_in_the_order():
    model, ids = scrambled(), torch.randint(23, (1, 8))
    rank = order(8, [4, 7, 2, 5, 3, 6])
    hidden, targets = ~visible(rank)[None], torch.arange(2, 8)[None]
    logits, _ = model(ids, hidden, targets)
    for place in range(8):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] + 1) % 23
        differs = (model(changed, hidden, targets)[0] != logits).any(dim=-1)[0]
        assert differs.tolist() == [bool(rank[target] > rank[place]) for target in range(2, 8)]


def test_log_probs_are_those_of_a_language_model():
    model, ids = scrambled(), torch.randint(23, (2, 7))
    found = model.log_probs(ids)
    assert found.exp().sum(dim=-1).sub(1).abs().max() < 1e-5
    for t in range(1, 8):
        torch.testing.assert_close(model.log_probs(ids[:, :t]), found[:, :t], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(model.advance(ids[:, :t])[0], found[:, t - 1], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_only_distance_counts():
    model, ids = scrambled(), torch.randint(23, (1, 6))
    alone, _ = model(ids)
    after, _ = model(
        torch.cat([torch.randint(23, (1, 4)), ids], dim=1), F.pad(torch.zeros(10, 6), (4, 0), value=1)[None]
    )
    torch.testing.assert_close(after[:, 4:], alone, atol=1e-5, rtol=1e-4)
    assert relative_places(3, 5, 12).shape == (8, 12)


@torch.no_grad()
def test_the_loss_is_the_chain_rule_in_the_order():
    model, ids = scrambled(), torch.randint(23, (2, 7))
    orders, nats = [[5, 2, 3], [1, 0, 6]], []
    for row, places in enumerate(orders):
        hidden, known = ~visible(order(7, places))[None], ids[row : row + 1].clone()
        known[:, places] = 0
        for place in places:  # each asked alone, before it and those after it are there
            logits, _ = model(known, hidden, torch.tensor([[place]]))
            known[0, place] = ids[row, place]
            nats.append(F.cross_entropy(logits[0], known[:, place]))
    loss = model.loss(ids, torch.stack([order(7, places) for places in orders]))
    torch.testing.assert_close(loss, torch.stack(nats).mean(), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_it_fills_in_one_after_the_other():
    model, ids = scrambled(), torch.randint(23, (2, 7))
    filled = model.fill(ids, [4, 2])
    changed = ids.clone()
    changed[:, [2, 4]] = (changed[:, [2, 4]] + 5) % 23
    assert torch.equal(model.fill(changed, [4, 2]), filled)  # what stood there is not looked at
    hidden, targets = ~visible(order(7, [4, 2])).expand(2, -1, -1), torch.tensor([[4, 2]] * 2)
    assert torch.equal(model(filled, hidden, targets)[0].argmax(dim=-1), filled[:, [4, 2]])  # the last knows the first


def test_it_learns():
    torch.manual_seed(0)
    model = XLNet(SMALL)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(300):
        ids = (torch.randint(23, (8, 1)) + torch.arange(10)) % 23  # one token tells all others
        loss = model.loss(ids, torch.stack([order(10, torch.randperm(10)[:4]) for _ in ids]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 3
    assert sum(losses[-10:]) / 10 < 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"attn_type": "uni"}, "sets attn_type to 'uni', but an XLNet is read with 'bi' only"),
        ({"clamp_len": 40}, "clamp_len"),
        ({"d_model": None}, "lacks 'd_model'"),
        ({"n_head": 0}, "sets n_head to 0, which cannot be"),
        ({"d_head": 1.5}, r"sets d_head to 1\.5, which cannot be"),
    ],
)
def test_what_ours_cannot_do_is_refused(change, complaint):
    facts = {"vocab_size": 9, "n_layer": 1, "n_head": 1, "d_model": 4, "d_inner": 8, "d_head": 4} | change
    with pytest.raises(MinigptError, match=complaint):
        xlnet_config({name: value for name, value in facts.items() if value is not None})
