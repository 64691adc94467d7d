"""Kneser-Ney: ours beside NLTK's, on the same text in one run.

    python benchmarks/ngram.py [--json FILE]

Both fit an interpolated Kneser-Ney model of order 5 to the beginning of the text, as characters, and then give the
probability of each of the characters that follow, which must agree to 1e-9. NLTK gives one probability at a time; ours
computes the whole distribution each time. They take turns, each on one core, and the best time counts, except NLTK's
scoring, which takes one turn: it walks through all n-grams for each level of each character. Then ours alone fits
modified Kneser-Ney of orders 1 to 8 to the whole text.
"""

import argparse
import os
import platform
import pydoc_data.topics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nltk.lm import KneserNeyInterpolated
from nltk.util import everygrams

from minigpt.files import write_json
from minigpt.ngram import KneserNey, ModifiedKneserNey

SHARED = Path(__file__).resolve().parents[2] / "shared"
ORDER, DISCOUNT, REPEATS = 5, 0.75, 3
FITTED, OURS_SCORED, THEIRS_SCORED = 200_000, 50_000, 100  # characters
MEGABYTE, ORDERS = 1_000_000, range(1, 9)


def read_text() -> tuple[str, str]:
    """A text of up to 1 MB, its name first."""
    path = SHARED / "corpora" / "tinyshakespeare.txt"
    if path.exists():
        return "Tiny Shakespeare", path.read_text(encoding="utf-8")[:MEGABYTE]
    return "pydoc topics", "\n".join(pydoc_data.topics.topics.values())[:MEGABYTE]


def timed(work: Callable) -> tuple[float, Any]:
    """How long it took, in seconds, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def fit_theirs(text: str) -> KneserNeyInterpolated:
    """NLTK's model of a text."""
    model = KneserNeyInterpolated(ORDER, discount=DISCOUNT)
    model.fit([everygrams(text, max_len=ORDER)], text)
    return model


def best_of_turns(works: dict[str, Callable]) -> dict[str, tuple[float, Any]]:
    """For each library its best time in seconds, and its result."""
    best: dict[str, tuple[float, Any]] = {}
    for _ in range(REPEATS):
        for library, work in works.items():
            seconds, result = timed(work)
            if library not in best or seconds < best[library][0]:
                best[library] = seconds, result
    return best


def compare(text: str) -> list[dict[str, Any]]:
    """Fit and score with both libraries: one row of the table for each task."""
    alphabet = sorted(set(text))
    ids = np.searchsorted(alphabet, list(text))
    fitted = best_of_turns(
        {
            "minigpt": lambda: KneserNey(len(alphabet), ORDER, discount=DISCOUNT).fit(ids[:FITTED]),
            "nltk": lambda: fit_theirs(text[:FITTED]),
        }
    )
    (fit_seconds, ours), (their_fit_seconds, theirs) = fitted["minigpt"], fitted["nltk"]
    targets = ids[FITTED : FITTED + OURS_SCORED]
    context = torch.from_numpy(ids[None, FITTED - ORDER + 1 : FITTED + len(targets) - 1])
    seconds, log_probs = best_of_turns({"minigpt": lambda: ours.log_probs(context)})["minigpt"]
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


def processor() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="also write the table, the machine and the versions here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name, text = read_text()
    machine = {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform()}
    versions = {"python": platform.python_version()} | {library: version(library) for library in ("numpy", "nltk")}
    print(f"{name}, {len(text):,} characters; {machine['processor']}, {machine['cores']} cores")
    print(", ".join(f"{library} {number}" for library, number in versions.items()))
    print(f"{'seconds':<36}{'minigpt':>12}{'nltk':>12}{'ratio':>9}")
    rows = compare(text) + ours_alone(text)
    for r in rows:
        theirs = f"{r['nltk']:>12.3g}{r['ratio']:>9,.0f}" if r["nltk"] else ""
        print(f"{r['task']:<36}{r['minigpt']:>12.3g}{theirs}")
    if arguments.json:
        write_json(arguments.json, {"text": name, "machine": machine, "versions": versions, "rows": rows})


if __name__ == "__main__":
    main()
