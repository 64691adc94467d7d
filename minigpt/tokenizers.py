"""Text to token ids and back: characters, bytes, and byte-pair encoding.

Built in chapter 9. Byte-pair encoding is a compression method (Gage 1994) that Sennrich et al. (2016, section 3.2)
brought to language models; working on bytes, so that no text is out of vocabulary, and splitting the text into words
first, are GPT-2's (Radford et al. 2019, section 2.2). The docstrings show inputs and outputs, as minbpe's do. A corpus
becomes ids by one convention: each document is `[end_of_text] + encode(document)`. Files are in `tokenizer_files`.
"""

import codecs
import hashlib
import heapq
import operator
import sys
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain

import regex

from minigpt.errors import MinigptError

END_OF_TEXT = "<|endoftext|>"

# GPT-2's pattern (openai/gpt-2, src/encoder.py): English contractions; then letters, digits, or other marks, each with
# the space before it; then white space, of which the last one is left to the word that follows.
WORD_PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

CACHED_WORDS = 1 << 17  # some 30 MB; natural text repeats its words, so nearly every look-up hits


def split_words(text: str) -> list[str]:
    """Split text as GPT-2 does; no token ever spans two of these words.

    >>> split_words("It's 20 kites,  two")
    ['It', "'s", ' 20', ' kites', ',', ' ', ' two']
    """
    return WORD_PATTERN.findall(text)


class Tokenizer(ABC):
    """Text to ids and back; what datasets, models and generation know of a tokeniser.

    Attributes:
        vocabulary_size: V, one more than the largest id.
        end_of_text: the id of "<|endoftext|>".
        special: the id of every special token; each stands for itself and is never split.
        merges: pairs of tokens that become one, in the order in which they are tried; None where nothing is merged.
    """

    merges: list[tuple[bytes, bytes]] | None = None

    def __init__(self, token_bytes: Mapping[int, bytes], special: Mapping[str, int]):
        self.special = dict(special)
        self._token_bytes = dict(token_bytes) | {id: token.encode() for token, id in self.special.items()}
        if len(self._token_bytes) != len(token_bytes) + len(self.special):
            raise MinigptError("two tokens have the same id; give every token an id of its own")
        self.vocabulary_size = max(self._token_bytes) + 1
        self.end_of_text = self.special[END_OF_TEXT]
        longest_first = sorted(self.special, key=len, reverse=True)
        self._special_pattern = regex.compile(f"({'|'.join(map(regex.escape, longest_first))})")

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Token ids of a text.

        Args:
            text: any text; "<|endoftext|>" in it is ordinary text, so that no document can end another one.
            allow_special: make special tokens in the text their ids.

        Raises:
            MinigptError: the vocabulary has no token for a character, or it is a lone surrogate, which no text has.
        """
        if not allow_special:
            return self._encode_ordinary(text, 0)
        ids, start = [], 0
        for piece in self._special_pattern.split(text):  # ordinary and special pieces, in turn
            ids += [self.special[piece]] if piece in self.special else self._encode_ordinary(piece, start)
            start += len(piece)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; bytes that are no UTF-8 (half a character) become U+FFFD.

        Args:
            ids: a list, a one-dimensional NumPy array or a tensor (T,).

        Raises:
            MinigptError: an id is outside the vocabulary.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of some ids, exactly: the inverse of `encode` and of `encode_bytes`."""
        return b"".join(map(self.token_bytes, ids.tolist() if hasattr(ids, "tolist") else ids))

    def token_bytes(self, id: int) -> bytes:
        """The bytes of one token, in UTF-8.

        Raises:
            MinigptError: the id is outside the vocabulary.
        """
        try:
            return self._token_bytes[operator.index(id)]
        except (KeyError, TypeError):
            raise MinigptError(
                f"{id!r} is not a token id of this tokenizer, which has {self.vocabulary_size} tokens; "
                "decode ids with the tokenizer that made them, one text at a time"
            ) from None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of all that decides the ids: equal fingerprints, equal ids."""
        recipe = sorted(self._token_bytes.items()), sorted(self.special), self.merges
        return hashlib.sha256(repr(recipe).encode()).hexdigest()

    @abstractmethod
    def _encode_ordinary(self, text: str, start: int) -> list[int]:
        """Token ids of a text without special tokens; it begins at character `start` of the user's text."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocabulary_size={self.vocabulary_size})"


class CharacterTokenizer(Tokenizer):
    """One token a character: ids in the order given, then end-of-text.

    >>> tokenizer = CharacterTokenizer("abn")
    >>> tokenizer.encode("banana"), tokenizer.vocabulary_size
    ([1, 0, 2, 0, 2, 0], 4)

    Raises:
        MinigptError: no characters, one given twice, something that is not one character, or a lone surrogate.
    """

    def __init__(self, characters: Iterable[str]):
        self.characters = list(characters)
        self._ids = {character: id for id, character in enumerate(self.characters)}
        if not self._ids:
            raise MinigptError("the text is empty, so it has no characters to make a vocabulary of; give some text")
        if len(self._ids) != len(self.characters) or any(len(character) != 1 for character in self.characters):
            raise MinigptError("the characters of a vocabulary must be single and all different; leave the others out")
        check_is_unicode("".join(self.characters), 0)
        token_bytes = {id: character.encode() for character, id in self._ids.items()}
        super().__init__(token_bytes, {END_OF_TEXT: len(token_bytes)})

    @classmethod
    def from_text(cls, text: str) -> "CharacterTokenizer":
        """The characters of a text, in the order of their code points.

        >>> CharacterTokenizer.from_text("banana").characters
        ['a', 'b', 'n']
        """
        return cls.from_texts([text])

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> "CharacterTokenizer":
        """The characters of many texts, read one after the other, so that they need not fit into memory."""
        characters: set[str] = set()
        for text in texts:
            characters.update(text)
        return cls(sorted(characters))

    def _encode_ordinary(self, text: str, start: int) -> list[int]:
        try:
            return list(map(self._ids.__getitem__, text))
        except KeyError as error:
            character = error.args[0]
            raise MinigptError(
                f"the character {character!r} (U+{ord(character):04X}) at position {start + text.index(character)} is "
                f"not in this tokenizer's vocabulary of {len(self._ids)} characters; "
                "remove it, or use a byte or byte-pair tokenizer"
            ) from None


class BytePairTokenizer(Tokenizer):
    """Byte-level byte-pair encoding: each word starts as its bytes, and neighbours are merged, earliest merge first.

    >>> tokenizer = BytePairTokenizer([(b"a", b"n"), (b"an", b"a")])
    >>> tokenizer.encode("banana"), tokenizer.end_of_text
    ([98, 256, 257], 258)
    >>> [tokenizer.token_bytes(id) for id in (98, 256, 257)]
    [b'b', b'an', b'ana']

    Args:
        merges: pairs of tokens, in the order in which they are tried.
        vocabulary: the id of every token; by default byte b has id b, then come the merges in their order.
        special: the id of every special token; by default end-of-text alone, which is also added, as the last id, to a
            vocabulary that lacks it.

    Raises:
        MinigptError: a merge joins or makes a token that is not in the vocabulary, or two tokens share an id.
    """

    def __init__(
        self,
        merges: Iterable[tuple[bytes, bytes]] = (),
        vocabulary: Mapping[bytes, int] | None = None,
        special: Mapping[str, int] | None = None,
    ):
        self.merges = list(merges)
        self.vocabulary = vocabulary_of(self.merges) if vocabulary is None else dict(vocabulary)
        special = dict(special or {})
        special.setdefault(END_OF_TEXT, max([-1, *self.vocabulary.values(), *special.values()]) + 1)
        token_bytes = {id: token for token, id in self.vocabulary.items()}
        if len(token_bytes) != len(self.vocabulary):
            raise MinigptError("two tokens have the same id; give every token an id of its own")
        super().__init__(token_bytes, special)
        try:
            self._ranks = {
                (self.vocabulary[left], self.vocabulary[right]): (rank, self.vocabulary[left + right])
                for rank, (left, right) in enumerate(self.merges)
            }
        except KeyError as error:
            raise MinigptError(
                f"a merge needs the token {error.args[0]!r}, which is not in the vocabulary; "
                "take merges and vocabulary from the same tokenizer"
            ) from None
        self._encode_word = lru_cache(CACHED_WORDS)(self._encode_new_word)

    def encode_bytes(self, data: bytes) -> list[int]:
        """Token ids of any bytes, UTF-8 or not; `decode_bytes` gives them back exactly.

        >>> tokenizer = ByteTokenizer()
        >>> tokenizer.encode_bytes(bytes([0, 255])), tokenizer.decode_bytes([0, 255])
        ([0, 255], b'\\x00\\xff')
        """
        return self._encode_words(data.decode("utf-8", errors="surrogateescape"))

    def _encode_ordinary(self, text: str, start: int) -> list[int]:
        check_is_unicode(text, start)
        return self._encode_words(text)

    def _encode_words(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._encode_word, split_words(text))))

    def _encode_new_word(self, word: str) -> tuple[int, ...]:
        # A byte that is no UTF-8 arrives as a surrogate, and leaves as the byte it was.
        data = word.encode("utf-8", errors="surrogateescape")
        try:
            return tuple(merge_by_rank([self.vocabulary[data[i : i + 1]] for i in range(len(data))], self._ranks))
        except KeyError as error:
            raise MinigptError(
                f"this tokenizer has no token for the byte {error.args[0]!r} in {word[:40]!r}; "
                "use one whose vocabulary has all 256 bytes"
            ) from None


class ByteTokenizer(BytePairTokenizer):
    """The bytes of UTF-8: byte b has id b, and end-of-text has id 256.

    >>> ByteTokenizer().encode("né"), ByteTokenizer().decode([110, 195, 169])
    ([110, 195, 169], 'né')
    """

    def __init__(self):
        super().__init__()


def check_is_unicode(text: str, start: int) -> None:
    """Refuse lone surrogates: they have no UTF-8 form. `start` is the position of `text` in the user's text."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MinigptError(
            f"the text has a lone surrogate (U+{ord(text[error.start]):04X}) at position {start + error.start}, which "
            "is not a Unicode character; remove it, or read the file again with its true encoding"
        ) from None


def vocabulary_of(merges: Iterable[tuple[bytes, bytes]]) -> dict[bytes, int]:
    """The plainest ids: byte b has id b, and each merge makes the next token, unless two ways lead to the same one.

    >>> vocabulary_of([(b"a", b"n"), (b"an", b"a")])[b"ana"]
    257
    """
    vocabulary = {bytes([byte]): byte for byte in range(256)}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    return vocabulary


def merge_by_rank(ids: Sequence[int], ranks: Mapping[tuple[int, int], tuple[int, int]]) -> list[int]:
    """Merge neighbours, lowest rank first and leftmost first, until no pair is left to merge.

    A heap of (rank, position) over a doubly linked list: n log n for a word of n bytes, however long.

    >>> merge_by_rank([1, 2, 1, 2, 3], {(2, 3): (0, 23), (1, 2): (1, 12)})  # 2 3 comes first, then 1 2
    [12, 1, 23]

    Args:
        ids: the tokens of one word.
        ranks: for each pair of tokens its rank and the token that it becomes.
    """
    ids, end = list(ids), len(ids)
    before, after = list(range(-1, end - 1)), list(range(1, end + 1))
    heap = [(ranks[pair][0], i) for i, pair in enumerate(zip(ids, ids[1:])) if pair in ranks]
    heapq.heapify(heap)
    while heap:
        rank, left = heapq.heappop(heap)
        right = after[left]
        if right == end or ranks.get((ids[left], ids[right]), (None,))[0] != rank:
            continue  # one of the two has been merged with another neighbour since
        ids[left], ids[right] = ranks[ids[left], ids[right]][1], -1  # -1: gone, and in no pair
        after[left] = after[right]
        if after[right] < end:
            before[after[right]] = left
        for i in (before[left], left):
            if i >= 0 and after[i] < end and (pair := (ids[i], ids[after[i]])) in ranks:
                heapq.heappush(heap, (ranks[pair][0], i))
    return [id for id in ids if id >= 0]


def train_byte_pairs(texts: str | Iterable[str], vocabulary_size: int) -> BytePairTokenizer:
    """Learn byte-pair merges: again and again, the most frequent pair of neighbours becomes a token.

    Of pairs that are equally frequent, the one with the smaller left id, then the smaller right id, is merged, so the
    result is a function of the words and their counts alone. A text with too few pairs gives a smaller vocabulary.
    Algorithm 1 of Sennrich et al. (2016), on bytes.

    >>> train_byte_pairs(["low lower lowest"], 260).merges
    [(b'l', b'o'), (b'lo', b'w'), (b' ', b'low')]

    Args:
        texts: one text or many, such as documents; they are read once, and only their words are kept.
        vocabulary_size: 256 bytes, the merges, and end-of-text, which is the last id.

    Raises:
        MinigptError: the size is below 257 (or above a million), the text is empty or has a lone surrogate.
    """
    if not 257 <= vocabulary_size <= sys.maxunicode:
        raise MinigptError(
            f"a byte-pair vocabulary cannot have {vocabulary_size} entries: 256 bytes and end-of-text are there; "
            f"ask for 257 to {sys.maxunicode}"
        )
    pairs = PairCounts(count_words(texts))
    merges: list[tuple[bytes, bytes]] = []
    tokens = [bytes([byte]) for byte in range(256)]
    known = {token: id for id, token in enumerate(tokens)}
    while len(tokens) < vocabulary_size - 1 and (pair := pairs.most_frequent()):
        left, right = (tokens[ord(symbol)] for symbol in pair)
        merges.append((left, right))
        if left + right not in known:  # "a bc" and "ab c" are one token, made by two merges
            known[left + right] = len(tokens)
            tokens.append(left + right)
        pairs.merge(pair, chr(known[left + right]))
    return BytePairTokenizer(merges)


def count_words(texts: str | Iterable[str]) -> Counter[str]:
    """How often each of GPT-2's words occurs.

    >>> count_words(["a kite, a", " kite"])
    Counter({' kite': 2, 'a': 1, ',': 1, ' a': 1})
    """
    counts: Counter[str] = Counter()
    for text in [texts] if isinstance(texts, str) else texts:
        check_is_unicode(text, 0)
        counts.update(split_words(text))
    if not counts:
        raise MinigptError("the text is empty, so there are no byte pairs to learn; give some text")
    return counts


class PairCounts:
    """How often each pair of neighbouring tokens occurs, kept up to date as pairs are merged.

    A word is a string with one character a token, `chr(id)`: then merging is `str.replace`. Only the words that have
    the merged pair are counted again. The heap may hold counts that have since fallen; they are put right when they
    come to the top.
    """

    def __init__(self, word_counts: Mapping[str, int]):
        self.words = [word.encode().decode("latin-1") for word in word_counts]
        self.weights = list(word_counts.values())
        self.counts: Counter[str] = Counter()
        self.places: defaultdict[str, set[int]] = defaultdict(set)  # pair -> the words that have it, or had it
        for place, (word, weight) in enumerate(zip(self.words, self.weights)):
            for pair in neighbours(word):
                self.counts[pair] += weight
                self.places[pair].add(place)
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapq.heapify(self.heap)

    def most_frequent(self) -> str | None:
        """The pair to merge next, or None when every word is one token."""
        while self.heap:
            count, pair = heapq.heappop(self.heap)
            if self.counts[pair] == -count:
                return pair
            if self.counts[pair] > 0:
                heapq.heappush(self.heap, (-self.counts[pair], pair))
        return None

    def merge(self, pair: str, token: str) -> None:
        """Make `pair` the token `token` in every word, from left to right."""
        made: set[str] = set()
        for place in self.places.pop(pair):
            old, weight = self.words[place], self.weights[place]
            self.words[place] = new = old.replace(pair, token)
            if new == old:
                continue
            for gone in neighbours(old):
                self.counts[gone] -= weight
            for found in neighbours(new):
                self.counts[found] += weight
                if token in found:
                    self.places[found].add(place)
                    made.add(found)
        for found in made:
            heapq.heappush(self.heap, (-self.counts[found], found))


def neighbours(word: str) -> Iterator[str]:
    """The pairs of neighbouring tokens of a word.

    >>> list(neighbours("abc"))
    ['ab', 'bc']
    """
    return map(operator.add, word, word[1:])


class StreamDecoder:
    """Decodes ids one at a time, and gives text as soon as it is whole.

    >>> stream = StreamDecoder(ByteTokenizer())
    >>> [stream.feed(id) for id in "né".encode()] + [stream.finish()]
    ['n', '', 'é', '']
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, id: int) -> str:
        """Read one more token; the characters that it completes, often none."""
        return self._decoder.decode(self.tokenizer.token_bytes(id))

    def finish(self) -> str:
        """End the text: U+FFFD for a character that was left half done, else nothing."""
        return self._decoder.decode(b"", final=True)
