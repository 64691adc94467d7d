"""Tales: little stories from a language whose entropy is known.

`document` writes them, endless and seeded; `read` finds in a text every choice that made it, so that its probability is
exact; the `Oracle` is the true distribution of the next character, a language model like the others. No model's loss
can go below the Oracle's: it is the floor of the course's ladder. How it is done stands in `grammar`; what the stories
can tell, in `world`; the words, in `english` and `chinese`.
"""

import contextlib
import math
import random
from dataclasses import astuple, dataclass
from functools import cache, cached_property
from itertools import chain

import torch
from torch import Tensor

from minigpt.errors import MinigptError, unknown_name
from minigpt.language_model import LanguageModel
from minigpt.tales.chinese import CHINESE
from minigpt.tales.english import ENGLISH
from minigpt.tales.grammar import DOCUMENT_END, Choice, Reader, ReadingStops, Trace, Writer, trace_text
from minigpt.tales.phrases import KINDS, parse
from minigpt.tales.world import Edition, tell_document
from minigpt.tokenizers import CharacterTokenizer

__all__ = ["KINDS", "LANGUAGES", "Oracle", "Reading", "alphabet", "document", "edition", "read", "trace"]

LANGUAGES: dict[str, Edition] = {"english": ENGLISH, "chinese": CHINESE}


def edition(language: str) -> Edition:
    """The edition of a language.

    Raises:
        MinigptError: there is none in that language.
    """
    if language not in LANGUAGES:
        raise unknown_name("edition of the Tales", language, LANGUAGES)
    return LANGUAGES[language]


def trace(language: str, split: str, index: int, seed: int = 0) -> Trace:
    """The choices that make document `index` of a split: a function of its arguments alone."""
    writer = Writer(random.Random(f"{seed}/{split}/{index}"))
    tell_document(edition(language), writer)
    return writer.trace


def document(language: str, split: str, index: int, seed: int = 0) -> str:
    """Document `index` of a split.

    >>> document("english", "train", 1).split(",")[0]
    'Once upon a time there lived Luna'
    """
    return trace_text(trace(language, split, index, seed))


@dataclass(frozen=True)
class Reading:
    """A text, and how the language made it.

    Attributes:
        text: the text.
        trace: the choices that it took, as far as it is possible.
        read: how many characters those choices spell.
        stopped_at: the choice that the rest does not follow; None if the document came to its end.
    """

    text: str
    trace: Trace
    read: int
    stopped_at: Choice | None

    @property
    def complete(self) -> bool:
        """Whether the text is a whole document and nothing more: what makes a sample valid."""
        return self.stopped_at is None and self.read == len(self.text)

    @cached_property
    def impossible_at(self) -> int | None:
        """The position of the first character that cannot stand there; None for a document or the beginning of one."""
        for position in range(self.read, len(self.text)):
            if self.stopped_at is None or self.text[position] not in self.stopped_at.next_characters(
                self.text[self.read : position]
            ):
                return position
        return None

    @property
    def log_prob(self) -> float:
        """Natural logarithm of the probability of the document; minus infinity if it is not one."""
        return math.fsum(choice.log_probs[i] for choice, i in self.trace) if self.complete else -math.inf

    @property
    def entropy(self) -> float:
        """Sum of the entropies of the choices, in nats: its mean over documents is the entropy of the language."""
        return math.fsum(choice.entropy for choice, _ in self.trace)

    def kinds(self) -> list[str]:
        """The kind of each character that was read."""
        return [choice.kind for choice, index in self.trace for _ in choice.strings[index]]

    def spans(self, *kinds: str) -> list[tuple[int, int]]:
        """Where choices of some kinds stand: their first and last-plus-one characters."""
        spans, start = [], 0
        for choice, index in self.trace:
            end = start + len(choice.strings[index])
            if choice.kind in kinds:
                spans.append((start, end))
            start = end
        return spans

    def next_characters(self) -> list[dict[str, float]]:
        """The true distribution of each character given those before it, and of what follows the text.

        `DOCUMENT_END` stands for the end of the document.
        """
        distributions = [distribution for choice, index in self.trace for distribution in choice.spelling(index)]
        end = self.impossible_at if self.impossible_at is not None else len(self.text)
        if self.stopped_at is None:
            return [*distributions, {DOCUMENT_END: 1.0}]
        return distributions + [
            self.stopped_at.next_characters(self.text[self.read : n]) for n in range(self.read, end + 1)
        ]


def read(text: str, language: str = "english") -> Reading:
    """Find the choices that make a text.

    >>> read("Once upon a time there lived a king.").impossible_at
    29
    """
    reader = Reader(text)
    with contextlib.suppress(ReadingStops):
        tell_document(edition(language), reader)
    return Reading(text, reader.trace, reader.position, reader.stopped_at)


@cache
def alphabet(language: str) -> str:
    """Every character that a document can hold, in order."""
    words = edition(language)
    things = [words.thing(noun, colour) for noun in words.nouns for colour in words.colours]
    entries = [*words.people, *things, *words.places, *words.fruits, *words.numbers]
    texts = [*words.traits, *words.syllables, *[form for entry in entries for form in astuple(entry)]]
    for phrase in chain.from_iterable(words.phrases.values()):
        texts += [string for part in parse(phrase) if isinstance(part, Choice) for string in part.strings]
    return "".join(sorted(set(" ".join(texts))))


class Oracle(LanguageModel):
    """The true distribution of the Tales: the best language model that there can be.

    It reads characters, and must see each document from its start.
    """

    def __init__(self, language: str = "english"):
        self.language = language
        self.tokenizer = CharacterTokenizer(alphabet(language))
        self.vocabulary_size = self.tokenizer.vocabulary_size

    def log_probs(self, ids: Tensor) -> Tensor:
        """The true log-probabilities of the next character after every prefix.

        Args:
            ids: (B, T) ids of the Oracle's tokeniser; each row begins with the end-of-text token, and may hold several
                documents, each begun by that token.

        Returns:
            (B, T, V) float64.

        Raises:
            MinigptError: a row does not begin with the end-of-text token, or its text is impossible.
        """
        return torch.stack([self._row(row) for row in ids.tolist()])

    def _row(self, row: list[int]) -> Tensor:
        end = self.tokenizer.end_of_text
        if row[0] != end:
            raise MinigptError("the Oracle must read each document from its start: begin with the end-of-text token")
        log_probs = torch.full((len(row), self.vocabulary_size), -math.inf, dtype=torch.float64)
        starts = [position for position, token in enumerate(row) if token == end]
        for start, stop in zip(starts, [*starts[1:], len(row)], strict=True):
            text = self.tokenizer.decode(row[start + 1 : stop])
            reading = read(text, self.language)
            if reading.impossible_at is not None or (text and stop < len(row) and not reading.complete):
                where = len(text) if reading.impossible_at is None else reading.impossible_at
                raise MinigptError(
                    f"no tale begins so: character {where} of {text[: where + 1]!r} is impossible, so nothing"
                    " can follow"
                )
            for position, distribution in enumerate(reading.next_characters(), start):
                characters = [end if c == DOCUMENT_END else self._ids[c] for c in distribution]
                log_probs[position, characters] = torch.tensor(list(distribution.values()), dtype=torch.float64).log()
        return log_probs

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {character: self.tokenizer.encode(character)[0] for character in alphabet(self.language)}
