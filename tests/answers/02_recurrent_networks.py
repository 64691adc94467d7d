"""Answers to the exercises of chapter 02, right and wrong."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from minigpt.recurrent import LSTM, RecurrentNetwork

# 1: forget_bias -----------------------------------------------------------------------------------------------------


@right  # solved for b: 1 / (1 + exp(-b)) = 2 ** (-1 / n)
def forget_bias(half_life):
    return -math.log(2 ** (1 / half_life) - 1)


@right  # PyTorch's inverse of sigma, in float64, as a tensor
def forget_bias(half_life):
    return torch.logit(torch.tensor(0.5, dtype=torch.float64) ** (1 / half_life))


@right  # NumPy, in a precise form
def forget_bias(half_life, share=0.5):
    return -np.log(np.expm1(-np.log(share) / half_life))


@right  # by trying
def forget_bias(half_life):
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if (1 / (1 + math.exp(-middle))) ** half_life < 0.5:
            low = middle
        else:
            high = middle
    return low


@right  # an array of no dimension
def forget_bias(half_life):
    share = np.exp(np.array(-np.log(2) / half_life))
    return np.array(np.log(share) - np.log1p(-share))


@wrong("return one number")  # in a list
def forget_bias(half_life):
    share = np.array([0.5 ** (1 / half_life)])
    return np.log(share / (1 - share))


@wrong("that is the share itself")
def forget_bias(half_life):
    return 0.5 ** (1 / half_life)


@wrong("its sign is turned round")
def forget_bias(half_life):
    share = 0.5 ** (1 / half_life)
    return math.log((1 - share) / share)


@wrong("its sign is turned round")  # what is lost instead of what is kept
def forget_bias(half_life):
    share = 1 - 0.5 ** (1 / half_life)
    return math.log(share / (1 - share))


@wrong("one half, not 1 / e, should be left")
def forget_bias(half_life):
    share = math.exp(-1 / half_life)
    return math.log(share / (1 - share))


@wrong("that is the half-life of one step more")
def forget_bias(half_life):
    share = 0.5 ** (1 / (half_life + 1))
    return math.log(share / (1 - share))


@wrong("that is the half-life of one step less")
def forget_bias(half_life):
    if half_life == 1:
        return 0.0
    share = 0.5 ** (1 / (half_life - 1))
    return math.log(share / (1 - share))


@wrong("ZeroDivisionError")
def forget_bias(half_life):
    share = 0.5 ** (1 / (half_life - 1))
    return math.log(share / (1 - share))


@wrong("what must sigma(b) be?")  # the same amount at each step, not the same share
def forget_bias(half_life):
    share = 1 - 0.5 / half_life
    return math.log(share / (1 - share))


@wrong("what must sigma(b) be?")  # whole steps only: 1 // n is 0
def forget_bias(half_life):
    share = min(0.5 ** (1 // half_life), 0.999)
    return math.log(share / (1 - share))


@wrong("what must sigma(b) be?")  # the share after n steps instead of the share of one
def forget_bias(half_life):
    share = 0.5**half_life
    return math.log(share / (1 - share))


@wrong("what must sigma(b) be?")  # the inverse of tanh
def forget_bias(half_life):
    return math.atanh(0.5 ** (1 / half_life))


@wrong("what must sigma(b) be?")  # the logarithm of the share alone
def forget_bias(half_life):
    return math.log(0.5 ** (1 / half_life))


@wrong("what must sigma(b) be?")  # for n = 1 only
def forget_bias(half_life):
    return 0.0


@wrong("what must sigma(b) be?")  # logarithm to base 2
def forget_bias(half_life):
    share = 0.5 ** (1 / half_life)
    return math.log2(share / (1 - share))


@wrong("what must sigma(b) be?")  # rounded
def forget_bias(half_life):
    share = 0.5 ** (1 / half_life)
    return round(math.log(share / (1 - share)))


@wrong("what must sigma(b) be?")  # the bias of the first call is kept
def forget_bias(half_life, known={}):
    share = 0.5 ** (1 / half_life)
    return known.setdefault("bias", math.log(share / (1 - share)))


@wrong("return one number")  # with the share
def forget_bias(half_life):
    share = 0.5 ** (1 / half_life)
    return share, math.log(share / (1 - share))


@wrong("return one number")
def forget_bias(half_life):
    share = 0.5 ** (1 / half_life)
    return f"{math.log(share / (1 - share)):.6f}"


@wrong("nothing comes back")
def forget_bias(half_life):
    share = 0.5 ** (1 / half_life)
    print(math.log(share / (1 - share)))


# 2: counter ---------------------------------------------------------------------------------------------------------


@right  # the data of the weights
def counter(network):
    network.weight_ih_l0.data = torch.tensor([[0.0, 0.0], [0.0, 0.0], [50.0, -50.0], [0.0, 0.0]])
    network.weight_hh_l0.data.fill_(0)
    network.bias_ih_l0.data = torch.tensor([50.0, 50.0, 0.0, 0.0])
    network.bias_hh_l0.data.zero_()


@right  # loaded
def counter(network):
    weights = {name: torch.zeros_like(weight) for name, weight in network.state_dict().items()}
    weights["weight_ih_l0"][:2] = 40.0  # gates that are opened by whatever comes
    weights["weight_ih_l0"][2] = torch.tensor([60.0, -60.0])
    network.load_state_dict(weights)


@right  # from the bias to one side, by the input to the other; and the network is returned
def counter(network):
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        network.weight_ih_l0[2, 1] = -200.0
        network.bias_hh_l0 += torch.tensor([30.0, 30.0, 100.0, -30.0])
    return network


@right  # filled, block by block
def counter(network):
    with torch.no_grad():
        for block in range(4):
            network.weight_ih_l0[block] = torch.tensor([99.0, -99.0]) * (block == 2)
            network.weight_hh_l0[block] = network.bias_hh_l0[block] = 0.0
            network.bias_ih_l0[block] = 99.0 * (block < 2)


@right  # so large that the hidden state cannot turn anything round
def counter(network):
    with torch.no_grad():
        network.weight_ih_l0.zero_()
        network.weight_ih_l0[2] = torch.tensor([500.0, -500.0])
        network.bias_ih_l0[:] = torch.tensor([500.0, 500.0, 0.0, 0.0])


@wrong("no weight of the network has changed")
def counter(network):
    network = LSTM(2, 1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([100.0, -100.0])
        network.bias_ih_l0[:2] = 100.0
    return network


@wrong("no weight of the network has changed")  # other parameters in the place of those
def counter(network):
    network.weight_ih_l0 = nn.Parameter(torch.tensor([[0.0, 0.0], [0.0, 0.0], [100.0, -100.0], [0.0, 0.0]]))
    network.weight_hh_l0 = nn.Parameter(torch.zeros(4, 1))
    network.bias_ih_l0 = nn.Parameter(torch.tensor([100.0, 100.0, 0.0, 0.0]))
    network.bias_hh_l0 = nn.Parameter(torch.zeros(4))


@wrong("RuntimeError: a view of a leaf Variable that requires grad")
def counter(network):
    network.weight_ih_l0[2] = torch.tensor([100.0, -100.0])
    network.bias_ih_l0[:2] = 100.0


@wrong("input gate open, and the candidate's sum large")  # the wrong way
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([-100.0, 100.0])
        network.bias_ih_l0[:2] = 100.0


@wrong("input gate open, and the candidate's sum large")  # tanh(1) is not 1
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([1.0, -1.0])
        network.bias_ih_l0[:2] = 100.0


@wrong("input gate open, and the candidate's sum large")  # a bias of 1 is not yet a gate of 1
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([100.0, -100.0])
        network.bias_ih_l0[:2] = 1.0


@wrong("input gate open, and the candidate's sum large")  # the candidate looked for in the last row
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[3] = torch.tensor([100.0, -100.0])
        network.bias_ih_l0[:2] = 100.0


@wrong("input gate open, and the candidate's sum large")  # the input gate stands half open
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([100.0, -100.0])
        network.bias_ih_l0[1] = 100.0


@wrong("input gate open, and the candidate's sum large")  # counts only up: the input gate shuts for [0, 1]
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[0] = torch.tensor([100.0, -100.0])
        network.bias_ih_l0[1:3] = 100.0


@wrong("is the forget gate open?")  # half of it is lost at each step
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([100.0, -100.0])
        network.bias_ih_l0[0] = 100.0


@wrong("is the forget gate open?")  # to forget nothing it shuts the gate
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([100.0, -100.0])
        network.bias_ih_l0[:2] = torch.tensor([100.0, -100.0])


@wrong("is the forget gate open?")  # open for [1, 0] only
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[1:3] = torch.tensor([100.0, -100.0])
        network.bias_ih_l0[0] = 100.0


@wrong("does the hidden state have a say?")
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([100.0, -100.0])
        network.weight_hh_l0[:2] = 100.0
        network.bias_ih_l0[:2] = 20.0


@wrong("does the hidden state have a say?")  # the candidate stays above 0 where much was counted
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([9.0, -9.0])
        network.weight_hh_l0[2] = 9.0
        network.bias_ih_l0[:2] = 100.0


@wrong("gates that are nearly shut or open are not enough")
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([10.0, -10.0])
        network.bias_ih_l0[:2] = 9.0


@wrong("gates that are nearly shut or open are not enough")
def counter(network):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([4.0, -4.0])
        network.bias_ih_l0[:2] = 50.0


# 3: read_in_pieces --------------------------------------------------------------------------------------------------


@right  # slices
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for start in range(0, x.shape[1], length):
        output, state = read(x[:, start : start + length], state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


@right  # a list, filled in beforehand
def read_in_pieces(read, x, length):
    first, state = read(x[:, :length], None)
    outputs = first.new_zeros(len(x), x.shape[1], first.shape[2])
    outputs[:, :length], start = first, length
    while start < x.shape[1]:
        outputs[:, start : start + length], state = read(x[:, start : start + length], state)
        start += length
    return [outputs, list(state)]


@right  # recursion
def read_in_pieces(read, x, length, state=None):
    output, state = read(x[:, :length], state)
    if x.shape[1] <= length:
        return output, state
    rest, state = read_in_pieces(read, x[:, length:], length, state)
    return torch.cat([output, rest], 1), state


@right  # step by step through the result
def read_in_pieces(read, x, length):
    steps, state = [], None
    n_pieces = math.ceil(x.shape[1] / length)
    for number in range(n_pieces):
        output, state = read(x[:, number * length : (number + 1) * length].clone(), state)
        steps.extend(output.unbind(dim=1))
    return torch.stack(steps, dim=1), tuple(part.clone() for part in state)


@wrong("give each piece the state of the one before")
def read_in_pieces(read, x, length):
    outputs = []
    for piece in x.split(length, dim=1):
        output, state = read(piece, None)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


@wrong("give each piece the state of the one before")  # always that of the first piece
def read_in_pieces(read, x, length):
    output, state = read(x[:, :length], None)
    outputs = [output]
    for piece in x.split(length, dim=1)[1:]:
        output, end = read(piece, state)
        outputs.append(output)
        state = state if end is None else state
    return torch.cat(outputs, dim=1), state


@wrong("give each piece the state of the one before")  # two pieces too late
def read_in_pieces(read, x, length):
    outputs, states = [], [None, None]
    for piece in x.split(length, dim=1):
        output, state = read(piece, states[-2])
        outputs.append(output)
        states.append(state)
    return torch.cat(outputs, dim=1), states[-1]


@wrong("give each piece the state of the one before")  # zeros for a state
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state and tuple(torch.zeros_like(part) for part in state))
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


@wrong("begin with None, keep the order")
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.insert(0, output)
    return torch.cat(outputs, dim=1), state


@wrong("begin with None, keep the order")  # from the last piece to the first
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in reversed(x.split(length, dim=1)):
        output, state = read(piece, state)
        outputs.insert(0, output)
    return torch.cat(outputs, dim=1), state


@wrong("you read pieces of [12] steps")  # all at once
def read_in_pieces(read, x, length):
    return read(x, None)


@wrong("you read pieces of [4, 4] steps, which should be [4, 4, 3]")  # without the last, shorter one
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for number in range(x.shape[1] // length):
        output, state = read(x[:, number * length : (number + 1) * length], state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


@wrong("you read pieces of [3, 3, 3, 3] steps")  # so many pieces, not so long ones
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.chunk(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


@wrong("you read pieces of [4, 4, 4] steps, which should be [4, 4, 3]")  # filled with zeros
def read_in_pieces(read, x, length):
    outputs, state = [], None
    padded = F.pad(x, (0, 0, 0, -x.shape[1] % length))
    for piece in padded.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1)[:, : x.shape[1]], state


@wrong("you read pieces of [12] steps")  # the rows in pieces
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length):
        output, state = read(piece, state)
        outputs.append(output)
    return torch.cat(outputs), state


@wrong("the shapes of the outputs and the state")  # put together along the rows
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)
    return torch.cat(outputs), state


@wrong("the shapes of the outputs and the state")  # the last piece only
def read_in_pieces(read, x, length):
    state = None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
    return output, state


@wrong("the shapes of the outputs and the state")  # the last step of each piece
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output[:, -1])
    return torch.stack(outputs, dim=1), state


@wrong("the shapes of the outputs and the state")  # the top layer's state only
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), tuple(part[-1] for part in state)


@wrong("the state is not the one after the last step")  # after the first piece
def read_in_pieces(read, x, length):
    outputs, state, ends = [], None, []
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)
        ends.append(state)
    return torch.cat(outputs, dim=1), ends[0]


@wrong("MinigptError")  # the outputs in place of the state
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, _ = read(piece, state)
        state = (output, output)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


@wrong("the outputs (a tensor) and the state at the end (a tuple")
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1)


@wrong("the outputs (a tensor) and the state at the end (a tuple")  # the hidden state, without its tuple
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state[0]


@wrong("nothing comes back")
def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)


@wrong("MinigptError")  # a state that is kept from the call before
def read_in_pieces(read, x, length, kept=[None]):
    outputs = []
    for piece in x.split(length, dim=1):
        output, kept[0] = read(piece, kept[0])
        outputs.append(output)
    return torch.cat(outputs, dim=1), kept[0]


# 4: MinimalGatedUnit ------------------------------------------------------------------------------------------------


@right  # slices
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        h, D = state[0], self.width
        f = torch.sigmoid(from_input[:, :D] + from_hidden[:, :D])
        n = torch.tanh(from_input[:, D:] + f * from_hidden[:, D:])
        return (torch.lerp(h, n, f),)


@right  # a list; written as what is added to the old state
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (h,) = state
        f = 1 / (1 + torch.exp(-(from_input + from_hidden).chunk(2, dim=1)[0]))
        n = (from_input.chunk(2, dim=1)[1] + f * from_hidden.chunk(2, dim=1)[1]).tanh()
        return [h + f * (n - h)]


@right  # einsum and views
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        B = len(from_input)
        gate, x = from_input.view(B, 2, -1).unbind(1)
        gate_too, u = from_hidden.view(B, 2, -1).unbind(1)
        f = (gate + gate_too).sigmoid()
        return (torch.einsum("kbd,kbd->bd", torch.stack([1 - f, f]), torch.stack([state[0], (x + f * u).tanh()])),)


@right  # row by row, with a helper
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        return (torch.stack([self.one(*parts) for parts in zip(from_input, from_hidden, *state)]),)

    def one(self, x, u, h):
        (gate_x, x), (gate_u, u) = x.split(len(h)), u.split(len(h))
        f = F.sigmoid(gate_x + gate_u)
        return h - f * h + f * F.tanh(x + f * u)


@wrong("f is the share of the candidate")  # as in the GRU
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        return ((1 - f) * torch.tanh(x + f * u) + f * state[0],)


@wrong("in the candidate, f multiplies U h + c")
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        gate, candidate = (from_input + from_hidden).chunk(2, dim=-1)
        f = gate.sigmoid()
        return ((1 - f) * state[0] + f * candidate.tanh(),)


@wrong("but not W x + b")
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        gate, candidate = (from_input + from_hidden).chunk(2, dim=-1)
        f = gate.sigmoid()
        return ((1 - f) * state[0] + f * torch.tanh(f * candidate),)


@wrong("the gate's columns come first")
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (x, gate), (u, gate_too) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        return ((1 - f) * state[0] + f * torch.tanh(x + f * u),)


@wrong("is each sum in its place, with its squashing?")  # a gate that is not squashed
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (f, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = f + gate_too
        return ((1 - f) * state[0] + f * torch.tanh(x + f * u),)


@wrong("is each sum in its place, with its squashing?")  # a candidate that is not squashed
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        return ((1 - f) * state[0] + f * (x + f * u),)


@wrong("is each sum in its place, with its squashing?")  # the gate does not look at the state
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (_, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = gate.sigmoid()
        return ((1 - f) * state[0] + f * torch.tanh(x + f * u),)


@wrong("is each sum in its place, with its squashing?")  # f times the state, not times U h + c
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, _) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        return ((1 - f) * state[0] + f * torch.tanh(x + f * state[0]),)


@wrong("is each sum in its place, with its squashing?")  # sigma of a candidate, tanh of a gate
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).tanh()
        return ((1 - f) * state[0] + f * torch.sigmoid(x + f * u),)


@wrong("is each sum in its place, with its squashing?")  # the candidate alone
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        return (torch.tanh(x + f * u),)


@wrong("is each sum in its place, with its squashing?")  # every second column is taken for the gate
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        f = (from_input[:, ::2] + from_hidden[:, ::2]).sigmoid()
        n = torch.tanh(from_input[:, 1::2] + f * from_hidden[:, 1::2])
        return ((1 - f) * state[0] + f * n,)


@wrong("return the new state in a tuple")
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        return (1 - f) * state[0] + f * torch.tanh(x + f * u)


@wrong("return the new state in a tuple")  # an LSTM has two parts
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        new = (1 - f) * state[0] + f * torch.tanh(x + f * u)
        return new, new


@wrong("ValueError")  # the rows cut in two, not the columns
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(3, dim=0), from_hidden.chunk(3, dim=0)
        f = (gate + gate_too).sigmoid()
        return ((1 - f) * state[0] + f * torch.tanh(x + f * u),)


@wrong("the new state should be a tensor (B, D) [3, 4], not [4]")  # the first row's
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input[0].chunk(2), from_hidden[0].chunk(2)
        f = (gate + gate_too).sigmoid()
        return ((1 - f) * state[0][0] + f * torch.tanh(x + f * u),)


@wrong("your step changes the old state in place")
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        h = state[0]
        h += f * (torch.tanh(x + f * u) - h)
        return (h,)


@wrong("the new state has no gradient to learn by")
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    @torch.no_grad()
    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        return ((1 - f) * state[0] + f * torch.tanh(x + f * u),)


@wrong("nothing comes back")
class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (gate, x), (gate_too, u) = from_input.chunk(2, -1), from_hidden.chunk(2, -1)
        f = (gate + gate_too).sigmoid()
        self.state = (1 - f) * state[0] + f * torch.tanh(x + f * u)
