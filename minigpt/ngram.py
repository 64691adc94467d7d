"""n-gram models: the next token depends on the last few alone, and all that is learned is counts.

Chapter 4 builds them, from maximum likelihood to modified Kneser-Ney. They differ in one thing: how much probability an
n-gram gets at once, and how much its history leaves to the level below, that of the history without its first token.
That pair of numbers is an `Estimate`; the rest is shared. There are no dictionaries: an n-gram is one integer, made of
the number of its history and its last token, and the counts lie in sorted arrays.

Sources: Jelinek & Mercer 1980; Kneser & Ney 1995; Chen & Goodman 1998 (TR-10-98), whose sections are cited below.
Shapes: B batch, T time, V vocabulary; G n-grams of a length, H histories of them.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minigpt.errors import MinigptError
from minigpt.evaluation import score
from minigpt.language_model import LanguageModel

ABSENT = -1  # the number of a history that would begin before its document
BLOCK = 1 << 18  # probabilities computed at a time: they fit into a processor's cache


@dataclass(frozen=True)
class Level:
    """The n-grams of one length in a text.

    A history is an n-gram of the level below, and its number is its place there. So one integer holds an n-gram of any
    length, and the n-grams that share a history lie side by side.

    Attributes:
        keys: (G,) number of the history * V + last token, in order.
        counts: (G,) how often each occurs.
        continuations: (G,) how many different tokens stand before it; but its count if it begins a document, before
            which nothing stands, or if it is of the greatest length (Chen & Goodman 1998, section 4.1.6).
        n_histories: H, the n-grams of the level below.
    """

    keys: np.ndarray
    counts: np.ndarray
    continuations: np.ndarray
    n_histories: int


@dataclass(frozen=True)
class Estimate:
    """What a model makes of one level: p(token | history) = direct + share * p(token | history less its first token).

    Attributes:
        direct: (G,) the probability that each n-gram gets at once.
        share: (H,) the part of each history's probability that the level below hands out: 1 after an unseen one.
    """

    direct: np.ndarray
    share: np.ndarray


def find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted key stands among sorted ones; the number of keys, if it does not.

    >>> find(np.array([2, 5, 9]), np.array([5, 6, 9])).tolist()
    [1, 3, 2]
    """
    places = np.searchsorted(keys, wanted)
    return np.where(keys[np.minimum(places, len(keys) - 1)] == wanted, places, len(keys))


def count_ngrams(ids: np.ndarray, order: int, vocabulary_size: int, end_of_text: int | None = None) -> list[Level]:
    """Count the n-grams of every length from 1 to `order`, or to the longest that there is.

    The first token has no history, so it is not predicted and not counted.

    Args:
        ids: (N,) tokens in int64.
        order: the greatest length.
        vocabulary_size: V.
        end_of_text: the token that no history reaches across; None if there is none such.
    """
    V = vocabulary_size
    counts = np.bincount(ids[1:], minlength=V)
    levels = [Level(np.arange(V), counts, counts, 1)]
    begins_document = np.zeros(V, dtype=bool)
    numbers = histories = ids  # of the n-gram that ends at each place: as an event, and as a history
    for length in range(2, order + 1):
        ends = np.flatnonzero(histories[:-1] != ABSENT) + 1
        if not len(ends):
            break
        keys, found, counts = np.unique(histories[ends - 1] * V + ids[ends], return_inverse=True, return_counts=True)
        below = levels[-1]
        without_first = np.empty(len(keys), dtype=np.int64)
        without_first[found] = numbers[ends]
        continuations = np.bincount(without_first, minlength=len(below.keys))
        levels[-1] = replace(below, continuations=np.where(begins_document, below.counts, continuations))
        levels.append(Level(keys, counts, counts, len(below.keys)))
        begins_document = keys // V == end_of_text if length == 2 else begins_document[keys // V]
        numbers = np.full(len(ids), ABSENT)
        numbers[ends] = found
        histories = np.where(ids == end_of_text, ABSENT, numbers)
    return levels


class NGramModel(LanguageModel):
    """What all n-gram models share: counts, histories, and the sum over the levels.

    Histories end at the end-of-text token that begins a document. After a history that was never seen, the model
    behaves as after the same without its first token.

    Args:
        vocabulary_size: V.
        order: n, the length of the n-grams: a history has n - 1 tokens.
        end_of_text: the token that begins each document; None for one text without documents.

    Raises:
        MinigptError: the order is less than 1, or end-of-text is outside the vocabulary.
    """

    backs_off = True  # hands what it shares to the level below, or else to all tokens alike

    def __init__(self, vocabulary_size: int, order: int, end_of_text: int | None = None):
        if order < 1:
            raise MinigptError(f"the order is {order}, but must be at least 1: an n-gram has at least one token")
        self.vocabulary_size, self.order, self.end_of_text = vocabulary_size, order, end_of_text
        if end_of_text is not None:
            self._check(np.array([end_of_text]))
        self.levels: list[Level] = []
        self.estimates: list[Estimate] = []

    @abstractmethod
    def estimate(self, level: Level, length: int) -> Estimate:
        """Probabilities from counts.

        Args:
            level: the counts of the n-grams of a length.
            length: that length, from 1.
        """

    def fit(self, ids: Sequence[int] | np.ndarray | Tensor) -> "NGramModel":
        """Learn from a text, and return the model.

        Args:
            ids: (N,) tokens; if the model has an end-of-text token, it begins each document.

        Raises:
            MinigptError: the text has fewer than two tokens, or one outside the vocabulary.
        """
        ids = np.asarray(ids)
        if ids.ndim != 1 or len(ids) < 2:
            raise MinigptError(f"cannot fit to an array of shape {ids.shape}: give one row of at least two tokens")
        self._check(ids)
        self.levels = count_ngrams(ids.astype(np.int64), self.order, self.vocabulary_size, self.end_of_text)
        self.estimates = [self.estimate(level, length) for length, level in enumerate(self.levels, 1)]
        return self

    def log_probs(self, ids: Tensor) -> Tensor:
        """As the protocol says, in float64: minus infinity where the model gives no probability."""
        B, T = ids.shape
        V = self.vocabulary_size
        histories = [numbers.ravel() for numbers in self.histories(ids.cpu().numpy())]  # of each level: (B T,)
        rows = np.full((B * T, V), 1 / V)
        step = max(1, BLOCK // V)
        for start in range(0, B * T, step):
            block = slice(start, start + step)
            for level, estimate, numbers in zip(self.levels, self.estimates, histories, strict=True):
                self._add_level(rows[block], level, estimate, numbers[block])
        with np.errstate(divide="ignore"):
            np.log(rows, out=rows)
        return torch.from_numpy(rows.reshape(B, T, V)).to(ids.device)

    def advance(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """As the protocol says; the state is the last n - 1 tokens, which is all that the model looks at."""
        seen = ids if state is None else torch.cat([state, ids], dim=1)
        seen = seen[:, -max(1, self.order - 1) :]
        return self.log_probs(seen)[:, -1], seen

    def histories(self, ids: np.ndarray) -> list[np.ndarray]:
        """The number of the history of each level that ends at each place.

        Args:
            ids: (B, T).

        Returns:
            for each level (B, T): ABSENT where the document is too young, H where the history is unseen.
        """
        if not self.levels:
            raise MinigptError("the model has no counts yet: call fit first")
        self._check(ids)
        ids = ids.astype(np.int64)
        numbers = [np.zeros_like(ids), ids][: len(self.levels)]
        for level in self.levels[1:-1]:
            longer = np.full_like(ids, ABSENT)
            longer[:, 1:] = find(level.keys, numbers[-1][:, :-1] * self.vocabulary_size + ids[:, 1:])
            longer[:, 1:][(numbers[-1][:, :-1] == ABSENT) | (ids[:, 1:] == self.end_of_text)] = ABSENT
            numbers.append(longer)
        return numbers

    def _add_level(self, rows: np.ndarray, level: Level, estimate: Estimate, histories: np.ndarray) -> None:
        """Turn probabilities (R, V) of the level below into those of this one, given the history of each row (R,)."""
        V = self.vocabulary_size
        present = np.flatnonzero(histories != ABSENT)
        if not self.backs_off:
            rows[present] = 1 / V
        known = present[histories[present] < level.n_histories]
        histories = histories[known]
        rows[known] *= estimate.share[histories, None]
        first, last = np.searchsorted(level.keys, (histories * V, histories * V + V))
        n_seen = last - first  # n-grams that begin with each row's history
        places = np.arange(n_seen.sum()) + np.repeat(first - (n_seen.cumsum() - n_seen), n_seen)
        rows[np.repeat(known, n_seen), level.keys[places] % V] += estimate.direct[places]

    def _check(self, ids: np.ndarray) -> None:
        """Complain about what is no token."""
        if ids.dtype.kind not in "iu":
            raise MinigptError(f"token ids are integers, not {ids.dtype}: encode the text with a tokeniser first")
        wrong = ids[(ids < 0) | (ids >= self.vocabulary_size)]
        if wrong.size:
            raise MinigptError(
                f"token {wrong[0]} is outside the vocabulary of {self.vocabulary_size} tokens:"
                " use the tokeniser that the model was made for"
            )


def sums(level: Level, values: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """The sum over each history's n-grams: (G,) becomes (H,)."""
    return np.bincount(level.keys // vocabulary_size, weights=values, minlength=level.n_histories)


class MaximumLikelihood(NGramModel):
    """Relative frequencies: count(history, token) / count(history) (Chen & Goodman 1998, equation 3)."""

    def estimate(self, level: Level, length: int) -> Estimate:
        totals = sums(level, level.counts, self.vocabulary_size)
        direct = level.counts / totals[level.keys // self.vocabulary_size]
        return Estimate(direct, share=(totals == 0).astype(float))


class AddK(NGramModel):
    """Every n-gram counts as if it had been seen k times more (Chen & Goodman 1998, section 2.1).

    After an unseen history all tokens are equally probable.

    Args:
        vocabulary_size, order, end_of_text: as for every `NGramModel`.
        k: 1 is Laplace's rule.

    Raises:
        MinigptError: k is not above 0.
    """

    backs_off = False

    def __init__(self, vocabulary_size: int, order: int, end_of_text: int | None = None, k: float = 1.0):
        super().__init__(vocabulary_size, order, end_of_text)
        if not 0 < k < math.inf:
            raise MinigptError(f"k is {k}, but must be above 0: it is what each count gets in addition")
        self.k = k

    def estimate(self, level: Level, length: int) -> Estimate:
        added = self.k * self.vocabulary_size
        totals = sums(level, level.counts, self.vocabulary_size) + added
        return Estimate(level.counts / totals[level.keys // self.vocabulary_size], share=added / totals)


class Interpolation(NGramModel):
    """Each level mixed with the one below, by a fixed weight (Jelinek & Mercer 1980; Chen & Goodman 1998, section 2.3).

    Args:
        vocabulary_size, order, end_of_text: as for every `NGramModel`.
        weights: of each level's relative frequencies, from length 1 up, or one for all (see `fit_weights`).

    Raises:
        MinigptError: there are not as many weights as levels, or one is not between 0 and 1.
    """

    def __init__(
        self,
        vocabulary_size: int,
        order: int,
        end_of_text: int | None = None,
        weights: float | Sequence[float] = 0.8,
    ):
        super().__init__(vocabulary_size, order, end_of_text)
        self.weights = np.full(order, weights) if np.isscalar(weights) else np.asarray(weights, dtype=float)
        if self.weights.shape != (order,) or not ((self.weights >= 0) & (self.weights < 1)).all():
            raise MinigptError(f"the weights are {weights}, but order {order} takes {order} from 0 up to, not with, 1")

    def estimate(self, level: Level, length: int) -> Estimate:
        weight = self.weights[length - 1]
        totals = sums(level, level.counts, self.vocabulary_size)
        direct = weight * level.counts / totals[level.keys // self.vocabulary_size]
        return Estimate(direct, share=np.where(totals > 0, 1 - weight, 1.0))

    def fit_weights(self, ids: Sequence[int] | np.ndarray | Tensor, steps: int = 20) -> "Interpolation":
        """Choose the weights that suit a held-out text, by expectation maximisation, and return the model.

        A token is thought to come from the longest level with that level's weight, else from the next, and so on. Each
        step sets a weight to the fraction of tokens that probably stopped there, among those that came so far.

        Args:
            ids: (N,) tokens that were not in the text of `fit`, on which all weights would become 1.
            steps: how often the weights are improved.
        """
        ids = np.asarray(ids).astype(np.int64)
        V = self.vocabulary_size
        frequencies, usable = [], []  # of each level: what it says of each token, and whether it knows the history
        for level, numbers in zip(self.levels, self.histories(ids[None, :-1]), strict=True):
            totals = np.append(sums(level, level.counts, V), 0.0)  # the last: unseen and absent histories
            counts = np.append(level.counts, 0)[find(level.keys, numbers[0] * V + ids[1:])]
            usable.append(totals[numbers[0]] > 0)
            frequencies.append(counts / np.maximum(totals[numbers[0]], 1))
        for _ in range(steps):
            weights = [np.where(known, weight, 0.0) for weight, known in zip(self.weights, usable)]
            mixed = [np.full(len(ids) - 1, 1 / V)]
            for weight, frequency in zip(weights, frequencies):
                mixed.append(weight * frequency + (1 - weight) * mixed[-1])
            came = np.ones(len(ids) - 1)
            for i in reversed(range(len(self.levels))):
                stopped = came * weights[i] * frequencies[i] / mixed[i + 1]
                if came[usable[i]].sum() > 0:
                    self.weights[i] = stopped.sum() / came[usable[i]].sum()
                came = came - stopped
        self.estimates = [self.estimate(level, length) for length, level in enumerate(self.levels, 1)]
        return self


class KneserNey(NGramModel):
    """Absolute discounting and continuation counts (Kneser & Ney 1995; Chen & Goodman 1998, section 2.7, interpolated).

    A token's probability in the levels below is not how often it occurs but after how many different tokens. As in
    NLTK's `KneserNeyInterpolated` the level of single tokens is not discounted, so a token that was never seen has no
    probability.

    Args:
        vocabulary_size, order, end_of_text: as for every `NGramModel`.
        discount: what is taken from each count.

    Raises:
        MinigptError: the discount is not between 0 and 1.
    """

    def __init__(self, vocabulary_size: int, order: int, end_of_text: int | None = None, discount: float = 0.75):
        super().__init__(vocabulary_size, order, end_of_text)
        if not 0 <= discount <= 1:
            raise MinigptError(f"the discount is {discount}, but must be from 0 to 1: no count has more to give")
        self.discount = discount

    def discounts(self, counts: np.ndarray, length: int) -> np.ndarray:
        """What is taken from n-grams of a length that count 0, 1, 2, and 3 or more.

        Args:
            counts: (G,) of those n-grams.
            length: that length, from 1.
        """
        return self.discount * np.array([0.0, 1.0, 1.0, 1.0]) * (length > 1)

    def estimate(self, level: Level, length: int) -> Estimate:
        counts, histories = level.continuations, level.keys // self.vocabulary_size
        taken = self.discounts(counts, length)[np.minimum(counts, 3)]
        totals = sums(level, counts, self.vocabulary_size)
        share = np.where(totals > 0, sums(level, taken, self.vocabulary_size) / np.maximum(totals, 1), 1.0)
        return Estimate((counts - taken) / np.maximum(totals, 1)[histories], share)


class ModifiedKneserNey(KneserNey):
    """Kneser-Ney with three discounts a level, all estimated (Chen & Goodman 1998, section 4.1.6, equations 26 and 27).

    Single tokens are discounted too, in favour of all tokens alike, so every token has some probability.

    Args:
        vocabulary_size, order, end_of_text: as for every `NGramModel`.
    """

    def __init__(self, vocabulary_size: int, order: int, end_of_text: int | None = None):
        super().__init__(vocabulary_size, order, end_of_text)

    def discounts(self, counts: np.ndarray, length: int) -> np.ndarray:
        """As for Kneser-Ney, but from how many n-grams count 1, 2, 3 and 4.

        Where there are none of these, or the formula leaves the range from 0 to the count, as in texts with few tokens
        or from a machine, the discounts are those of KenLM's option `--discount_fallback`.
        """
        n = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)  # n[c]: how many count c
        fallback = np.array([0.0, 0.5, 1.0, 1.5])
        if not n[1:5].all():
            return fallback
        c = np.arange(4)
        found = c - (c + 1) * n[1] / (n[1] + 2 * n[2]) * n[1:5] / np.append(1.0, n[1:4])
        found[0] = 0.0
        return found if ((found >= 0) & (found <= c)).all() else fallback


def perplexity(model: LanguageModel, documents: Sequence[Sequence[int]], end_of_text: int) -> float:
    """Among how many equally probable tokens a model hesitates, on average: exp of its mean loss.

    Args:
        model: any language model.
        documents: token ids, without end-of-text tokens.
        end_of_text: the id that begins each document, and ends it.
    """
    return math.exp(np.concatenate([scores.nats for scores in score(model, documents, end_of_text)]).mean())
