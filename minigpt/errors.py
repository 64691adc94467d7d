"""The one kind of error that a user can mend."""

import difflib
from collections.abc import Iterable


class MinigptError(Exception):
    """A mistake in the input: one sentence that says what is wrong and what to do.

    The command line prints the sentence and exits with code 2; in Python it is an exception like others.
    """


def unknown_name(what: str, name: str, known: Iterable[str]) -> MinigptError:
    """An error for a name that is not in a list: it offers the nearest names.

    >>> str(unknown_name("preset", "labtop", ["laptop", "one-gpu"]))
    "there is no preset 'labtop'; did you mean laptop? (known: laptop, one-gpu)"
    """
    known = sorted(known)
    nearest = difflib.get_close_matches(name, known, cutoff=0.5)
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    return MinigptError(f"there is no {what} {name!r}; {hint}(known: {', '.join(known)})")
