"""WordPiece: the tokeniser of GPT-2 Chinese, which is BERT's with digits split one by one.

Text is cut at spaces, marks, digits and Chinese characters, in lower case and without accents; each word is then cut
into the longest pieces that the vocabulary has, those inside a word marked by "##" (Devlin et al. 2019, section 3).
Decoding is not exact: spaces and capitals are gone.
"""

import string
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from minigpt.errors import MinigptError
from minigpt.tokenizers import END_OF_TEXT, Tokenizer

UNKNOWN, END = "[UNK]", "[CLS]"  # GPT-2 Chinese puts [CLS] between documents
LONGEST_WORD = 100
CHINESE = [
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F),
]  # fmt: skip


class WordPieceTokenizer(Tokenizer):
    """Chinese characters, digits and marks, and pieces of other words.

    Args:
        tokens: in the order of their ids; those in brackets are special.

    Raises:
        MinigptError: a token is missing without which no text can be encoded, or one is there twice.
    """

    def __init__(self, tokens: Sequence[str]):
        self.tokens = list(tokens)
        self._ids = {token: id for id, token in enumerate(self.tokens)}
        for needed in (UNKNOWN, END):
            if needed not in self._ids:
                raise MinigptError(f"the vocabulary has no {needed}, so it is not one of GPT-2 Chinese")
        special = {token: id for token, id in self._ids.items() if token[:1] == "[" and token[-1:] == "]" != token}
        special[END_OF_TEXT] = special.pop(END)
        ordinary = {id: spell(token) for id, token in enumerate(self.tokens) if id not in special.values()}
        super().__init__(ordinary, special)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Token ids of a text; see `Tokenizer.encode`."""
        return super().encode(text.replace(END, END_OF_TEXT) if allow_special else text, allow_special)

    def _encode_ordinary(self, text: str, start: int) -> list[int]:
        return [id for word in words(text) for id in self._pieces(word)]

    def _pieces(self, word: str) -> list[int]:
        """The ids of a word: from left to right the longest piece that is known; or unknown, if any part of it is."""
        ids, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            stop = next((n for n in range(len(word), start, -1) if mark + word[start:n] in self._ids), None)
            if stop is None or len(word) > LONGEST_WORD:
                return [self._ids[UNKNOWN]]
            ids.append(self._ids[mark + word[start:stop]])
            start = stop
        return ids


def words(text: str) -> list[str]:
    """The words of a text: Chinese characters, digits and marks stand alone.

    >>> words("GPT2真好，naïve!")
    ['gpt', '2', '真', '好', '，', 'naive', '!']
    """
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    return "".join(separated(plain)).split()


def separated(text: str) -> Iterator[str]:
    """The characters of a text, those that stand alone between spaces; what cannot be seen is left out."""
    for character in text:
        category = unicodedata.category(character)
        if stands_alone(character):
            yield f" {character} "
        elif character in "\t\n\r" or category == "Zs":
            yield " "
        elif category[0] != "C" and character != "\ufffd":
            yield character


def stands_alone(character: str) -> bool:
    """Whether a character is a word by itself."""
    is_mark = character in string.punctuation or unicodedata.category(character).startswith("P")
    return is_mark or character.isdigit() or any(first <= ord(character) <= last for first, last in CHINESE)


def spell(token: str) -> bytes:
    """How a token is written: Latin words after a space, all else as it is."""
    if token.startswith("##"):
        return token[2:].encode()
    return (f" {token}" if token.isascii() and token.isalpha() else token).encode()


def read_word_pieces(path: str | Path) -> WordPieceTokenizer:
    """Read a `vocab.txt`: a token a line.

    Raises:
        MinigptError: it cannot be read, or is not such a file.
    """
    try:
        return WordPieceTokenizer(Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise MinigptError(f"{path} cannot be read ({error}): check the path, or fetch it again") from None
    except MinigptError as error:
        raise MinigptError(f"{path} cannot be used: {error}") from None
