"""What a chapter's exercises need: a check that says in words how far the reader has come.

A check must never break a run of the notebook, so whatever goes wrong inside it is told, not raised.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def check(title: str) -> Iterator[None]:
    """Check one exercise: print whether the assertions inside the block hold, and if not, why.

    Args:
        title: the exercise's number and what it asks for.

    >>> with check("1: double it"):
    ...     assert 2 + 2 == 5, "double of 2 should be 5"
    Exercise 1: double it: not yet: double of 2 should be 5
    """
    try:
        yield
    except Exception as error:
        print(f"Exercise {title}: {_in_words(error)}")
    else:
        print(f"Exercise {title}: right.")


def _in_words(error: Exception) -> str:
    # A stub raises NotImplementedError with no message; PyTorch raises it with one, for an operation that it lacks.
    if isinstance(error, NotImplementedError) and not error.args:
        return "not done yet: fill in the cell above, run it, then this one"
    if isinstance(error, AssertionError):
        return f"not yet: {error}" if str(error) else "not yet: the result is not what the check expects"
    name = type(error).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    reason = f": {error}" if str(error) else ""
    return f"not yet: your code stopped with {article} {name}{reason} (call it in a cell of its own to see where)"
