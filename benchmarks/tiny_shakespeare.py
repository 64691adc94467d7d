"""Tiny Shakespeare in the time of nanoGPT's CPU recipe: that recipe and ours, one after the other on this machine.

    python benchmarks/tiny_shakespeare.py [--text FILE] [--json FILE]

The recipe (nanoGPT's README, "I only have a macbook"): 4 layers, 4 heads, width 128, context 64, batch 12, 2,000 steps,
characters, no dropout; here as a GPT-2 block in plain PyTorch with fused AdamW, without compiling. What those steps
take is the time that `minigpt` then gets. Both are judged by all of the last tenth of the text, every character of it.
"""

import argparse
import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from common import SHARED, circumstances, record
from tqdm.auto import tqdm

from minigpt.corpora import cache_folder, open_corpus
from minigpt.datasets import Tokens, prepare
from minigpt.devices import Process
from minigpt.evaluation import bits_per_character
from minigpt.tokenizers import CharacterTokenizer
from minigpt.training import Progress, Trainer, TrainingConfig
from minigpt.transformer import GPT, GPT2, GPTConfig

STEPS, BATCH, CONTEXT, LEARNING_RATE, WARM_UP = 2000, 12, 64, 1e-3, 100
WATCHED = 4096  # characters of the held-out text
OURS = {"n_layers": 3, "n_heads": 4, "width": 128, "context_length": 128}
HOW = {"batch_size": 8, "micro_batch_size": 8, "learning_rate": 6e-3, "muon_learning_rate": 0.01, "decay": 0.6}


def train_recipe(corpus_path: str) -> tuple[float, float]:
    """Seconds that the recipe's steps take, and the nats per character that it comes to."""
    torch.manual_seed(0)
    corpus = open_corpus(corpus_path)
    tokenizer = CharacterTokenizer(corpus.alphabet())
    train, validation = prepare(corpus, tokenizer, cache_folder(), 0, 0)
    config = GPTConfig(tokenizer.vocabulary_size, CONTEXT, n_layers=4, n_heads=4, width=128, **GPT2)
    model = GPT(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.1, fused=True)
    ids = torch.from_numpy(train.ids[:].astype("int64"))
    start = time.perf_counter()
    for step in tqdm(range(STEPS), desc="the recipe"):
        progress = max(0, step - WARM_UP) / (STEPS - WARM_UP)
        rate = LEARNING_RATE * min((step + 1) / WARM_UP, 0.55 + 0.45 * math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(ids) - CONTEXT, (BATCH, 1))
        rows = ids[starts + torch.arange(CONTEXT + 1)]
        loss = model(rows[:, :-1], rows[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.perf_counter() - start
    return seconds, bits_per_character(model.eval(), validation, tokenizer.end_of_text) * math.log(2)


def train_ours(corpus_path: str, seconds: float) -> tuple[Progress, float]:
    """What our training comes to in so many seconds, and its nats per character."""
    torch.manual_seed(0)
    corpus = open_corpus(corpus_path)
    tokenizer = CharacterTokenizer(corpus.alphabet())
    train, validation = prepare(corpus, tokenizer, cache_folder(), 0, 0)
    model = GPT(GPTConfig(tokenizer.vocabulary_size, **OURS))
    beginning = Tokens(validation.ids[:WATCHED], WATCHED, validation.document_starts[:1])  # judged while training
    config = TrainingConfig(seconds=seconds, evaluations=2, compile=False, **HOW)
    process = Process(0, 1, torch.device("cpu"))
    with TemporaryDirectory() as folder:
        progress = Trainer(model, train, beginning, tokenizer.end_of_text, config, Path(folder), process).run()
    return progress, bits_per_character(model.eval(), validation, tokenizer.end_of_text) * math.log(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = SHARED / "corpora" / "tinyshakespeare.txt"
    parser.add_argument(
        "--text", default=str(default) if default.exists() else "tinyshakespeare", help="file or corpus"
    )
    parser.add_argument("--json", type=Path, help="also write the figures, the machine and the versions here")
    arguments = parser.parse_args()
    where = circumstances(["torch", "numpy"])
    seconds, nats = train_recipe(arguments.text)
    rows = [{"model": "nanoGPT's recipe", "seconds": seconds, "steps": STEPS, "nats_per_character": nats}]
    rows[0]["tokens_per_second"] = STEPS * BATCH * CONTEXT / seconds
    progress, nats = train_ours(arguments.text, 0.95 * seconds)  # a plan may be off by a few per cent
    rows.append({
        "model": "minigpt",
        "seconds": progress.seconds,
        "steps": progress.steps,
        "nats_per_character": nats,
        "tokens_per_second": progress.log[-1]["tokens_per_second"],
    })  # fmt: skip
    print(f"{'':<18}{'seconds':>9}{'steps':>7}{'tokens/s':>10}{'nats per character':>20}")
    for row in rows:
        print(
            "{model:<18}{seconds:>9.1f}{steps:>7}{tokens_per_second:>10,.0f}{nats_per_character:>20.4f}".format(**row)
        )
    record(arguments.json, **where, rows=rows, ours={"model": OURS, "training": HOW})


if __name__ == "__main__":
    main()
