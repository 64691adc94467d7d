"""Recurrent networks: Elman's, the LSTM and the GRU, and the language model that any of them makes.

Chapter 2 builds them, each from its equations. They differ in one step of time alone: what becomes of the state when
the next input arrives. Parameters have PyTorch's names, shapes and order of gates, so `load_state_dict` takes the
weights of `torch.nn.RNN`, `torch.nn.LSTM` and `torch.nn.GRU` as they are. The plain loop over time needs no faster
twin: on a CPU it trains about as fast as they do.

Shapes: B batch, T time, V vocabulary, D width.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minigpt.errors import MinigptError, unknown_name
from minigpt.language_model import LanguageModel

State = tuple[Tensor, ...]
"""What a network carries from step to step: the hidden state, which is its output, and for the LSTM also its cells."""


class RecurrentNetwork(nn.Module, ABC):
    """Layers that each read, step by step, what the one below puts out, and keep a state.

    Args:
        input_width: of each input.
        width: D, of the hidden state of each layer.
        n_layers: how many layers.

    Raises:
        MinigptError: one of them is less than 1.
    """

    n_blocks: int  # rows of D in a weight: one for each gate and each candidate
    n_states: int  # tensors in a state

    def __init__(self, input_width: int, width: int, n_layers: int = 1):
        super().__init__()
        for name, value in {"input_width": input_width, "width": width, "n_layers": n_layers}.items():
            if value < 1:
                raise MinigptError(f"{name} is {value}, but must be at least 1")
        self.input_width, self.width, self.n_layers = input_width, width, n_layers
        rows = self.n_blocks * width
        for layer in range(n_layers):
            below = input_width if layer == 0 else width
            self.register_parameter(f"weight_ih_l{layer}", nn.Parameter(torch.empty(rows, below)))
            self.register_parameter(f"weight_hh_l{layer}", nn.Parameter(torch.empty(rows, width)))
            self.register_parameter(f"bias_ih_l{layer}", nn.Parameter(torch.empty(rows)))
            self.register_parameter(f"bias_hh_l{layer}", nn.Parameter(torch.empty(rows)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(width), 1 / math.sqrt(width))

    @abstractmethod
    def step(self, from_input: Tensor, from_hidden: Tensor, state: State) -> State:
        """What the state of one layer becomes when one more input arrives.

        Args:
            from_input: the weighted input, with its bias (B, n_blocks D).
            from_hidden: the weighted hidden state, with its bias (B, n_blocks D).
            state: n_states tensors (B, D), the hidden state first.
        """

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read a sequence.

        Args:
            x: (B, T, input width).
            state: n_states tensors (n_layers, B, D), as the last call returned them; zeros if None.

        Returns:
            the hidden states of the top layer (B, T, D), and the state at the end.

        Raises:
            MinigptError: the sequence is empty, or it or the state has the wrong shape.
        """
        if state is None:
            state = (x.new_zeros(self.n_layers, len(x), self.width),) * self.n_states
        self.check(x, state)
        ends = []
        for layer in range(self.n_layers):
            w_input, w_hidden, b_input, b_hidden = (
                getattr(self, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            now, outputs = tuple(part[layer] for part in state), []
            for from_input in F.linear(x, w_input, b_input).unbind(dim=1):  # all steps in one product
                now = self.step(from_input, F.linear(now[0], w_hidden, b_hidden), now)
                outputs.append(now[0])
            x = torch.stack(outputs, dim=1)  # (B, T, D), the input of the next layer
            ends.append(now)
        return x, tuple(torch.stack(parts) for parts in zip(*ends))

    def check(self, x: Tensor, state: State) -> None:
        """Raise a MinigptError if the network cannot read x after this state."""
        if x.ndim != 3 or x.shape[2] != self.input_width or x.shape[1] == 0:
            raise MinigptError(
                f"the input has the shape {tuple(x.shape)}, but must be (batch, time of at least 1, {self.input_width})"
            )
        shapes, expected = [tuple(part.shape) for part in state], (self.n_layers, len(x), self.width)
        if shapes != [expected] * self.n_states:
            raise MinigptError(f"the state has the shapes {shapes}, but must be {self.n_states} of shape {expected}")


class ElmanRNN(RecurrentNetwork):
    """The simple recurrent network: each input meets a copy of the last hidden state (Elman 1990, figure 2).

        h' = tanh(W x + b + U h + c)

    Equal to `torch.nn.RNN`, whose tanh takes the place of Elman's logistic function.
    """

    n_blocks, n_states = 1, 1

    def step(self, from_input: Tensor, from_hidden: Tensor, state: State) -> State:
        return (torch.tanh(from_input + from_hidden),)


class LSTM(RecurrentNetwork):
    """Long short-term memory: cells that keep what they hold, behind gates (Hochreiter & Schmidhuber 1997, section 4).

    With i, f, o the input, forget and output gates and g the candidate, each of them W x + b + U h + c of its own,

        cells' = sigmoid(f) cells + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(cells')

    The forget gate is Gers, Schmidhuber & Cummins's (2000, section 3). Equal to `torch.nn.LSTM`.
    """

    n_blocks, n_states = 4, 2

    def step(self, from_input: Tensor, from_hidden: Tensor, state: State) -> State:
        _, cells = state
        input_gate, forget_gate, candidate, output_gate = (from_input + from_hidden).chunk(4, dim=-1)
        cells = forget_gate.sigmoid() * cells + input_gate.sigmoid() * candidate.tanh()
        return output_gate.sigmoid() * cells.tanh(), cells


class GRU(RecurrentNetwork):
    """The gated recurrent unit: two gates, and no state but the hidden one (Cho et al. 2014, section 2.3).

    With r and z the reset and update gates, each of them W x + b + U h + c of its own,

        n = tanh(W x + b + sigmoid(r) (U h + c))
        h' = (1 - sigmoid(z)) n + sigmoid(z) h

    In PyTorch's variant, to which it is equal, the reset gate works on U h + c, in the paper on h.
    """

    n_blocks, n_states = 3, 1

    def step(self, from_input: Tensor, from_hidden: Tensor, state: State) -> State:
        (hidden,) = state
        reset_input, update_input, candidate_input = from_input.chunk(3, dim=-1)
        reset_hidden, update_hidden, candidate_hidden = from_hidden.chunk(3, dim=-1)
        reset, update = (reset_input + reset_hidden).sigmoid(), (update_input + update_hidden).sigmoid()
        candidate = torch.tanh(candidate_input + reset * candidate_hidden)
        return ((1 - update) * candidate + update * hidden,)


CELLS: dict[str, type[RecurrentNetwork]] = {"elman": ElmanRNN, "lstm": LSTM, "gru": GRU}


class RecurrentLanguageModel(nn.Module, LanguageModel):
    """Embedding, recurrent network, head: next-token probabilities from all that was read, at a fixed cost a token.

    Args:
        vocabulary_size: V.
        width: D, of the embedding and of each layer.
        cell: "elman", "lstm" or "gru".
        n_layers: of the recurrent network.

    Raises:
        MinigptError: there is no such cell, or a size is less than 1.
    """

    def __init__(self, vocabulary_size: int, width: int, cell: str = "lstm", n_layers: int = 1):
        super().__init__()
        if cell not in CELLS:
            raise unknown_name("recurrent cell", cell, CELLS)
        if vocabulary_size < 1:
            raise MinigptError(f"vocabulary_size is {vocabulary_size}, but must be at least 1")
        self.vocabulary_size = vocabulary_size
        self.network = CELLS[cell](width, width, n_layers)
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.head = nn.Linear(width, vocabulary_size)

    def read(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits (B, T, V) after each of the ids (B, T), and the state at the end.

        Args:
            ids: token ids.
            state: what the last call returned; None at the start.
        """
        hidden, state = self.network(self.embedding(ids), state)  # (B, T, D)
        return self.head(hidden), state

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> Tensor:
        """Logits, or the mean loss if there are targets.

        Args:
            ids: token ids (B, T).
            targets: the next token of each (B, T).

        Returns:
            logits (B, T, V), or the mean cross-entropy in nats.
        """
        logits, _ = self.read(ids)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    @torch.inference_mode()
    def log_probs(self, ids: Tensor) -> Tensor:
        """Next-token log-probabilities (B, T, V) after every prefix of ids (B, T).

        Raises:
            MinigptError: an id is outside the vocabulary.
        """
        self.check(ids)
        return self(ids).float().log_softmax(dim=-1)

    @torch.inference_mode()
    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read some more tokens; the state is the network's, of the same size however much was read.

        Raises:
            MinigptError: an id is outside the vocabulary.
        """
        self.check(ids)
        logits, state = self.read(ids, state)
        return logits[:, -1].float().log_softmax(dim=-1), state

    def check(self, ids: Tensor) -> None:
        """Raise a MinigptError if an id is outside the vocabulary."""
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < self.vocabulary_size:
            raise MinigptError(
                f"token ids run from {int(ids.min())} to {int(ids.max())}, but this model's vocabulary ends at"
                f" {self.vocabulary_size - 1}: use the tokeniser that it was trained with"
            )
