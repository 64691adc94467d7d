"""Byte-pair training and encoding: ours beside `tokenizers` and `tiktoken`, in one run.

    python benchmarks/byte_pairs.py [--json FILE] [--gpt2 FOLDER]

Trains 1,024 entries on about 1 MB of text, and encodes that text with them and with GPT-2's vocabulary (if the folder
with its `vocab.json` and `merges.txt` is there). Every encoder must give the same ids. Ours is Python; the peers are
Rust, held to one thread as ours is. The libraries take turns, each time with an empty cache, and the best time counts.
The text is one string, and `tokenizers` also records where each token came from, which the others do not.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread each; read when the library first works

import tiktoken
import tokenizers as hugging_face
from common import SHARED, best_of_turns, circumstances, read_text, record

from minigpt.tokenizer_files import load_tokenizer, save_tokenizer
from minigpt.tokenizers import END_OF_TEXT, WORD_PATTERN, BytePairTokenizer, train_byte_pairs

ENTRIES, TURNS = 1024, 3


def train_theirs(text: str) -> hugging_face.Tokenizer:
    """The same training by `tokenizers`."""
    tokenizer = hugging_face.Tokenizer(hugging_face.models.BPE())
    tokenizer.pre_tokenizer = hugging_face.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = hugging_face.pre_tokenizers.ByteLevel.alphabet()
    trainer = hugging_face.trainers.BpeTrainer(
        vocab_size=ENTRIES, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def encoders(tokenizer: BytePairTokenizer, folder: Path, text: str) -> dict[str, Callable]:
    """For each library a function that makes a fresh encoder with this vocabulary, ready to go."""
    save_tokenizer(tokenizer, folder / "tokenizer.json")

    def ours() -> Callable:
        fresh = BytePairTokenizer(tokenizer.merges, tokenizer.vocabulary, tokenizer.special)
        return lambda: fresh.encode(text)

    def theirs() -> Callable:
        fresh = hugging_face.Tokenizer.from_file(str(folder / "tokenizer.json"))
        return lambda: fresh.encode(text).ids

    def tiktokens() -> Callable:
        ranks = tokenizer.vocabulary  # a token's rank is its id, as in GPT-2
        fresh = tiktoken.Encoding("fresh", pat_str=WORD_PATTERN.pattern, mergeable_ranks=ranks, special_tokens={})
        return lambda: fresh.encode_ordinary(text)

    return {"minigpt": ours, "tokenizers": theirs, "tiktoken": tiktokens}


def rows_of(task: str, megabytes: float, best: dict[str, tuple[float, Any]]) -> list[dict[str, Any]]:
    """One row of the table for each library."""
    ours = best["minigpt"][0]
    return [
        {
            "task": task,
            "library": name,
            "seconds": seconds,
            "megabytes_per_second": megabytes / seconds,
            "times_ours": ours / seconds,
        }
        for name, (seconds, _) in best.items()
    ]


def measure(text: str, gpt2: Path) -> list[dict]:
    """All rows of the table."""
    megabytes = len(text.encode()) / 1e6
    trained = best_of_turns(
        {
            "minigpt": lambda: lambda: train_byte_pairs([text], ENTRIES),
            "tokenizers": lambda: lambda: train_theirs(text),
        },
        TURNS,
    )
    rows = rows_of(f"train {ENTRIES} entries", megabytes, trained)
    vocabularies = {f"encode, {ENTRIES} entries": trained["minigpt"][1]}
    if gpt2.exists():
        vocabularies["encode, GPT-2"] = load_tokenizer(gpt2)
    else:
        print(f"no GPT-2 vocabulary at {gpt2}: that part is left out")
    for task, tokenizer in vocabularies.items():
        with TemporaryDirectory() as folder:
            best = best_of_turns(encoders(tokenizer, Path(folder), text), TURNS)
        if any(ids != best["minigpt"][1] for _, ids in best.values()):
            raise SystemExit(f"{task}: the libraries give different ids; no time means anything until that is mended")
        rows += rows_of(task, megabytes, best)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="also write the table, the machine and the versions here")
    parser.add_argument("--gpt2", type=Path, default=SHARED / "golden" / "gpt2_bpe", help="vocab.json and merges.txt")
    arguments = parser.parse_args()
    name, text = read_text()
    print(f"{name}, {len(text.encode()):,} bytes")
    where = circumstances(["regex", "tokenizers", "tiktoken"])
    rows = measure(text, arguments.gpt2)
    print(f"{'task':<22}{'library':<12}{'seconds':>9}{'MB/s':>8}{'speed, ours = 1':>17}")
    for row in rows:
        print("{task:<22}{library:<12}{seconds:>9.3f}{megabytes_per_second:>8.2f}{times_ours:>17.2f}".format(**row))
    record(arguments.json, text=name, **where, rows=rows)


if __name__ == "__main__":
    main()
