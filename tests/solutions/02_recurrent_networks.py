"""Worked solutions of chapter 02's exercises."""

import math

import torch

from minigpt.recurrent import RecurrentNetwork


def forget_bias(half_life):
    share = 0.5 ** (1 / half_life)  # what is kept at each step
    return math.log(share / (1 - share))


def counter(network):
    large = 100.0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.weight_ih_l0[2] = torch.tensor([large, -large])  # the candidate: tanh of it is +1 or -1
        network.bias_ih_l0[:2] = large  # the input gate writes every time, the forget gate keeps everything


def read_in_pieces(read, x, length):
    outputs, state = [], None
    for piece in x.split(length, dim=1):
        output, state = read(piece, state)
        outputs.append(output)
    return torch.cat(outputs, dim=1), state


class MinimalGatedUnit(RecurrentNetwork):
    n_blocks, n_states = 2, 1

    def step(self, from_input, from_hidden, state):
        (hidden,) = state
        gate_input, candidate_input = from_input.chunk(2, dim=-1)
        gate_hidden, candidate_hidden = from_hidden.chunk(2, dim=-1)
        gate = (gate_input + gate_hidden).sigmoid()
        candidate = torch.tanh(candidate_input + gate * candidate_hidden)
        return ((1 - gate) * hidden + gate * candidate,)
