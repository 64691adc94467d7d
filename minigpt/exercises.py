"""What exercises need: a check that says in words how far an answer has come.

A check must never break a run of the notebook, so whatever goes wrong inside it is told, not raised. Its random inputs
are new at each run; what it tells ends with their seed, so that anyone can have the same inputs again.
"""

import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch


class Stopped(Exception):
    """An answer was stopped from outside; the message is a whole sentence."""


@dataclass
class Verdict:
    """What a check found.

    Attributes:
        title: the exercise's number and what it asks for.
        right: whether all assertions held.
        words: what is told.
        measures: numbers that the check took, for a leaderboard.
    """

    title: str
    right: bool = False
    words: str = ""
    measures: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        measures = "".join(f" {name}: {value:.4g}." for name, value in self.measures.items()) if self.right else ""
        return f"Exercise {self.title}: {self.words}{measures}"

    def points(self, most: float) -> float:
        """What the answer is worth: so many points if it is right, else none."""
        return most if self.right else 0.0


@contextmanager
def check(title: str, seed: int | None = None, tell: Callable[[Verdict], Any] = print) -> Iterator[Verdict]:
    """Check one exercise: tell whether the assertions inside the block hold, and if not, why.

    Args:
        title: the exercise's number and what it asks for.
        seed: of the block's random numbers; if None, a new one at each run.
        tell: takes the verdict.

    >>> with check("1: double it", seed=7):
    ...     assert 2 + 2 == 5, "double of 2 should be 5"
    Exercise 1: double it: not yet: double of 2 should be 5 [seed 7]
    """
    seed = secrets.randbelow(10_000) if seed is None else seed
    verdict = Verdict(title)
    try:
        with seeded(seed):
            yield verdict
        verdict.right, verdict.words = True, "right."
    except (Exception, SystemExit) as error:
        verdict.words = in_words(error, seed)
    tell(verdict)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch, NumPy and Python inside a block; afterwards all go on as if nothing had happened."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def in_words(error: BaseException, seed: int) -> str:
    """What is wrong with an answer whose check ended with an error."""
    # A stub raises NotImplementedError with no message; PyTorch raises it with one, for an operation that it lacks.
    if isinstance(error, NotImplementedError) and not error.args:
        return "not done yet: fill in the cell above, run it, then this one"
    if isinstance(error, AssertionError | Stopped):
        return f"not yet: {str(error) or 'the result is not what the check expects'} [seed {seed}]"
    name = type(error).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    reason = f": {error}" if str(error) else ""
    where = f"call it in a cell of its own to see where; seed {seed}"
    return f"not yet: your code stopped with {article} {name}{reason} ({where})"


def confirm(source: str, names: dict[str, Any]) -> None:
    """Run the cell of a check, as graders do who want an error.

    Args:
        source: of the cell.
        names: what is defined, the answer among it.

    Raises:
        AssertionError: the answer is not right; the message says why.
    """
    verdicts: list[Verdict] = []

    def strict(title: str) -> Any:
        return check(title, tell=verdicts.append)

    exec(source, {**names, "check": strict})
    for verdict in verdicts:
        if not verdict.right:
            raise AssertionError(verdict.words)
