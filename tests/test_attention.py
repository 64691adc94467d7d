"""Attention: PyTorch's values and gradients, what masks hide, the translator, the language model, and bad input."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minigpt.attention import (
    END,
    AdditiveAttention,
    AttentionLanguageModel,
    CausalMultiHeadAttention,
    Translator,
    attend,
    causal_mask,
    reverse,
    sinusoids,
)
from minigpt.errors import MinigptError
from minigpt.evaluation import score
from minigpt.sampling import Sampler, complete

V, CONTEXT = 11, 16


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def some_ids(*shape, seed=1, low=0):
    return torch.randint(low, V, shape, generator=torch.Generator().manual_seed(seed))


def relative_error(ours, theirs):
    """The largest difference, as a fraction of the largest value where that is above 1."""
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1)).item()


def a_model(seed=0, width=8, n_heads=2):
    torch.manual_seed(seed)
    return AttentionLanguageModel(V, CONTEXT, width, n_heads).eval()


def gradients(loss, leaves):
    return torch.autograd.grad(loss, leaves)


# Scaled dot product


@given(
    batch=st.integers(1, 3),
    heads=st.integers(1, 3),
    time=st.integers(1, 12),
    width=st.integers(1, 9),
    causal=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_values_and_gradients_are_those_of_scaled_dot_product_attention(batch, heads, time, width, causal, seed):
    torch.manual_seed(seed)
    inputs = [torch.randn(batch, heads, time, width, requires_grad=True) for _ in range(3)]
    ours, _ = attend(*inputs, causal_mask(time, time) if causal else None)
    theirs = F.scaled_dot_product_attention(*inputs, is_causal=causal)
    assert relative_error(ours, theirs) <= 1e-6
    direction = torch.randn(ours.shape)
    for our, their in zip(gradients((ours * direction).sum(), inputs), gradients((theirs * direction).sum(), inputs)):
        assert relative_error(our, their) <= 2e-6


def test_in_double_precision_it_agrees_to_1e_12():
    queries, keys, values = (random(2, 3, 40, 8, seed=seed, dtype=torch.float64) for seed in range(3))
    ours, _ = attend(queries, keys, values, causal_mask(40, 40))
    assert relative_error(ours, F.scaled_dot_product_attention(queries, keys, values, is_causal=True)) <= 1e-12


def test_weights_are_probabilities_and_zero_where_the_mask_hides():
    mask = causal_mask(5, 5)
    _, weights = attend(random(2, 5, 4), random(2, 5, 4, seed=1), random(2, 5, 3, seed=2), mask)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))
    assert (weights[:, ~mask] == 0).all()
    assert (weights[:, mask] > 0).all()


def test_a_key_far_above_the_others_is_looked_up_exactly():
    keys = torch.eye(4) * 100
    found, _ = attend(keys[2:3], keys, torch.arange(4.0)[:, None])
    assert found.item() == 2.0


def test_a_hidden_value_changes_nothing():
    queries, keys, values = (random(6, 4, seed=seed) for seed in range(3))
    before, _ = attend(queries, keys, values, causal_mask(6, 6))
    keys[4:], values[4:] = 1e6, 1e6
    after, _ = attend(queries, keys, values, causal_mask(6, 6))
    assert torch.equal(before[:4], after[:4])


@pytest.mark.parametrize(("n_new", "n_all"), [(1, 1), (1, 7), (3, 7), (7, 7)])
def test_each_new_position_sees_itself_and_all_before(n_new, n_all):
    mask = causal_mask(n_new, n_all)
    before = n_all - n_new
    assert mask.tolist() == [[column <= before + row for column in range(n_all)] for row in range(n_new)]


# Many heads


def twins(width, n_heads, seed, dtype=torch.float32):
    """Our module and PyTorch's, with the same random weights."""
    torch.manual_seed(seed)
    ours, theirs = CausalMultiHeadAttention(width, n_heads), nn.MultiheadAttention(width, n_heads, batch_first=True)
    for parameter in theirs.parameters():  # its biases start at zero, which would hide a mistake in ours
        nn.init.uniform_(parameter, -0.5, 0.5)
    ours.load_state_dict(theirs.state_dict())
    return ours.to(dtype), theirs.to(dtype)


def both(ours, theirs, x):
    """Outputs and weights of both, and the gradients of a random function of the outputs."""
    hidden = ~causal_mask(x.shape[1], x.shape[1])
    direction = random(*x.shape, seed=9, dtype=x.dtype)
    our_output, _, our_weights = ours(x)
    their_output, their_weights = theirs(x, x, x, attn_mask=hidden, average_attn_weights=False)
    results = []
    for module, output, weights in ((ours, our_output, our_weights), (theirs, their_output, their_weights)):
        names, parameters = zip(*module.named_parameters())
        found = gradients((output * direction).sum() / len(direction.flatten()), [x, *parameters])
        results.append({"output": output, "weights": weights, **dict(zip(["x", *names], found))})
    return results


@given(
    heads=st.integers(1, 4),
    head_width=st.integers(1, 6),
    batch=st.integers(1, 3),
    time=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
def test_values_and_gradients_are_those_of_multihead_attention(heads, head_width, batch, time, seed):
    modules = twins(heads * head_width, heads, seed)
    ours, theirs = both(*modules, torch.randn(batch, time, heads * head_width, requires_grad=True))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert relative_error(value, theirs[name]) <= 2e-6, name


def test_in_double_precision_many_heads_agree_to_1e_12():
    modules = twins(12, 3, seed=0, dtype=torch.float64)
    ours, theirs = both(*modules, random(2, 50, 12, dtype=torch.float64).requires_grad_())
    for name, value in ours.items():
        assert relative_error(value, theirs[name]) <= 1e-12, name


def test_the_equality_is_no_accident_of_symmetry():
    ours, theirs = twins(6, 2, seed=0)
    with torch.no_grad():
        ours.in_proj_weight.copy_(ours.in_proj_weight.flip(0))
    ours, theirs = both(ours, theirs, random(2, 9, 6).requires_grad_())
    assert relative_error(ours["output"], theirs["output"]) > 1e-2


def test_the_future_does_not_reach_back():
    module, _ = twins(8, 2, seed=0)
    x = random(1, 10, 8).requires_grad_()
    (gradient,) = gradients(module(x)[0][0, 4].sum(), [x])
    assert (gradient[0].abs().sum(dim=1) > 0).tolist() == [True] * 5 + [False] * 5


@pytest.mark.parametrize("cuts", [[1, 2, 3], [4], [1, 6], [8]])
def test_reading_in_parts_with_the_cache_is_reading_at_once(cuts):
    module, _ = twins(8, 2, seed=0)
    x = random(3, 9, 8)
    whole, _, _ = module(x)
    parts, cache = [], None
    for start, stop in zip([0, *cuts], [*cuts, 9]):
        found, cache, _ = module(x[:, start:stop], cache)
        parts.append(found)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)


# Additive attention and the translator


def test_additive_attention_is_the_plain_formula():
    torch.manual_seed(0)
    attention, query, values = AdditiveAttention(3, 4, 5), random(2, 3), random(2, 6, 4, seed=1)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    found, weights = attention(query, attention.of_value(values), values, mask)
    W, U, b, v = (attention.of_query.weight, attention.of_value.weight, attention.of_value.bias, attention.score.weight)
    for row, length in enumerate((6, 4)):
        scores = torch.stack([v[0] @ torch.tanh(W @ query[row] + U @ values[row, s] + b) for s in range(length)])
        expected = scores.exp() / scores.exp().sum()
        torch.testing.assert_close(weights[row, :length], expected)
        torch.testing.assert_close(found[row], sum(expected[s] * values[row, s] for s in range(length)))
    assert (weights[1, 4:] == 0).all()


def test_reverse_turns_each_row_within_its_length():
    x = torch.tensor([[1, 2, 3, 0, 0], [1, 2, 3, 4, 5]])[..., None]
    lengths = torch.tensor([3, 5])
    assert reverse(x, lengths)[0, :3, 0].tolist() == [3, 2, 1]
    assert reverse(x, lengths)[1, :, 0].tolist() == [5, 4, 3, 2, 1]
    assert torch.equal(reverse(reverse(x, lengths), lengths), x)


def copying_translator(steps=200):
    """A translator that has learned to write a sentence backwards."""
    torch.manual_seed(0)
    model = Translator(V, V, 24)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(steps):
        source, target = backwards(seed=step)
        optimizer.zero_grad()
        model(source, target).backward()
        optimizer.step()
    return model


def backwards(seed, rows=64, longest=5):
    lengths = torch.randint(1, longest + 1, (rows,), generator=torch.Generator().manual_seed(seed))
    source = some_ids(rows, longest, seed=seed, low=1) * (torch.arange(longest) < lengths[:, None])
    return source, F.pad(reverse(source[..., None], lengths)[..., 0], (0, 1))


@pytest.fixture(scope="module")
def translator():
    return copying_translator()


def test_a_translator_learns_to_write_backwards_and_looks_where_it_should(translator):
    source, target = backwards(seed=10_000, rows=300)
    written, weights = translator.translate(source, 6)
    right = (written == target).all(dim=1)
    assert right.float().mean() > 0.95
    full = (source != END).all(dim=1) & right
    assert weights.shape == (300, 6, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(300, 6))
    assert (weights[full][:, :5].mean(0).argmax(-1) == torch.arange(4, -1, -1)).float().mean() >= 0.6


def test_a_translation_does_not_depend_on_what_fills_up_the_batch(translator):
    source = torch.tensor([[3, 1, 4], [1, 5, 9]])
    alone, weights = translator.translate(source, 4)
    padded, padded_weights = translator.translate(F.pad(source, (0, 3), value=END), 4)
    assert torch.equal(alone, padded)
    torch.testing.assert_close(padded_weights[..., :3], weights)
    assert (padded_weights[..., 3:] == 0).all()


def test_the_loss_is_that_of_the_logits_step_by_step():
    torch.manual_seed(0)
    model, source, target = Translator(V, V, 6), some_ids(2, 4, low=1), some_ids(2, 3, seed=2)
    read = model.encode(source)
    state, nats, before = read.state, [], torch.full((2,), END)
    for truth in target.T:
        logits, state, _ = model.step(before, state, read)
        nats.append(-logits.log_softmax(-1).gather(1, truth[:, None]))
        before = truth
    torch.testing.assert_close(model(source, target), torch.cat(nats).mean())


def test_what_follows_the_end_is_the_end():
    written = []
    for seed in range(20):  # untrained models, of which some would go on
        torch.manual_seed(seed)
        written.append(Translator(V, 3, 6).translate(some_ids(40, 4, low=1), 12)[0])
    written = torch.cat(written)
    ended = (written == END).cumsum(dim=1) > 0
    assert 0 < ended.float().mean() < 1
    assert (written[ended] == END).all()


# The language model


def test_advance_with_its_cache_is_reading_anew():
    model, ids = a_model(), some_ids(3, 15)
    expected = model.log_probs(ids)
    log_probs, state = model.advance(ids[:, :4])
    torch.testing.assert_close(log_probs, expected[:, 3])
    for start, stop in [(4, 5), (5, 6), (6, 11), (11, 15)]:
        log_probs, state = model.advance(ids[:, start:stop], state)
        torch.testing.assert_close(log_probs, expected[:, stop - 1])


def test_an_older_state_is_still_good_after_going_on():
    model, ids = a_model(), some_ids(1, 6)
    _, state = model.advance(ids[:, :3])
    first, _ = model.advance(ids[:, 3:], state)
    again, _ = model.advance(ids[:, 3:], state)
    assert torch.equal(first, again)


def test_a_full_context_forgets_its_older_half():
    model, ids = a_model(), some_ids(2, CONTEXT + 1)
    _, state = model.advance(ids[:, :CONTEXT])
    log_probs, state = model.advance(ids[:, CONTEXT:], state)
    torch.testing.assert_close(log_probs, model.log_probs(ids[:, -CONTEXT // 2 :])[:, -1])
    assert state.ids.shape[1] == state.cache[0].shape[2] == CONTEXT // 2


def test_generation_goes_on_past_the_context():
    model = a_model()
    written = complete(model, some_ids(2, 3), 5 * CONTEXT, Sampler(), seed=0)
    assert written.shape == (2, 5 * CONTEXT)


def test_log_probs_are_distributions_and_the_loss_is_their_mean():
    model, ids = a_model(), some_ids(2, 9)
    log_probs = model.log_probs(ids[:, :-1])
    assert log_probs.shape == (2, 8, V)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 8))
    nats = -log_probs.gather(2, ids[:, 1:, None]).mean()
    torch.testing.assert_close(model(ids[:, :-1], ids[:, 1:]).detach(), nats)


def test_no_prediction_depends_on_a_later_token():
    model, ids = a_model(), some_ids(1, 10)
    changed = ids.clone()
    changed[:, 6:] = (ids[:, 6:] + 1) % V
    before, after = model.log_probs(ids), model.log_probs(changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6:], after[:, 6:])


def test_with_a_wrong_mask_a_prediction_does_depend_on_a_later_token():
    model, ids = a_model(), some_ids(1, 10)
    model.attention.mask = lambda n_new, n_all: torch.ones(n_new, n_all, dtype=torch.bool)
    changed = ids.clone()
    changed[:, 6:] = (ids[:, 6:] + 1) % V
    assert not torch.allclose(model.log_probs(ids)[:, :6], model.log_probs(changed)[:, :6])


def test_training_learns_what_needs_a_look_back():
    """The last token repeats the first one, four steps later."""
    torch.manual_seed(0)
    model = AttentionLanguageModel(V, 8, 24, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    ids = torch.zeros(V, 5, dtype=torch.long)
    ids[:, 0] = ids[:, -1] = torch.arange(V)
    for _ in range(200):
        optimizer.zero_grad()
        model(ids[:, :-1], ids[:, 1:]).backward()
        optimizer.step()
    assert (model.log_probs(ids[:, :-1])[:, -1].argmax(-1) == torch.arange(V)).all()


def test_evaluation_takes_it_as_it_is_also_past_its_context():
    model, document = a_model(), some_ids(2 * CONTEXT).tolist()
    (scores,) = score(model, [document], end_of_text=0)
    assert len(scores.nats) == 2 * CONTEXT + 1
    expected = -model.log_probs(torch.tensor([[0, *document[: CONTEXT - 1]]]))[0, range(CONTEXT), document[:CONTEXT]]
    torch.testing.assert_close(torch.from_numpy(scores.nats[:CONTEXT]).float(), expected)


def test_so_many_steps_back_is_one_rotation_everywhere():
    waves = sinusoids(50, 8)
    assert waves.shape == (50, 8)
    products = waves @ waves.T
    for steps in (1, 5, 20):
        along = products.diagonal(steps)
        torch.testing.assert_close(along, along[:1].expand_as(along))
    assert waves[3, 0] == pytest.approx(math.sin(3))
    assert waves[3, 5] == pytest.approx(math.cos(3 / 10))


# Bad input


@pytest.mark.parametrize(("width", "n_heads"), [(8, 3), (0, 1), (4, 0), (4, 8)])
def test_heads_that_cannot_share_the_width_are_refused(width, n_heads):
    with pytest.raises(MinigptError, match=f"{n_heads} heads cannot share a width of {width}"):
        CausalMultiHeadAttention(width, n_heads)


def test_queries_and_keys_of_other_widths_are_refused():
    with pytest.raises(MinigptError, match="queries are 3 wide and keys 4"):
        attend(torch.zeros(2, 3), torch.zeros(5, 4), torch.zeros(5, 4))


def test_a_mask_that_leaves_nothing_is_refused():
    mask = causal_mask(3, 3)
    mask[0, 0] = False
    with pytest.raises(MinigptError, match="hides every key from some query"):
        attend(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 2), mask)


def test_an_empty_sentence_is_refused():
    with pytest.raises(MinigptError, match="a source sentence is empty"):
        Translator(V, V, 4).translate(torch.tensor([[1, 2], [END, END]]), 3)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 8, 4, 1), "vocabulary_size is 0"),
        ((V, 0, 4, 1), "context_length is 0"),
        ((V, 8, 3, 1), "width is 3, but sines"),
        ((V, 8, 4, 3), "3 heads"),
    ],
)
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(MinigptError, match=message):
        AttentionLanguageModel(*sizes)


@pytest.mark.parametrize("id", [V, -1])
def test_a_token_outside_the_vocabulary_is_refused(id):
    model, ids = a_model(), torch.tensor([[0, id]])
    with pytest.raises(MinigptError, match=f"vocabulary ends at {V - 1}"):
        model.log_probs(ids)
    with pytest.raises(MinigptError, match=f"vocabulary ends at {V - 1}"):
        model.advance(ids)


def test_more_tokens_than_the_context_are_refused():
    for read in (a_model().log_probs, a_model().advance):
        with pytest.raises(MinigptError, match=f"{CONTEXT + 1} tokens do not fit"):
            read(some_ids(1, CONTEXT + 1))
