"""The one protocol that every model of the course meets, from the unigram to the Oracle to the GPT.

Evaluation, the ladder and generation are written once, against it. Shapes: B batch, T time, V vocabulary.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor


class LanguageModel(ABC):
    """Next-token log-probabilities for a batch of contexts.

    Every document begins with the end-of-text token of the tokeniser, so the first character is predicted too.

    Attributes:
        vocabulary_size: V, the number of token ids that the model knows.
        context_length: the most tokens that it can look at, or None if there is no limit.
    """

    vocabulary_size: int
    context_length: int | None = None

    @abstractmethod
    def log_probs(self, ids: Tensor) -> Tensor:
        """Natural logarithms of the next-token probabilities after every prefix.

        Args:
            ids: token ids (B, T), T at most `context_length`.

        Returns:
            (B, T, V) in float32 or better; entry [b, t] is the distribution of the token after ids[b, : t + 1].
        """

    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Read some more tokens and predict the next one: what generation calls.

        A model with a memory (a key-value cache, a hidden state) overrides this; here the state is the text so far.

        Args:
            ids: the new tokens (B, T), T at least 1.
            state: what the last call returned; None at the start.

        Returns:
            log-probabilities of the next token (B, V), and the new state.
        """
        seen = ids if state is None else torch.cat([state, ids], dim=1)
        if self.context_length is not None:
            seen = seen[:, -self.context_length :]
        return self.log_probs(seen)[:, -1], seen
