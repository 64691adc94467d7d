"""The GPT beside the best n-gram model and an LSTM that get the same time, on the same held-out text.

    python benchmarks/same_time.py [--run runs/default] [--json FILE] [--ladder FILE]

The run's `train_seconds` are what each of the others may take on this machine: the LSTM trains for so long (the same
tokens, batches and schedule as the GPT), and an n-gram model may be as long as fitting it takes no longer. n-gram
models are tried on characters and on the GPT's own tokens, at each order. With --ladder the figure is drawn.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from common import circumstances, record, timed
from tqdm.auto import tqdm

from minigpt import runs
from minigpt.corpora import TALES, cache_folder, open_corpus
from minigpt.datasets import Batches, Tokens, prepare
from minigpt.evaluation import bits_per_character, floor_bits_per_character, split_documents
from minigpt.files import read_json
from minigpt.ngram import ModifiedKneserNey
from minigpt.plots import plot_ladder, save
from minigpt.recurrent import RecurrentLanguageModel
from minigpt.tokenizers import CharacterTokenizer, Tokenizer
from minigpt.training import learning_rate_factor

ORDERS = {"characters": range(1, 11), "tokens": range(2, 13)}
LSTM = {"width": 384, "batch_size": 16, "length": 256, "learning_rate": 4e-3, "decay": 0.6}


def train_lstm(train: Tokens, vocabulary_size: int, seconds: float) -> RecurrentLanguageModel:
    """Train an LSTM for some seconds, by AdamW on the schedule that the GPT has."""
    torch.manual_seed(0)
    model = RecurrentLanguageModel(vocabulary_size, LSTM["width"], "lstm")
    optimizer = torch.optim.AdamW(model.parameters(), lr=LSTM["learning_rate"], betas=(0.9, 0.98), fused=True)
    batches = Batches(train, LSTM["length"], LSTM["batch_size"], seed=0)
    step, steps, start = 0, 10**9, time.perf_counter()
    with tqdm(total=round(seconds), unit="s", desc="LSTM") as bar:
        while step < steps:
            rows = batches.batch(step)
            for group in optimizer.param_groups:
                group["lr"] = LSTM["learning_rate"] * learning_rate_factor(step, steps, LSTM["decay"])
            loss = model(rows[:, :-1], rows[:, 1:])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            spent = time.perf_counter() - start
            if step in (20, 60):  # by now the pace is known
                steps = step + int((seconds - spent) / (spent / step))
            bar.set_postfix({"nats": f"{loss.item():.3f}"}, refresh=False)
            bar.update(round(spent) - bar.n)
    return model.eval()


def ngrams(name: str, tokenizer: Tokenizer, train: Tokens, validation: Tokens, seconds: float) -> list[dict[str, Any]]:
    """Bits per character of n-gram models of rising order, for as long as they take no longer than `seconds` to fit."""
    rows = []
    for order in ORDERS[name]:
        model = ModifiedKneserNey(tokenizer.vocabulary_size, order, tokenizer.end_of_text)
        fitting, _ = timed(lambda model=model: model.fit(train.ids))
        if fitting > seconds:
            break
        bits = bits_per_character(model, validation, tokenizer.end_of_text)
        rows.append({"model": f"{order}-grams of {name}", "seconds": fitting, "bits_per_character": bits})
        print("{model:<24}{seconds:>9.1f} s {bits_per_character:>10.4f} bits per character".format(**rows[-1]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/default"), help="a finished run")
    parser.add_argument("--json", type=Path, help="also write the figures, the machine and the versions here")
    parser.add_argument("--ladder", type=Path, help="draw the ladder here, as PNG")
    arguments = parser.parse_args()
    where = circumstances(["torch", "numpy"])
    gpt, tokenizer, config = runs.load_run(arguments.run)
    seconds = read_json(arguments.run / "summary.json")["train_seconds"]
    corpus = open_corpus(config.corpus)
    sizes = cache_folder(), config.train_characters, config.validation_characters
    train, validation = prepare(corpus, tokenizer, *sizes)
    floor = None
    if config.corpus in TALES:
        texts = [tokenizer.decode(document) for document in split_documents(validation)]
        floor = floor_bits_per_character(texts, TALES[config.corpus])
    letters = CharacterTokenizer(corpus.alphabet())
    of_characters = ngrams("characters", letters, *prepare(corpus, letters, *sizes), seconds)
    rows = of_characters + ngrams("tokens", tokenizer, train, validation, seconds)
    lstm = train_lstm(train, tokenizer.vocabulary_size, seconds)
    for name, model in {f"LSTM of width {LSTM['width']}": lstm, "GPT": gpt}.items():
        bits = bits_per_character(model, validation, tokenizer.end_of_text)
        rows.append({"model": name, "seconds": seconds, "bits_per_character": bits})
        print("{model:<24}{seconds:>9.1f} s {bits_per_character:>10.4f} bits per character".format(**rows[-1]))
    best = min(rows[:-2], key=lambda row: row["bits_per_character"])
    rungs = {"uniform guessing": math.log2(letters.vocabulary_size)}
    rungs |= {row["model"]: row["bits_per_character"] for row in [*of_characters[:6], best, *rows[-2:]]}
    print(f"{'the floor':<35}{floor:>11.4f}" if floor else "the floor is unknown")
    record(arguments.json, **where, rows=rows, floor=floor, rungs=rungs)
    if arguments.ladder:
        title = f"From guessing to the floor: what {seconds / 60:.1f} minutes on two cores can learn"
        save(plot_ladder(rungs, title, floor), arguments.ladder)


if __name__ == "__main__":
    main()
