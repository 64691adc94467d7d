"""Recurrent networks: PyTorch's values and gradients, the state at hand, the language model, and bad input."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minigpt.errors import MinigptError
from minigpt.evaluation import score
from minigpt.recurrent import CELLS, GRU, LSTM, ElmanRNN, RecurrentLanguageModel
from minigpt.sampling import Sampler, complete

TWINS = {"elman": (ElmanRNN, nn.RNN), "lstm": (LSTM, nn.LSTM), "gru": (GRU, nn.GRU)}
every_cell = pytest.mark.parametrize("cell", TWINS)
V = 11


def twins(cell, input_width, width, n_layers, seed):
    """Our network and PyTorch's, with the same weights."""
    ours, theirs = TWINS[cell]
    torch.manual_seed(seed)
    reference = theirs(input_width, width, n_layers, batch_first=True)
    network = ours(input_width, width, n_layers)
    network.load_state_dict(reference.state_dict())
    return network, reference


def some_state(network, batch):
    """A random state (drawn after the weights, so the seed of `twins` makes it too)."""
    shape = (network.n_layers, batch, network.width)
    return tuple(torch.randn(shape) for _ in range(network.n_states))


def as_tuple(state):
    """PyTorch's RNN and GRU give their hidden state alone."""
    return state if isinstance(state, tuple) else (state,)


def relative_error(ours, theirs):
    """The largest difference, as a fraction of the largest value where that is above 1."""
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1)).item()


def a_model(cell, n_layers=2, seed=0):
    torch.manual_seed(seed)
    return RecurrentLanguageModel(V, 8, cell, n_layers).eval()


def some_ids(*shape, seed=1):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(seed))


# Beside PyTorch


def values_and_gradients(module, x, state, seed):
    """What a network puts out, and the gradients of a random function of it, by name."""
    leaves = {"x": x, **{f"state {i}": part for i, part in enumerate(state)}}
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in leaves.items()}
    given = tuple(leaves.values())[1:] or None
    outputs, end = module(leaves["x"], given[0] if given and isinstance(module, nn.RNN | nn.GRU) else given)
    values = {"outputs": outputs, **{f"end {i}": part for i, part in enumerate(as_tuple(end))}}
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(value.shape, generator=generator, dtype=x.dtype) for value in values.values()]
    loss = sum((value * weight).sum() for value, weight in zip(values.values(), weights)) / x[..., 0].numel()
    leaves |= dict(module.named_parameters())
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return values | {f"gradient of {name}": gradient for name, gradient in zip(leaves, gradients)}


@every_cell
@given(
    input_width=st.integers(1, 9),
    width=st.integers(1, 12),
    n_layers=st.integers(1, 3),
    batch=st.integers(1, 4),
    time=st.integers(1, 40),
    given_state=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_values_and_gradients_are_pytorchs(cell, input_width, width, n_layers, batch, time, given_state, seed):
    network, reference = twins(cell, input_width, width, n_layers, seed)
    x = torch.randn(batch, time, input_width)
    state = some_state(network, batch) if given_state else ()
    theirs = values_and_gradients(reference, x, state, seed)
    for name, ours in values_and_gradients(network, x, state, seed).items():
        assert relative_error(ours, theirs[name]) <= 1e-6, name


@every_cell
@pytest.mark.parametrize("given_state", [False, True])
def test_in_double_precision_they_agree_to_1e_12(cell, given_state):
    """Large weights make rounding errors grow with time; in float64 they stay far below what a wrong formula does."""
    network, reference = (module.double() for module in twins(cell, 5, 8, 3, seed=0))
    with torch.no_grad():
        for parameter in (*network.parameters(), *reference.parameters()):
            parameter.mul_(2)
    x = torch.randn(3, 30, 5, dtype=torch.float64)
    state = tuple(part.double() for part in some_state(network, 3)) if given_state else ()
    theirs = values_and_gradients(reference, x, state, seed=0)
    for name, ours in values_and_gradients(network, x, state, seed=0).items():
        assert relative_error(ours, theirs[name]) <= 1e-12, name


@every_cell
def test_a_long_sequence_agrees_too(cell):
    network, reference = twins(cell, 6, 16, 2, seed=0)
    x = torch.randn(2, 1000, 6, generator=torch.Generator().manual_seed(0))
    assert relative_error(network(x)[0], reference(x)[0]) <= 1e-6


@every_cell
def test_the_equality_is_no_accident_of_symmetry(cell):
    """With the rows of the weights in another order, and so the gates, the values differ."""
    network, reference = twins(cell, 5, 6, 1, seed=0)
    x = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.flip(0))
    assert relative_error(network(x)[0], reference(x)[0]) > 1e-2


@every_cell
def test_weights_start_as_pytorchs_do(cell):
    ours, theirs = TWINS[cell]
    network, reference = ours(50, 100), theirs(50, 100)
    for (name, ours), (their_name, theirs) in zip(network.named_parameters(), reference.named_parameters()):
        assert (name, ours.shape) == (their_name, theirs.shape)
        assert ours.abs().max() <= 0.1
        assert ours.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.2)


# The state


@every_cell
@pytest.mark.parametrize("cut", [1, 7, 12])
def test_reading_in_two_parts_is_reading_at_once(cell, cut):
    network, _ = twins(cell, 4, 6, 2, seed=0)
    x = torch.randn(3, 13, 4, generator=torch.Generator().manual_seed(0))
    whole, end = network(x)
    first, state = network(x[:, :cut])
    second, same_end = network(x[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(same_end, end)


@every_cell
def test_the_future_does_not_reach_back(cell):
    network, _ = twins(cell, 4, 6, 2, seed=0)
    x = torch.randn(1, 10, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0][0, 4].sum(), x)
    reached = gradient[0].abs().sum(dim=1) > 0
    assert reached.tolist() == [True] * 5 + [False] * 5


def test_an_open_forget_gate_and_a_shut_input_gate_keep_the_cells():
    network = LSTM(3, 4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.bias_ih_l0[:4] = -100.0  # the input gate
        network.bias_ih_l0[4:8] = 100.0  # the forget gate
    cells = torch.tensor([[[0.5, -1.0, 2.0, 0.0]]])
    _, (_, end) = network(torch.randn(1, 200, 3), (torch.zeros(1, 1, 4), cells))
    assert torch.equal(end, cells)


# The language model


@every_cell
def test_advance_with_its_state_is_reading_anew(cell):
    model, ids = a_model(cell), some_ids(3, 15)
    expected = model.log_probs(ids)
    log_probs, state = model.advance(ids[:, :4])
    torch.testing.assert_close(log_probs, expected[:, 3])
    for start, stop in [(4, 5), (5, 6), (6, 11), (11, 15)]:
        log_probs, state = model.advance(ids[:, start:stop], state)
        torch.testing.assert_close(log_probs, expected[:, stop - 1])


@every_cell
def test_an_older_state_is_still_good_after_going_on(cell):
    model, ids = a_model(cell), some_ids(1, 6)
    _, state = model.advance(ids[:, :3])
    first, _ = model.advance(ids[:, 3:], state)
    again, _ = model.advance(ids[:, 3:], state)
    assert torch.equal(first, again)


@every_cell
def test_the_state_does_not_grow(cell):
    model = a_model(cell)
    _, after_one = model.advance(some_ids(2, 1))
    _, after_many = model.advance(some_ids(2, 300))
    assert [part.shape for part in after_one] == [part.shape for part in after_many]


@every_cell
def test_log_probs_are_distributions_and_the_loss_is_their_mean(cell):
    model, ids = a_model(cell), some_ids(2, 9)
    log_probs = model.log_probs(ids[:, :-1])
    assert log_probs.shape == (2, 8, V)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 8))
    nats = -log_probs.gather(2, ids[:, 1:, None]).mean()
    torch.testing.assert_close(model(ids[:, :-1], ids[:, 1:]).detach(), nats)


@every_cell
def test_training_learns_what_needs_memory(cell):
    """The last token repeats the first one, four steps later: nothing but memory tells which."""
    torch.manual_seed(0)
    model = RecurrentLanguageModel(V, 24, cell)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    ids = torch.zeros(V, 5, dtype=torch.long)
    ids[:, 0] = ids[:, -1] = torch.arange(V)
    for _ in range(300):
        optimizer.zero_grad()
        model(ids[:, :-1], ids[:, 1:]).backward()
        optimizer.step()
    assert (model.log_probs(ids[:, :-1])[:, -1].argmax(-1) == torch.arange(V)).all()


@every_cell
def test_evaluation_and_generation_take_it_as_it_is(cell):
    model = a_model(cell)
    (scores,) = score(model, [[1, 2, 3]], end_of_text=0)
    expected = -model.log_probs(torch.tensor([[0, 1, 2, 3]]))[0, torch.arange(4), torch.tensor([1, 2, 3, 0])]
    torch.testing.assert_close(torch.from_numpy(scores.nats).float(), expected)
    written = complete(model, torch.zeros(2, 1, dtype=torch.long), 12, Sampler(temperature=0))
    anew = torch.zeros(2, 1, dtype=torch.long)
    for _ in range(12):
        anew = torch.cat([anew, model.log_probs(anew)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(written, anew[:, 1:])


# Bad input


def test_an_unknown_cell_offers_the_nearest():
    with pytest.raises(MinigptError, match="no recurrent cell 'lsmt'; did you mean lstm"):
        RecurrentLanguageModel(V, 8, "lsmt")


@pytest.mark.parametrize("cell", CELLS.values())
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 8, 1), "input_width is 0, but must be at least 1"),
        ((4, 0, 1), "width is 0, but must be at least 1"),
        ((4, 8, 0), "n_layers is 0, but must be at least 1"),
        ((4, -3, 1), "width is -3, but must be at least 1"),
    ],
)
def test_sizes_below_one_are_refused(cell, sizes, message):
    with pytest.raises(MinigptError, match=message):
        cell(*sizes)


def test_a_language_model_without_width_or_vocabulary_is_refused():
    with pytest.raises(MinigptError, match="width is 0"):
        RecurrentLanguageModel(V, 0)
    with pytest.raises(MinigptError, match="vocabulary_size is 0"):
        RecurrentLanguageModel(0, 8)


@pytest.mark.parametrize("id", [V, -1])
def test_a_token_outside_the_vocabulary_is_refused(id):
    model = a_model("lstm")
    ids = torch.tensor([[0, id]])
    with pytest.raises(MinigptError, match=f"vocabulary ends at {V - 1}"):
        model.log_probs(ids)
    with pytest.raises(MinigptError, match=f"vocabulary ends at {V - 1}"):
        model.advance(ids)


@every_cell
@pytest.mark.parametrize("shape", [(2, 0, 4), (2, 3, 5), (3, 4)], ids=["no time", "wrong width", "no batch"])
def test_an_input_of_another_shape_is_refused(cell, shape):
    with pytest.raises(MinigptError, match="but must be"):
        CELLS[cell](4, 6)(torch.zeros(shape))


def test_a_state_of_another_network_is_refused():
    x = torch.zeros(2, 3, 4)
    _, hidden_only = GRU(4, 6)(x)
    with pytest.raises(MinigptError, match="must be 2 of shape"):
        LSTM(4, 6)(x, hidden_only)
    _, other_batch = LSTM(4, 6)(x[:1])
    with pytest.raises(MinigptError, match=r"must be 2 of shape \(1, 2, 6\)"):
        LSTM(4, 6)(x, other_batch)
