"""Text by choices: the small engine under the Tales, which makes every probability exact.

A program tells a text by one primitive, `choose`: at every step one of several strings, none of which is a prefix of
another, with known probabilities (a string that is certain is a choice of one). What the program does next may depend
on nothing but what was chosen so far, that is, on the text. So the same program can be run in two ways:

- a `Writer` draws each choice at random, and a document comes out;
- a `Reader` finds in a given text which string was chosen at each step. No string is a prefix of another, so there is
  at most one way to read a text, and its probability is the product of the probabilities of the choices: exact.

Either way what is left is a *trace*: the list of choices with what was chosen, from which the text, its probability,
its kinds and the distribution of every next character follow.
"""

import math
import random
from bisect import bisect
from functools import cached_property, lru_cache
from itertools import accumulate

DOCUMENT_END = "\N{END OF TEXT}"  # stands for the end-of-text token in a distribution over characters


class Choice:
    """One of several strings, none a prefix of another, with known probabilities.

    Args:
        kind: what sort of decision it is ("plot", "agreement", "answer" ...).
        strings: the options.
        weights: their relative frequencies; equal if left out.

    Raises:
        ValueError: an option is empty, is a prefix of another, or has no positive weight.

    >>> Choice("thing", ("kite", "king"), (3.0, 1.0)).spelling(0)[3]  # after "kit": only an "e" is possible
    {'e': 1.0}
    """

    def __init__(self, kind: str, strings: tuple[str, ...], weights: tuple[float, ...] | None = None):
        self.kind = kind
        self.strings = strings
        if len(strings) > 1:
            in_order = sorted(strings)
            for shorter, longer in zip(in_order, in_order[1:], strict=False):
                if longer.startswith(shorter):  # in sorted order a prefix stands right before a string that it begins
                    raise ValueError(f"{shorter!r} is a prefix of {longer!r}: a reader could not tell them apart")
        if not all(strings) or not strings:
            raise ValueError(f"a choice needs options, none of them empty: {strings!r}")
        weights = weights or (1.0,) * len(strings)
        if len(weights) != len(strings) or min(weights) <= 0:
            raise ValueError(f"each of {strings!r} needs a positive weight, not {weights!r}")
        total = math.fsum(weights)
        self.probabilities = tuple(weight / total for weight in weights)
        self._cumulative = list(accumulate(self.probabilities))[:-1]

    def draw(self, uniform: float) -> int:
        """The option at `uniform` in [0, 1)."""
        return bisect(self._cumulative, uniform)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {string: i for i, string in enumerate(self.strings)}

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(string) for string in self.strings})

    def find(self, text: str, position: int) -> int | None:
        """The option that stands in `text` at `position`, if one does."""
        for length in self._lengths:
            found = self._index.get(text[position : position + length])
            if found is not None:
                return found
        return None

    @cached_property
    def log_probs(self) -> tuple[float, ...]:
        """Natural logarithms of the probabilities."""
        return tuple(math.log(p) for p in self.probabilities)

    @cached_property
    def entropy(self) -> float:
        """Entropy of the choice in nats."""
        return -math.fsum(p * math.log(p) for p in self.probabilities)

    def next_characters(self, prefix: str) -> dict[str, float]:
        """The distribution of the character after `prefix`; empty if no option begins so."""
        weights: dict[str, float] = {}
        for string, p in zip(self.strings, self.probabilities, strict=True):
            if string.startswith(prefix):
                character = string[len(prefix)]
                weights[character] = weights.get(character, 0.0) + p
        total = math.fsum(weights.values())
        return {character: weight / total for character, weight in weights.items()}

    def spelling(self, index: int) -> list[dict[str, float]]:
        """The distribution of each character of option `index`, given those before it."""
        if index not in self._spellings:
            string = self.strings[index]
            self._spellings[index] = [self.next_characters(string[:n]) for n in range(len(string))]
        return self._spellings[index]

    @cached_property
    def _spellings(self) -> dict[int, list[dict[str, float]]]:
        return {}


choice = lru_cache(maxsize=1 << 16)(Choice)
"""`Choice`, but the same object for the same arguments: building one costs more than using it."""

Trace = list[tuple[Choice, int]]


def trace_text(trace: Trace) -> str:
    """The text that a trace tells."""
    return "".join([choice.strings[index] for choice, index in trace])


class Writer:
    """Draws each choice at random."""

    def __init__(self, random: random.Random):
        self.trace: Trace = []
        self._uniform = random.random

    def choose(self, choice: Choice) -> int:
        """Draw one of the options."""
        index = choice.draw(self._uniform()) if len(choice.strings) > 1 else 0
        self.trace.append((choice, index))
        return index


class ReadingStops(Exception):
    """The text does not go on with any of the options."""


class Reader:
    """Finds each choice in a given text.

    When the text does not go on, `choose` raises `ReadingStops` and leaves behind where and at which choice.
    """

    def __init__(self, text: str):
        self.text = text
        self.trace: Trace = []
        self.position = 0
        self.stopped_at: Choice | None = None

    def choose(self, choice: Choice) -> int:
        """Find out which option the text took."""
        index = choice.find(self.text, self.position)
        if index is None:
            self.stopped_at = choice
            raise ReadingStops
        self.trace.append((choice, index))
        self.position += len(choice.strings[index])
        return index
