"""Optimisers and schedules beside each other: the same small GPT, the same tales in the same order.

    python benchmarks/optimizers.py [--json FILE]

Each optimiser is tried at a range of learning rates that reaches beyond its best one on both sides; then, with the best
of all, each schedule. Chapter 11 shows the record.
"""

import argparse
import math
import statistics
from pathlib import Path
from typing import Any

import torch
from common import ROOT, circumstances, record
from torch import nn
from tqdm.auto import tqdm

from minigpt.corpora import cache_folder, open_corpus
from minigpt.datasets import Batches, Tokens, prepare
from minigpt.evaluation import bits_per_character, floor_bits_per_character, split_documents
from minigpt.runs import load_run
from minigpt.training import WARM_UP_STEPS, TrainingConfig, learning_rate_factor, make_optimizers
from minigpt.transformer import GPT, GPTConfig

STEPS, ROWS, SMOOTH, SEEDS = 500, 6, 20, 3
RATES = {
    "SGD with momentum": [0.1, 0.3, 1.0, 3.0, 10.0],
    "AdamW": [3e-3, 6e-3, 1.2e-2, 3e-2, 1e-1],
    "Muon and AdamW": [2.5e-3, 5e-3, 1e-2, 2e-2, 4e-2],
}
SCHEDULES = {
    "constant": lambda step, steps: min(1.0, (step + 1) / WARM_UP_STEPS),
    "cosine": lambda step, steps: min(1.0, (step + 1) / WARM_UP_STEPS) * (0.5 + 0.5 * math.cos(math.pi * step / steps)),
    "line over the last fifth": lambda step, steps: learning_rate_factor(step, steps, 0.2),
    "line over the last 3 fifths": lambda step, steps: learning_rate_factor(step, steps, 0.6),
}


def optimizers_of(model: GPT, name: str, rate: float) -> list[tuple[torch.optim.Optimizer, float]]:
    """Optimisers and the highest learning rate of each."""
    if name == "SGD with momentum":
        return [(torch.optim.SGD(model.parameters(), momentum=0.9), rate)]
    if name == "AdamW":
        return [(torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01), rate)]
    config = TrainingConfig(steps=STEPS)
    optimizers = make_optimizers(model, config)
    return [(optimizers["muon"], rate), (optimizers["adamw"], config.learning_rate)]


def train(
    name: str, rate: float, schedule: str, seed: int, data: Tokens, validation: Tokens, end_of_text: int
) -> tuple[list[float], float]:
    """Train one model: its training loss every `SMOOTH` steps, and its held-out loss, in bits per character."""
    torch.manual_seed(seed)
    model = GPT(GPTConfig(end_of_text + 1, 192, n_layers=2, n_heads=4, width=64))
    optimizers, batches = optimizers_of(model, name, rate), Batches(data, 192, ROWS, seed)
    to_bits = len(data.ids) / data.characters / math.log(2)
    losses = []
    for step in tqdm(range(STEPS), desc=f"{name}, {rate:g}, {schedule}, seed {seed}"):
        rows = batches.batch(step)
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, highest in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = highest * SCHEDULES[schedule](step, STEPS)
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item() * to_bits)
    means = [sum(losses[i : i + SMOOTH]) / SMOOTH for i in range(0, STEPS, SMOOTH)]
    return means, bits_per_character(model.eval(), validation, end_of_text)


def train_seeds(name: str, rate: float, schedule: str, *about: Any) -> dict[str, Any]:
    """Train with each seed, and sum up."""
    curves, ends = zip(*[train(name, rate, schedule, seed, *about) for seed in range(SEEDS)], strict=True)
    mean = statistics.mean(ends)
    print(f"{name:<18} {rate:<7g} {schedule:<28} {mean:.4f} ({min(ends):.4f} to {max(ends):.4f})", flush=True)
    return {
        "optimizer": name,
        "rate": rate,
        "schedule": schedule,
        "train_bits_per_character": [statistics.mean(losses) for losses in zip(*curves, strict=True)],
        "bits_per_character": mean,
        "of_each_seed": ends,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    corpus, (_, tokenizer, _) = open_corpus("tales"), load_run(ROOT / "data/runs/laptop")
    data, validation = prepare(corpus, tokenizer, cache_folder(), 3_000_000, 60_000)
    about = (data, validation, tokenizer.end_of_text)
    usual = list(SCHEDULES)[-1]
    runs = [train_seeds(name, rate, usual, *about) for name, rates in RATES.items() for rate in rates]
    best = min(runs, key=lambda run: run["bits_per_character"])
    runs += [train_seeds(best["optimizer"], best["rate"], schedule, *about) for schedule in list(SCHEDULES)[:-1]]
    texts = [tokenizer.decode(document) for document in split_documents(validation)]
    floor = floor_bits_per_character(texts, "english")
    machine = circumstances(["torch", "numpy"])
    record(arguments.json, steps=STEPS, every=SMOOTH, tokens_per_step=ROWS * 192, floor=floor, runs=runs, **machine)


if __name__ == "__main__":
    main()
