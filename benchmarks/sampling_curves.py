"""Quality against diversity: what a trained GPT writes under each rule of sampling, judged by the Oracle.

    python benchmarks/sampling_curves.py [--run data/runs/laptop] [--json FILE] [--tales N] [--seconds S]

For each setting the model writes whole tales, and counted are: how many are valid, and at which kind of choice the
others break; how many are word games; how many differ from all others; the entropy of the choices that the sampler had
while it wrote (the diversity, in nats: its mean estimates the entropy of what is written without bias, and better than
the log-probabilities would); and the true log-probability of the valid ones. Beside them stands the language itself.

With a file, results are added to it batch by batch, so a run that was cut short (by --seconds, for one) goes on where
it stopped.
"""

import argparse
import math
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from common import ROOT, circumstances, record
from torch import Tensor

from minigpt import tales
from minigpt.evaluation import sample_documents
from minigpt.files import read_json
from minigpt.runs import load_run
from minigpt.sampling import Sampler

BATCH = 100  # tales at a time
TRUE_TALES = 2000
SETTINGS = [
    *[Sampler(temperature=t) for t in (0.25, 0.5, 0.7, 0.85, 1.0, 1.15, 1.3)],
    *[Sampler(top_k=k) for k in (1, 2, 3, 4, 6, 10, 20, 40, 100)],
    *[Sampler(top_p=p) for p in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)],
    *[Sampler(min_p=p) for p in (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)],
]


class Listening:
    """A sampler that adds up the entropy of every choice, until the token that ends a row."""

    def __init__(self, sampler: Sampler, rows: int, stop: int):
        self.sampler, self.stop = sampler, stop
        self.entropies, self.writing = torch.zeros(rows, dtype=torch.float64), torch.ones(rows, dtype=torch.bool)

    def __call__(self, log_probs: Tensor, generator: torch.Generator) -> Tensor:
        rule = self.sampler.rule(log_probs).double()
        entropy = torch.special.entr(rule.exp()).sum(dim=-1)
        tokens = torch.multinomial(rule.exp(), 1, generator=generator)[:, 0]
        self.entropies += entropy * self.writing
        self.writing &= tokens != self.stop
        return tokens


def count(texts: list[str]) -> dict[str, Any]:
    """What the Oracle says of some texts."""
    readings = [tales.read(text) for text in texts]
    valid = [reading for reading in readings if reading.complete]
    broken = [reading for reading in readings if not reading.complete]
    return {
        "tales": len(texts),
        "characters": sum(map(len, texts)),
        "valid": len(valid),
        "valid_characters": sum(len(reading.text) for reading in valid),
        "valid_nats": -sum(reading.log_prob for reading in valid),
        "word_games": sum(map(is_word_game, readings)),
        "valid_word_games": sum(map(is_word_game, valid)),
        "breaks": Counter(reading.stopped_at.kind if reading.stopped_at else "end" for reading in broken),
    }


def is_word_game(reading: tales.Reading) -> bool:
    """Whether a text invents words."""
    return "invention" in reading.kinds()


def measure(model, tokenizer, sampler: Sampler, seed: int) -> dict[str, Any]:
    """Counts of a batch of tales, and the entropy of the choices that made them, in nats."""
    listening = Listening(sampler, BATCH, tokenizer.end_of_text)
    texts = sample_documents(model, tokenizer, BATCH, listening, seed=seed)
    return count(texts) | {"entropy_nats": listening.entropies.sum().item()}


def add(row: dict[str, Any], more: dict[str, Any]) -> None:
    """Add counts to those of a row."""
    for name, value in more.items():
        if name == "breaks":
            row[name] = dict(Counter(row.get(name, {})) + Counter(value))
        else:
            row[name] = row.get(name, 0) + value


def truth() -> dict[str, Any]:
    """The same of the language itself."""
    texts = [tales.document("english", "validation", index) for index in range(TRUE_TALES)]
    return count(texts) | {"entropy_nats": sum(tales.read(text).entropy for text in texts)}


def show(row: dict[str, Any]) -> None:
    """Print a row."""
    rules = [f"{name} {value}" for name, value in row.items() if name in asdict(Sampler()) and value is not None]
    print(
        f"{', '.join(rules) or 'the language':<32}{row['tales']:>8,}{row['valid'] / row['tales']:>8.1%}"
        f"{row['entropy_nats'] / row['characters'] / math.log(2):>8.4f}{row['word_games'] / row['tales']:>8.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=ROOT / "data" / "runs" / "laptop", help="whose model writes")
    parser.add_argument("--json", type=Path, help="also write the table, the machine and the versions here")
    parser.add_argument("--tales", type=int, default=500, help="for each setting")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no other batch after this long")
    arguments = parser.parse_args()
    begin = time.monotonic()
    torch.set_num_threads(1)
    where = circumstances(["torch", "numpy"])
    model, tokenizer, _ = load_run(arguments.run)
    if arguments.json and arguments.json.exists():
        table = read_json(arguments.json)
    else:
        table = {"truth": truth(), "rows": [asdict(sampler) | {"tales": 0} for sampler in SETTINGS]}
        record(arguments.json, **table)
    for sampler, row in zip(SETTINGS, table["rows"], strict=True):
        while row["tales"] < arguments.tales and time.monotonic() - begin < arguments.seconds:
            add(row, measure(model, tokenizer, sampler, seed=row["tales"] // BATCH))
            record(arguments.json, run=arguments.run.name, **where, truth=table["truth"], rows=table["rows"])
    print(f"{'':<32}{'tales':>8}{'valid':>8}{'bits/c':>8}{'games':>8}")
    for row in [table["truth"], *table["rows"]]:
        if row["tales"]:
            show(row)


if __name__ == "__main__":
    main()
