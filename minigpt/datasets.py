"""Token files and batches: a corpus encoded once, and then read in place, however large it is.

Chapter 9 builds it. A corpus becomes one long row of ids in which an end-of-text token begins each document. The file
is memory-mapped, so only what a batch needs is read. A batch is a function of the seed and its number alone: a run that
was killed goes on with the very batches that it would have had, and several processes share one batch without talking.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from minigpt.corpora import SPLITS, Corpus
from minigpt.errors import MinigptError
from minigpt.files import read_json, replacing, write_json
from minigpt.tokenizers import Tokenizer

FORMAT = "minigpt tokens 1"


@dataclass(frozen=True)
class Tokens:
    """A corpus, or one split of it, as token ids.

    Attributes:
        ids: all of them (N,), memory-mapped; each document begins with the end-of-text token.
        characters: how many characters they spell, end-of-text tokens not counted.
        document_starts: where in `ids` each document begins, in order.
    """

    ids: np.ndarray
    characters: int
    document_starts: np.ndarray


def prepare(
    corpus: Corpus, tokenizer: Tokenizer, folder: Path, train_characters: int, validation_characters: int
) -> tuple[Tokens, Tokens]:
    """Both splits of a corpus as tokens: encoded on the first call, found on the disk after that.

    Args:
        corpus: the text.
        tokenizer: how to encode it.
        folder: where token files lie.
        train_characters, validation_characters: how much to take of an endless corpus.

    Raises:
        MinigptError: the text is too short or cannot be encoded, or the disk is full.
    """
    sizes = zip(SPLITS, (train_characters, validation_characters), strict=True)
    train, validation = (prepare_split(corpus, tokenizer, folder, split, characters) for split, characters in sizes)
    return train, validation


def prepare_split(corpus: Corpus, tokenizer: Tokenizer, folder: Path, split: str, characters: int) -> Tokens:
    """One split of a corpus as tokens; the arguments are those of `prepare`."""
    recipe = [FORMAT, corpus.fingerprint, tokenizer.fingerprint, split, characters if corpus.endless else None]
    path = folder / "tokens" / hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:20]
    if not path.with_suffix(".json").exists():
        write_tokens(path, corpus, tokenizer, split, characters)
    return open_tokens(path)


def write_tokens(path: Path, corpus: Corpus, tokenizer: Tokenizer, split: str, characters: int) -> None:
    """Encode documents into `path`.bin, and write beside it, last, `path`.json, which says what it holds.

    Args:
        path: without its suffix.
        corpus, tokenizer, split: what to encode, and how.
        characters: when to stop, if the corpus is endless.
    """
    dtype = np.uint16 if tokenizer.vocabulary_size <= 1 << 16 else np.uint32
    starts, length, seen = [], 0, 0
    with (
        replacing(path.with_suffix(".bin")) as temporary,
        open(temporary, "wb") as file,
        tqdm(total=characters if corpus.endless else None, unit=" characters", unit_scale=True) as bar,
    ):
        bar.set_description(f"encoding {corpus.name} ({split})")
        for document in corpus.documents(split):
            starts.append(length)
            ids = [tokenizer.end_of_text]
            for piece in document:
                ids += tokenizer.encode(piece)
                np.asarray(ids, dtype=dtype).tofile(file)
                length, seen, ids = length + len(ids), seen + len(piece), []
                bar.update(len(piece))
            if corpus.endless and seen >= characters:
                break
    if not seen:
        raise MinigptError(f"{corpus.name} is too short: it has no text for the {split} split; give a longer one")
    facts = {"dtype": np.dtype(dtype).name, "length": length, "characters": seen, "document_starts": starts}
    write_json(path.with_suffix(".json"), facts)


def open_tokens(path: Path) -> Tokens:
    """Map a token file into memory.

    Raises:
        MinigptError: it is damaged.
    """
    facts = read_json(path.with_suffix(".json"))
    try:
        ids = np.memmap(path.with_suffix(".bin"), dtype=facts["dtype"], mode="r")
    except (OSError, ValueError):
        ids = np.zeros(0)
    if len(ids) != facts["length"]:
        raise MinigptError(f"{path}.bin is damaged or missing: remove {path}.json, and it is made again")
    return Tokens(ids, facts["characters"], np.asarray(facts["document_starts"]))


class Batches:
    """Windows of a token file in random order, the same for the same seed.

    Windows begin where documents begin, so that a model always knows what went before. A document longer than a window
    is cut into several, at places that differ from epoch to epoch; the last of them ends with the document.

    Args:
        tokens: what to learn from.
        length: T, predictions in a window.
        batch_size: B, windows in a batch.
        seed: of their order.

    Raises:
        MinigptError: the text is shorter than one window.
    """

    def __init__(self, tokens: Tokens, length: int, batch_size: int, seed: int):
        if len(tokens.ids) <= length:
            raise MinigptError(
                f"the text is too short: it has {len(tokens.ids)} tokens, but one window needs {length + 1};"
                " give a longer text, or a shorter context with --context"
            )
        self.ids, self.length, self.batch_size, self.seed = tokens.ids, length, batch_size, seed
        self.starts = tokens.document_starts
        self.ends = np.append(self.starts[1:], len(tokens.ids))
        self.windows = -(-(self.ends - self.starts) // length)  # of each document
        self._order = lru_cache(maxsize=2)(self._shuffle)  # a batch may reach from one epoch into the next

    def __len__(self) -> int:
        """Windows in an epoch."""
        return int(self.windows.sum())

    def _shuffle(self, epoch: int) -> np.ndarray:
        """Where the windows of an epoch begin, in its order."""
        random = np.random.default_rng([self.seed, epoch])
        document = np.repeat(np.arange(len(self.starts)), self.windows)
        number = np.arange(len(self)) - np.repeat(self.windows.cumsum() - self.windows, self.windows)
        shift = random.integers(self.length)
        begin = self.starts[document] + np.maximum(number * self.length - shift, 0)
        last = np.maximum(self.ends[document] - self.length, self.starts[document])
        begin = np.where(number == self.windows[document] - 1, last, begin)
        return random.permutation(np.minimum(begin, len(self.ids) - self.length - 1))

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Tensor:
        """The share of one process in batch number `step`.

        Args:
            step: from 0.
            rank: which process.
            world: how many processes there are.

        Returns:
            ids (B / world, T + 1): inputs and, shifted by one, targets.
        """
        share = self.batch_size // world
        first = step * self.batch_size + rank * share
        starts = [self._order(n // len(self))[n % len(self)] for n in range(first, first + share)]
        return torch.from_numpy(
            np.stack([self.ids[start : start + self.length + 1] for start in starts]).astype(np.int64)
        )


def beginning(corpus: Corpus, split: str, characters: int) -> Iterator[str]:
    """Pieces of a split from its beginning, until there are enough characters, or no more."""
    for piece in chain.from_iterable(corpus.documents(split)):
        yield piece
        characters -= len(piece)
        if characters <= 0:
            return
