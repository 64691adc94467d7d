"""What a chapter's exercises need: a check that says in words how far the reader has come.

A check must never break a run of the notebook, so whatever goes wrong inside it is told, not raised. Its random inputs
are new at each run; what it tells ends with their seed, so that anyone can have the same inputs again.
"""

import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def check(title: str, seed: int | None = None) -> Iterator[None]:
    """Check one exercise: print whether the assertions inside the block hold, and if not, why.

    Args:
        title: the exercise's number and what it asks for.
        seed: of the block's random numbers; if None, a new one at each run.

    >>> with check("1: double it", seed=7):
    ...     assert 2 + 2 == 5, "double of 2 should be 5"
    Exercise 1: double it: not yet: double of 2 should be 5 [seed 7]
    """
    seed = secrets.randbelow(10_000) if seed is None else seed
    try:
        with seeded(seed):
            yield
    except (Exception, SystemExit) as error:
        print(f"Exercise {title}: {in_words(error, seed)}")
    else:
        print(f"Exercise {title}: right.")


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
    if isinstance(error, AssertionError):
        return f"not yet: {str(error) or 'the result is not what the check expects'} [seed {seed}]"
    name = type(error).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    reason = f": {error}" if str(error) else ""
    where = f"call it in a cell of its own to see where; seed {seed}"
    return f"not yet: your code stopped with {article} {name}{reason} ({where})"
