"""Tokenisers on the disk: the `tokenizer.json` of Hugging Face's `tokenizers`, which loads ours and gives the same ids.

Byte-level tokenisers that others have made are read too, and GPT-2's own two files, `vocab.json` and `merges.txt`.
What would give other ids than ours is refused; published models of other kinds bring theirs, which are left to the
library `tokenizers`. No chapter builds this: it is book-keeping.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from minigpt.errors import MinigptError
from minigpt.files import read_json, write_json
from minigpt.tokenizers import END_OF_TEXT, BytePairTokenizer, CharacterTokenizer, Tokenizer
from minigpt.wordpiece import spell

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def byte_alphabet() -> list[str]:
    """GPT-2's printable character for each byte (openai/gpt-2, `bytes_to_unicode`).

    A byte that Latin-1 prints stands for itself; the other 68 take the code points from 256 on, in order.

    >>> [byte_alphabet()[byte] for byte in b"a !"]
    ['a', 'Ġ', '!']
    """
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


SYMBOL_OF_BYTE = byte_alphabet()
BYTE_OF_SYMBOL = {symbol: byte for byte, symbol in enumerate(SYMBOL_OF_BYTE)}


def to_symbols(token: bytes) -> str:
    """A token as the files write it.

    >>> to_symbols(" né".encode())
    'ĠnÃ©'
    """
    return "".join(SYMBOL_OF_BYTE[byte] for byte in token)


def from_symbols(symbols: str) -> bytes:
    """The token that the files write so: the inverse of `to_symbols`."""
    return bytes(BYTE_OF_SYMBOL[symbol] for symbol in symbols)


def save_tokenizer(tokenizer: Tokenizer, path: str | os.PathLike) -> None:
    """Write the `tokenizer.json` that `load_tokenizer` and Hugging Face's `tokenizers` read."""
    write_json(path, to_json(tokenizer))


def to_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """A tokeniser as the value that `tokenizer.json` holds."""
    if tokenizer.merges is None:
        # Byte-pair encoding with no merges, on characters: there is no pre-tokeniser that would make bytes of them.
        vocabulary = {character: id for id, character in enumerate(tokenizer.characters)}
        return tokenizer_json(vocabulary, [], tokenizer.special, splitter=None, decoder={"type": "Fuse"})
    symbols = {token: to_symbols(token) for token in tokenizer.vocabulary}
    vocabulary = {symbols[token]: id for token, id in tokenizer.vocabulary.items()}
    merges = [f"{symbols[left]} {symbols[right]}" for left, right in tokenizer.merges]
    return tokenizer_json(vocabulary, merges, tokenizer.special, splitter=dict(BYTE_LEVEL), decoder=dict(BYTE_LEVEL))


def tokenizer_json(
    vocabulary: dict[str, int],
    merges: list[str],
    special: dict[str, int],
    splitter: dict[str, Any] | None,
    decoder: dict[str, Any],
) -> dict[str, Any]:
    """What Hugging Face's `tokenizers` (version 0.21 and others) reads as a BPE tokeniser."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    by_id = sorted((vocabulary | special).items(), key=lambda entry: entry[1])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": id, "content": token, **flags} for token, id in sorted(special.items(), key=lambda entry: entry[1])
        ],
        "normalizer": None,
        "pre_tokenizer": splitter,
        "post_processor": None,
        "decoder": decoder,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(by_id),  # special tokens too: `tokenizers` gives ids of its own to those that are not here
            "merges": merges,
        },
    }


def load_tokenizer(path: str | os.PathLike) -> Tokenizer:
    """Read a tokeniser: characters, bytes or byte pairs, ours or from elsewhere if byte-level like GPT-2's.

    Args:
        path: a `tokenizer.json`, or a folder that has one, or a folder with GPT-2's `vocab.json` and `merges.txt`.

    Raises:
        MinigptError: there is no such file, it is damaged, or its settings would give other ids than ours.
    """
    path = Path(path)
    try:
        if path.is_dir() and not (path / "tokenizer.json").exists() and (path / "vocab.json").exists():
            return read_vocabulary_and_merges(path)
        path = path / "tokenizer.json" if path.is_dir() else path
        return parse_tokenizer(read_json(path))
    except MinigptError as error:
        raise error if str(path) in str(error) else MinigptError(f"{path} cannot be used: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OSError) as error:
        raise MinigptError(
            f"{path} is not a tokenizer that minigpt can read ({type(error).__name__}: {error}); "
            "give a tokenizer.json of a byte-level BPE, or a folder with GPT-2's vocab.json and merges.txt"
        ) from None


def read_vocabulary_and_merges(folder: Path) -> BytePairTokenizer:
    """Read the two files of GPT-2: tokens with their ids, and a merge a line."""
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    if lines[0].startswith("#version"):  # only here: "# #" further down is a merge
        del lines[0]
    vocabulary = read_json(folder / "vocab.json")
    special = {token: id for token, id in vocabulary.items() if token == END_OF_TEXT}
    return parse_byte_pairs([line.rstrip("\r") for line in lines if line.strip()], vocabulary, special)


def parse_tokenizer(value: dict[str, Any]) -> Tokenizer:
    """A tokeniser from the value of a `tokenizer.json`."""
    check_settings(value)
    vocabulary, merges = value["model"]["vocab"], value["model"]["merges"]
    special = {token["content"]: token["id"] for token in value.get("added_tokens") or []}
    if value.get("pre_tokenizer"):
        return parse_byte_pairs(merges, vocabulary, special)
    by_id = sorted(vocabulary, key=vocabulary.get)
    tokenizer = CharacterTokenizer(token for token in by_id if token not in special)
    if to_json(tokenizer)["model"]["vocab"] != vocabulary:
        raise MinigptError("its characters are not numbered as minigpt does; make the tokenizer again from the text")
    return tokenizer


def parse_byte_pairs(
    merges: Iterable[str | Sequence[str]], vocabulary: Mapping[str, int], special: Mapping[str, int]
) -> BytePairTokenizer:
    """A byte-pair tokeniser from what files hold: merges as "a b" or as ["a", "b"], and tokens in GPT-2's alphabet."""
    if not all(type(id) is int and id >= 0 for id in [*vocabulary.values(), *special.values()]):
        raise ValueError("token ids are whole numbers from 0 on")
    ordinary = {from_symbols(token): id for token, id in vocabulary.items() if token not in special}
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in merges)
    return BytePairTokenizer(
        [(from_symbols(left), from_symbols(right)) for left, right in pairs], vocabulary=ordinary, special=special
    )


def check_settings(value: dict[str, Any]) -> None:
    """Refuse every setting of a `tokenizer.json` that would give other ids than ours.

    Text is either split as GPT-2 does, or has no merges. A ByteLevel post-processor may stay: it leaves ids alone.
    """
    model, splitter = value["model"], value.get("pre_tokenizer")
    foreign = [name for name in ("normalizer", "truncation", "padding") if value.get(name)]
    model_settings = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
    foreign += [name for name in model_settings if model.get(name)]
    if model.get("type", "BPE") != "BPE":
        foreign.append(f"model {model['type']}")
    if model.get("merges") if splitter is None else not splits_like_gpt2(splitter):
        foreign.append("pre_tokenizer")
    if (value.get("post_processor") or BYTE_LEVEL)["type"] != "ByteLevel":
        foreign.append("post_processor")
    for token in value.get("added_tokens") or []:
        flags = [flag for flag in ("single_word", "lstrip", "rstrip") if token.get(flag)]
        foreign += [f"{flag} of {token['content']!r}" for flag in flags]
    if foreign:
        raise MinigptError(
            f"its settings ({', '.join(foreign)}) are not those of GPT-2's byte-level BPE; "
            "choose a tokenizer of that kind, or train one with minigpt"
        )


def splits_like_gpt2(splitter: dict[str, Any]) -> bool:
    """Whether a pre-tokeniser is GPT-2's: its pattern, and no space put before the text."""
    return splitter["type"] == "ByteLevel" and splitter.get("use_regex", True) and not splitter["add_prefix_space"]


# Of other kinds -----------------------------------------------------------------------------------------------------

ENDS = (END_OF_TEXT, "<eod>", "</s>")
"""What GPT-2, XLNet and T5 put between documents, or behind a text. GPT-1 and CTRL have no such token."""


class LibraryTokenizer(Tokenizer):
    """A tokeniser of another kind, such as GPT-1's, XLNet's and T5's, as the library `tokenizers` reads it.

    Decoding is not exact: what a tokeniser does to spaces and capitals stays done. And T5's may read a special token
    out of a text in which none is allowed, for to its library they are pieces of words like others.

    Attributes:
        end_of_text: None, where there is none.

    Args:
        path: of a `tokenizer.json`.
    """

    def __init__(self, path: Path):
        from tokenizers import Tokenizer as Library

        value = read_json(path)
        self.library = Library.from_file(str(path))
        self.special = {token["content"]: token["id"] for token in value.get("added_tokens") or []}
        ids = self.library.get_vocab(with_added_tokens=True)
        decoder = (value.get("decoder") or {}).get("type")
        self._token_bytes = {
            id: token.encode() if token in self.special else spelled(token, decoder) for token, id in ids.items()
        }
        self.vocabulary_size = max(ids.values()) + 1
        self.end_of_text = next((ids[token] for token in ENDS if token in ids), None)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Token ids of a text; see `Tokenizer.encode`."""
        self.library.encode_special_tokens = not allow_special
        return self.library.encode(text, add_special_tokens=False).ids

    def _encode_ordinary(self, text: str, start: int) -> list[int]:
        return self.encode(text)


def spelled(token: str, decoder: str | None) -> bytes:
    """How a token is written, by the kind of its tokeniser.

    >>> spelled("the</w>", "BPEDecoder"), spelled("▁the", "Metaspace"), spelled("Ġthe", "ByteLevel")
    (b'the ', b' the', b' the')
    """
    if decoder == "ByteLevel":
        return from_symbols(token)
    if decoder == "WordPiece":
        return spell(token)
    return token.replace("</w>", " ").replace("▁", " ").encode()


class CTRLTokenizer(Tokenizer):
    """CTRL's byte-pair encoding, on characters: the last one of a word is marked, and pieces inside a word end in "@@".

    Decoding is not exact: white space becomes a space or a line end.

    Args:
        folder: with `vocab.json` and `merges.txt`.
    """

    end_of_text = None

    def __init__(self, folder: Path):
        self._ids = read_json(folder / "vocab.json")
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")[1:]
        self._ranks = {tuple(line.split()): rank for rank, line in enumerate(lines) if line}
        self.special: dict[str, int] = {}
        self.vocabulary_size = max(self._ids.values()) + 1
        self._token_bytes = {
            id: (token[:-2] if token.endswith("@@") else f"{token} ").encode() for token, id in self._ids.items()
        }

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Token ids of a text; see `Tokenizer.encode`."""
        return self._encode_ordinary(text, 0)

    def _encode_ordinary(self, text: str, start: int) -> list[int]:
        pieces = [piece for word in re.findall(r"\S+\n?", text) for piece in self._pieces(word)]
        return [self._ids.get(piece, self._ids["<unk>"]) for piece in pieces]

    def _pieces(self, word: str) -> list[str]:
        parts = [*word[:-1], word[-1] + "</w>"]
        while known := [pair for pair in pairwise(parts) if pair in self._ranks]:
            first, merged, at = min(known, key=self._ranks.get), [], 0
            while at < len(parts):
                both = tuple(parts[at : at + 2]) == first
                merged.append("".join(first) if both else parts[at])
                at += 2 if both else 1
            parts = merged
        return [f"{part}@@" for part in parts[:-1]] + [parts[-1].removesuffix("</w>")]


def published_tokenizer(folder: Path) -> Tokenizer | None:
    """The tokeniser of a published model, by its `tokenizer.json`, or its `vocab.json` and `merges.txt`.

    None if these two are GPT-1's, which do not say how a text is split.

    Raises:
        MinigptError: a file is damaged, or of a kind that nothing here reads.
    """
    path = folder / "tokenizer.json"
    vocabulary = {} if path.exists() else read_json(folder / "vocab.json")
    if any(token.endswith("@@") for token in vocabulary):
        return CTRLTokenizer(folder)
    if any(token.endswith("</w>") for token in vocabulary):
        return None  # GPT-1's; how it splits a text is said in its tokenizer.json only
    try:
        return load_tokenizer(folder)
    except MinigptError as error:
        if not path.exists():
            raise
        try:
            return LibraryTokenizer(path)
        except Exception:  # the library raises this very class
            raise error from None
