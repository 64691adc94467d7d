"""Kneser-Ney: ours beside NLTK's, on the same text in one run.

    python benchmarks/ngram.py [--json FILE]

Both fit an interpolated Kneser-Ney model of order 5 to the beginning of the text, as characters, and then give the
probability of each of the characters that follow, which must agree to 1e-9. NLTK gives one probability at a time; ours
computes the whole distribution each time. They take turns, each on one core, and the best time counts, except NLTK's
scoring, which takes one turn: it walks through all n-grams for each level of each character. Then ours alone fits
modified Kneser-Ney of orders 1 to 8 to the whole text.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import best_of_turns, circumstances, read_text, record, timed
from nltk.lm import KneserNeyInterpolated
from nltk.util import everygrams

from minigpt.ngram import KneserNey, ModifiedKneserNey

ORDER, DISCOUNT, TURNS = 5, 0.75, 3
FITTED, OURS_SCORED, THEIRS_SCORED = 200_000, 50_000, 100  # characters
MEGABYTE, ORDERS = 1_000_000, range(1, 9)


def fit_theirs(text: str) -> KneserNeyInterpolated:
    """NLTK's model of a text."""
    model = KneserNeyInterpolated(ORDER, discount=DISCOUNT)
    model.fit([everygrams(text, max_len=ORDER)], text)
    return model


def compare(text: str) -> list[dict[str, Any]]:
    """Fit and score with both libraries: one row of the table for each task."""
    alphabet = sorted(set(text))
    ids = np.searchsorted(alphabet, list(text))
    fitted = best_of_turns(
        {
            "minigpt": lambda: lambda: KneserNey(len(alphabet), ORDER, discount=DISCOUNT).fit(ids[:FITTED]),
            "nltk": lambda: lambda: fit_theirs(text[:FITTED]),
        },
        TURNS,
    )
    (fit_seconds, ours), (their_fit_seconds, theirs) = fitted["minigpt"], fitted["nltk"]
    targets = ids[FITTED : FITTED + OURS_SCORED]
    context = torch.from_numpy(ids[None, FITTED - ORDER + 1 : FITTED + len(targets) - 1])
    seconds, log_probs = best_of_turns({"minigpt": lambda: lambda: ours.log_probs(context)}, TURNS)["minigpt"]
    ends = range(FITTED, FITTED + THEIRS_SCORED)
    their_seconds, scores = timed(lambda: [theirs.score(text[end], tuple(text[end - ORDER + 1 : end])) for end in ends])
    rows = log_probs[0, ORDER - 2 :].numpy()
    error = np.abs(np.exp(rows[range(THEIRS_SCORED), targets[:THEIRS_SCORED]]) - scores).max()
    if error > 1e-9:
        raise SystemExit(f"the probabilities differ by {error:.1e}; no time means anything until that is mended")
    return [
        row(f"fit {FITTED:,} characters, order {ORDER}", fit_seconds, their_fit_seconds),
        row(f"score a character, order {ORDER}", seconds / len(targets), their_seconds / THEIRS_SCORED),
    ]


def ours_alone(text: str) -> list[dict[str, Any]]:
    """Fit modified Kneser-Ney of each order to the whole text."""
    alphabet = sorted(set(text))
    ids = np.searchsorted(alphabet, list(text))
    rows = []
    for order in ORDERS:
        seconds, _ = timed(lambda order=order: ModifiedKneserNey(len(alphabet), order).fit(ids))
        rows.append(row(f"fit {len(ids):,} characters, order {order}", seconds))
    return rows


def row(task: str, ours: float, theirs: float | None = None) -> dict[str, Any]:
    """One row of the table: seconds, and how many times ours NLTK takes."""
    return {"task": task, "minigpt": ours, "nltk": theirs, "ratio": theirs and theirs / ours}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="also write the table, the machine and the versions here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name, text = read_text()
    text = text[:MEGABYTE]
    print(f"{name}, {len(text):,} characters")
    where = circumstances(["numpy", "nltk"])
    print(f"{'seconds':<36}{'minigpt':>12}{'nltk':>12}{'ratio':>9}")
    rows = compare(text) + ours_alone(text)
    for r in rows:
        theirs = f"{r['nltk']:>12.3g}{r['ratio']:>9,.0f}" if r["nltk"] else ""
        print(f"{r['task']:<36}{r['minigpt']:>12.3g}{theirs}")
    record(arguments.json, text=name, **where, rows=rows)


if __name__ == "__main__":
    main()
