"""What each setting of the family is worth: a small GPT-2 on tales, with one setting changed at a time.

    python benchmarks/family.py [--json FILE]

Every variant is trained at two pairs of learning rates, with four seeds each, and judged at its better pair. Chapter 13
shows the record.
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
from minigpt.training import TrainingConfig, learning_rate_factor, make_optimizers
from minigpt.transformer import GPT, GPT2, GPTConfig

STEPS, ROWS, T, SEEDS = 500, 6, 192, 4
RATES = [{"muon": 0.005, "adamw": 0.003}, {"muon": 0.01, "adamw": 0.01}]
MODERN = {name: GPTConfig.__dataclass_fields__[name].default for name in GPT2}
VARIANTS = {
    "GPT-2": {},
    "norm after each part (GPT-1)": {"norm_first": False},
    "windows of 32 in every other layer (GPT-3)": {"windows": (0, 32)},
    "windows of 8 in every other layer": {"windows": (0, 8)},
    "scores not scaled (GPT-Neo)": {"attention_scale": 1.0},
    "no biases in queries, keys, values (GPT-Neo)": {"attention_biases": "projection"},
    "rotary positions, half of a head (GPT-J)": {"positions": "rotary", "rotary_width": 8},
    "attention and MLP side by side (GPT-J)": {"parallel": True},
    "own head, with a bias (GPT-J)": {"tied_embeddings": False, "head_bias": True},
    "sinusoidal positions (CTRL)": {"positions": "sinusoidal"},
    "ReLU (CTRL)": {"activation": "relu"},
    "squared ReLU (ours)": {"activation": "squared_relu"},
    "normalised queries and keys (ours)": {"qk_norm": True},
    "everything as in our default": MODERN,
}


def train(settings: dict[str, Any], rates: dict[str, float], seed: int, data: Tokens, held_out: Tokens) -> float:
    """Train one variant; give its held-out loss in bits per character."""
    torch.manual_seed(seed)
    end_of_text = int(data.ids[0])
    model = GPT(GPTConfig(end_of_text + 1, T, n_layers=2, n_heads=4, width=64, **GPT2 | settings))
    optimizers, batches = make_optimizers(model, TrainingConfig(steps=STEPS)), Batches(data, T, ROWS, seed)
    for step in range(STEPS):
        rows = batches.batch(step)
        model(rows[:, :-1], rows[:, 1:]).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for name, optimizer in optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name] * learning_rate_factor(step, STEPS, 0.6)
            optimizer.step()
            optimizer.zero_grad()
    return bits_per_character(model.eval(), held_out, end_of_text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the results here")
    arguments = parser.parse_args()
    tokenizer = load_run(ROOT / "data/runs/laptop")[1]
    data, held_out = prepare(open_corpus("tales"), tokenizer, cache_folder(), 3_000_000, 60_000)
    rows = []
    for name, settings in tqdm(VARIANTS.items()):
        tried = [[train(settings, rates, seed, data, held_out) for seed in range(SEEDS)] for rates in RATES]
        ends = min(tried, key=lambda ends: math.inf if any(map(math.isnan, ends)) else statistics.mean(ends))
        rows.append({"variant": name, "bits_per_character": statistics.mean(ends), "of_each_seed": ends})
        print(f"{name:<48} {statistics.mean(ends):.4f}  {[round(end, 4) for end in ends]}", flush=True)
    texts = [tokenizer.decode(document) for document in split_documents(held_out)]
    machine = circumstances(["torch", "numpy"])
    record(arguments.json, steps=STEPS, floor=floor_bits_per_character(texts, "english"), rows=rows, **machine)


if __name__ == "__main__":
    main()
