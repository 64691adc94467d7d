"""Phrases with slots: how a world is put into words, in any language.

A phrase is written as Python's format strings are. In "{giver.name} gave the {thing.noun} to {taker.name:plot}." the
slot `giver` is filled by somebody that the story knows; `.name` says which of their words; `:plot` overrides the kind.
"[walked|ran]" is a choice of wording. A slot that is given several candidates is a choice among them, made where the
slot stands. A space before a slot belongs to the slot, as in GPT-2's tokens (" kite"), so that tokens and choices meet.
"""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from string import Formatter
from typing import Any, NamedTuple

from minigpt.tales.grammar import Choice, Reader, Writer, choice

KINDS = {
    "wording": "which words say it",
    "spelling": "the letters of a phrase that is already certain",
    "name": "who comes into the story",
    "thing": "what comes into the story, in which colour",
    "place": "where the story begins",
    "plot": "who does what next",
    "agreement": "she or he, her or his: certain, if you know who",
    "recall": "who, what or where, already told: certain, if you remember",
    "counting": "how many are left: certain, if you can count",
    "question": "what is asked",
    "answer": "the answer: certain, if you followed the story",
    "invention": "the letters of a word invented in this document",
    "word game": "an invented word, or its meaning: certain, if you learned it above",
}

KIND_OF_WORD = {"she": "agreement", "She": "agreement", "her": "agreement", "Her": "agreement", "girl": "agreement",
                "daughter": "agreement"}  # fmt: skip


class Slot(NamedTuple):
    """A place in a phrase: which slot, which word of what fills it, the space before it, and its kind."""

    name: str
    word: str | None
    space: str
    kind: str | None


Part = Choice | Slot


@cache
def parse(phrase: str) -> tuple[Part, ...]:
    """Take a phrase apart into fixed strings, choices of wording, and slots.

    >>> [part.strings if isinstance(part, Choice) else part.name for part in parse(" [ran|walked] to {place.name}.")]
    [(' ran', ' walked'), (' to',), 'place', ('.',)]
    """
    parts: list[Part] = []
    for literal, field, kind, _ in Formatter().parse(phrase):
        space = " " if field and literal.endswith(" ") else ""
        for text in re.split(r"( ?\[[^]]*\])", literal.removesuffix(space)):
            if text.endswith("]"):
                before, options = text[:-1].split("[")
                parts.append(choice("wording", tuple(before + option for option in options.split("|"))))
            elif text:
                parts.append(choice("spelling", (text,)))
        if field:
            name, _, word = field.partition(".")
            parts.append(Slot(name, word or None, space, kind or None))
    return tuple(parts)


@lru_cache(maxsize=1 << 16)
def slot_choice(kind: str, space: str, word: str | None, candidates: tuple) -> Choice:
    """The choice among candidates by the word that stands for each."""
    strings = (space + (candidate if word is None else getattr(candidate, word)) for candidate in candidates)
    return choice(kind, tuple(strings))


class Narrator:
    """Puts a story into the words of one language, choice by choice.

    Args:
        phrases: for each key, the ways to say it.
        teller: who chooses: a `Writer` or a `Reader`.
    """

    def __init__(self, phrases: Mapping[str, tuple[str, ...]], teller: Writer | Reader):
        self.phrases = phrases
        self.choose = teller.choose

    def say(self, *keys: str, weights: Mapping[str, float] | None = None, kind: str = "wording", **slots: Any) -> Any:
        """Say one of several things, in one of the ways to say it, and fill its slots.

        Args:
            keys: what may be said; which one it is shows in how the phrase begins.
            weights: the relative frequencies of the keys; equal if left out.
            kind: the kind of this choice.
            slots: what fills each slot: one filling, a tuple of candidates to choose from, or a function that gives
                either from the slots filled so far.

        Returns:
            The key that was chosen, and the slots with what was chosen for each.
        """
        options = [(key, parse(phrase)) for key in keys for phrase in self.phrases[key]]
        chosen = 0
        if len(options) > 1:
            openings = tuple([self._opening(parts[0], slots) for _, parts in options])
            frequencies = tuple([(weights[key] if weights else 1.0) / len(self.phrases[key]) for key, _ in options])
            chosen = self.choose(choice(kind, openings, frequencies))
        key, parts = options[chosen]
        for part in parts[1:] if len(options) > 1 else parts:
            if type(part) is Slot:
                self._fill(part, slots)
            else:
                self.choose(part)
        return key, slots

    def _fill(self, slot: Slot, slots: dict[str, Any]) -> None:
        filling = slots[slot.name]
        if callable(filling):
            filling = filling(slots)
        several = type(filling) is tuple
        candidates = filling if several else (filling,)
        kind = slot.kind or ("plot" if len(candidates) > 1 else KIND_OF_WORD.get(slot.word, "recall"))
        index = self.choose(slot_choice(kind, slot.space, slot.word, candidates))
        slots[slot.name] = candidates[index]

    @staticmethod
    def _opening(part: Part, slots: Mapping[str, Any]) -> str:
        if type(part) is Slot:
            return part.space + getattr(slots[part.name], part.word)
        (string,) = part.strings  # how a phrase begins must be certain
        return string
