"""How loss falls with size and with data, and what each size learns from its context: what chapter 12 is drawn from.

    python benchmarks/scaling.py [--json data/runs/scaling.json] [--threads 2]

GPTs of rising width are trained on Tales for rising numbers of tokens, every run with a schedule of its own. Each is
then judged on held-out tales (bits per character, answers) and on held-out word games: was the invented word that must
come the most probable one, by how many times it had stood above? What is done stays in runs/scaling, so the benchmark
can be interrupted and called again. It takes about an hour on two cores.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from common import ROOT, circumstances, record
from tqdm.auto import tqdm

from minigpt import tales
from minigpt.corpora import cache_folder, open_corpus
from minigpt.datasets import Tokens, prepare
from minigpt.devices import processes
from minigpt.evaluation import floor_bits_per_character, report_on_tales, score, split_documents, token_starts
from minigpt.files import read_json, write_json
from minigpt.runs import make_tokenizer
from minigpt.tokenizers import Tokenizer
from minigpt.training import Trainer, TrainingConfig
from minigpt.transformer import GPT, GPTConfig

WIDTHS = (8, 16, 32, 64, 128, 256)
TOKENS = (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000)
MOST = {256: 2_000_000}  # tokens, where more would take too long
CONTEXT = 192
BATCH = 6
CHARACTERS = 16_000_000, 150_000  # to train on, and held out
GAMES = 600


def word_games(count: int) -> list[str]:
    """Held-out documents that invent words and then ask for them."""
    games, index = [], 100_000  # far from the tales that the loss is measured on
    while len(games) < count:
        text = tales.document("english", "validation", index)
        if tales.read(text).spans("word game"):
            games.append(text)
        index += 1
    return games


def hits_by_mentions(model: GPT, tokenizer: Tokenizer, games: list[str]) -> dict[int, list[int]]:
    """For each number of earlier mentions of an invented word: how often it was the most probable, and of how many."""
    documents = [tokenizer.encode(text) for text in games]
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for text, ids, scores in zip(games, documents, score(model, documents, tokenizer.end_of_text)):
        starts = token_starts(tokenizer, ids)
        for first, last in tales.read(text).spans("word game"):
            tokens = [i for i in range(len(ids)) if starts[i] < last and starts[i + 1] > first]
            mentions = text[:first].count(text[first:last].strip())
            counts[mentions][0] += bool(scores.hits[tokens].all())
            counts[mentions][1] += 1
    return dict(sorted(counts.items()))


def train(width: int, tokens: int, train_set: Tokens, validation: Tokens, tokenizer: Tokenizer, folder: Path) -> GPT:
    """Train one model, or go on with one that was interrupted."""
    torch.manual_seed(0)
    heads = 2 if width < 16 else 4
    model = GPT(GPTConfig(tokenizer.vocabulary_size, CONTEXT, n_layers=2, n_heads=heads, width=width))
    steps = round(tokens / (BATCH * CONTEXT))
    config = TrainingConfig(steps=steps, batch_size=BATCH, micro_batch_size=BATCH, evaluations=2, compile=False)
    folder.mkdir(parents=True, exist_ok=True)
    with processes() as process:
        trainer = Trainer(model, train_set, validation, tokenizer.end_of_text, config, folder, process)
        trainer.resume()
        trainer.run()
    return model.eval()


def judge(model: GPT, tokenizer: Tokenizer, texts: list[str], games: list[str]) -> dict[str, Any]:
    """Loss and answers on held-out tales, and what was learned in context."""
    report = report_on_tales(model, tokenizer, texts)
    return {
        "parameters": model.n_parameters,
        "flops_per_token": model.flops_per_token,
        "bits_per_character": report.bits_per_character,
        "answer_accuracy": report.answer_accuracy,
        "questions": report.questions,
        "bits_by_kind": report.bits_by_kind,
        "word_game_hits_by_mentions": hits_by_mentions(model, tokenizer, games),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "scaling", help="where models and results stay")
    parser.add_argument("--json", type=Path, help="also write the figures, the machine and the versions here")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    about = circumstances(["torch", "numpy"])
    corpus = open_corpus("tales")
    tokenizer = make_tokenizer("bpe-1024", corpus)
    train_set, validation = prepare(corpus, tokenizer, cache_folder(), *CHARACTERS)
    texts = [tokenizer.decode(document) for document in split_documents(validation)]
    games = word_games(GAMES)
    rows = []
    for width, tokens in tqdm([(w, t) for w in WIDTHS for t in TOKENS if t <= MOST.get(w, t)], unit="run"):
        folder = arguments.folder / f"{width}-{tokens}"
        result = folder / "result.json"
        if not result.exists():
            model = train(width, tokens, train_set, validation, tokenizer, folder)
            write_json(result, {"width": width, "tokens": tokens} | judge(model, tokenizer, texts, games))
        rows.append(read_json(result))
        print("{width:4} wide, {tokens:9,} tokens: {bits_per_character:.4f} bits per character".format(**rows[-1]))
    record(arguments.json, floor=floor_bits_per_character(texts, "english"), runs=rows, **about)


if __name__ == "__main__":
    main()
