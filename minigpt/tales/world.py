"""The world of the Tales: what can happen in a document, whatever its language.

Two or three people own things, go about, give, hide and find, pick fruit and eat it; at the end come questions about it
all. Some documents are word games instead: they define invented words and then use them. The programs below are the
whole grammar: each `say` is a choice or a certainty, put into words by an edition (`english`, `chinese`).

Where something must differ from what came before (no name twice), each draws from a hand of its own (`hand`), dealt
as cards are: then it differs by itself, and a model need not remember what is gone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from minigpt.tales.grammar import Reader, Writer
from minigpt.tales.phrases import Narrator


@dataclass(frozen=True, eq=False, slots=True)
class Person:
    """Somebody, with the words that agree with them."""

    name: str
    she: str
    She: str
    her: str
    Her: str
    girl: str
    There: str


@dataclass(frozen=True, eq=False, slots=True)
class Thing:
    """A thing: "kite", "red", "Red", "red kite"."""

    noun: str
    colour: str
    Colour: str
    phrase: str


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """A place: "mill", "At the mill". A person has the second too ("With Mara"), for things may be with people."""

    name: str
    There: str


@dataclass(frozen=True, eq=False, slots=True)
class Word:
    """A fruit or a number: as it stands in a sentence, and as it begins one."""

    name: str
    Name: str


@dataclass(frozen=True, eq=False)
class Edition:
    """The words of one language.

    Attributes:
        people, nouns, colours, places, fruits, traits: who and what there is.
        numbers: the words for 0, 1, 2 ...; the story never counts higher.
        syllables: what invented words are made of.
        thing: puts a noun and a colour together (the same object for the same words).
        phrases: for each key of the programs below, the ways to say it.
    """

    people: tuple[Person, ...]
    nouns: tuple[str, ...]
    colours: tuple[str, ...]
    places: tuple[Place, ...]
    fruits: tuple[Word, ...]
    traits: tuple[str, ...]
    numbers: tuple[Word, ...]
    syllables: tuple[str, ...]
    thing: Callable[[str, str], Thing]
    phrases: Mapping[str, tuple[str, ...]]

    @property
    def sorts(self) -> tuple[tuple[str, ...], ...]:
        """The sorts of words in the sorting game."""
        return self.colours, self.nouns, tuple(p.name for p in self.places), tuple(f.name for f in self.fruits)


Item = TypeVar("Item")

MOST_THINGS = 4
MOST_SENTENCES = 3  # in a paragraph
QUESTIONS = 4
MEANINGS = 3
MEANING_QUESTIONS = 4
SORTED_WORDS = 6


def hand(cards: Sequence[Item], player: int, players: int = 4) -> tuple[Item, ...]:
    """What one of several players holds when cards are dealt in turn.

    >>> hand("abcdefg", 1, players=3)
    ('b', 'e')
    """
    return tuple(cards[player::players])


def tell_document(edition: Edition, teller: Writer | Reader) -> None:
    """Tell one document: most often a story, now and then a word game."""
    narrator = Narrator(edition.phrases, teller)
    story = Story(edition, narrator)
    weights = {"hero": 0.86, "dictionary": 0.08, "sorting": 0.06}
    key, told = narrator.say(*weights, weights=weights, kind="plot", **story.newcomer())
    if key == "hero":
        story.go_on(told)
    else:
        getattr(WordGame(edition, narrator), key)()


class Story:
    """One tale: a cast, their things, a day, and questions about it.

    Attributes:
        cast: who is in it, the hero first.
        owner: who has each thing, or where it lies; in the order in which the things came into the story.
        first_owner: who had each thing first.
        meeting: where they met in the morning.
        fruit: the fruit of this story, once somebody has picked some.
        count: how many of it each person has who ever had any.
    """

    def __init__(self, edition: Edition, narrator: Narrator):
        self.edition = edition
        self.say = narrator.say
        self.cast: tuple[Person, ...] = ()
        self.owner: dict[Thing, Person | Place] = {}
        self.first_owner: dict[Thing, Person] = {}
        self.meeting: Place | None = None
        self.fruit: Word | None = None
        self.count: dict[Person, int] = {}

    def newcomer(self) -> dict[str, Any]:
        """The slots of an introduction."""
        people = hand(self.edition.people, len(self.cast))
        return {"person": people, "trait": self.edition.traits, **self.new_thing()}

    def new_thing(self) -> dict[str, Any]:
        """The slots of a new thing, whose noun and colour no other thing has, so that either names it."""
        number = len(self.owner)
        return {"noun": hand(self.edition.nouns, number), "colour": hand(self.edition.colours, number)}

    def enter(self, person: Person, told: Mapping[str, Any]) -> None:
        """Give the new thing in `told` to `person`."""
        thing = self.edition.thing(told["noun"], told["colour"])
        self.owner[thing] = self.first_owner[thing] = person
        if person not in self.cast:
            self.cast += (person,)

    def owned_by(self, person: Person) -> tuple[Thing, ...]:
        """The things of a person, oldest first."""
        return tuple([thing for thing, owner in self.owner.items() if owner is person])

    def others(self, person: Person) -> tuple[Person, ...]:
        """Everybody else."""
        return tuple([other for other in self.cast if other is not person])

    def say_one_of(self, weights: Mapping[str, float], kind: str = "plot", **slots: Any) -> tuple[str, dict[str, Any]]:
        """Say one of the things that have a positive weight."""
        weights = {key: weight for key, weight in weights.items() if weight}
        return self.say(*weights, weights=weights, kind=kind, **slots)

    def go_on(self, told: Mapping[str, Any]) -> None:
        """Tell the story, whose hero has just been introduced."""
        self.enter(told["person"], told)
        _, told = self.say("friend", hero=self.cast[0], **self.newcomer())
        self.enter(told["person"], told)
        weights = {"neighbour": 0.3, "morning": 0.7}
        places = hand(self.edition.places, 0, 3)
        key, told = self.say(*weights, weights=weights, kind="plot", place=places, **self.newcomer())
        if key == "neighbour":
            self.enter(told["person"], told)
            _, told = self.say("morning", place=places)
        self.meeting = told["place"]
        self.tell_day()
        self.ask_questions()

    def tell_day(self) -> None:
        """Morning and evening: one to three sentences each, until night falls."""
        hours = ["evening", "night"]
        subject, sentences, asked = None, 0, False
        while hours:
            goes_on = sentences < MOST_SENTENCES
            key, told = self.say_one_of(
                {
                    "next": 1.0 if goes_on else 0.0,
                    "she": 1.5 if goes_on and subject else 0.0,
                    "ask": 1.0 if goes_on and not asked else 0.0,
                    hours[0]: 1.2 if sentences else 0.0,
                },
                subject=subject, hero=self.cast[0], actor=self.cast, thing=tuple(self.owner),
                owner=lambda told: self.owner[told["thing"]],
            )  # fmt: skip
            sentences, asked = sentences + 1, key == "ask"
            if key == hours[0]:
                hours.pop(0)
                sentences = 1
            actor = {"she": subject, "ask": None, "night": None}.get(key, told["actor"])
            subject = actor if actor and self.act(actor, 3 - len(hours)) != "go together" else None

    def act(self, actor: Person, hour: int) -> str:
        """Let somebody do one of the things that they can do now; say which.

        Args:
            actor: who.
            hour: 1 in the morning, 2 in the evening.
        """
        mine, others, count = self.owned_by(actor), self.others(actor), self.count.get(actor, 0)
        lying = tuple([thing for thing, owner in self.owner.items() if type(owner) is Place])
        numbers, most = self.edition.numbers, len(self.edition.numbers) - 1
        shareable = min(count, most - max([self.count.get(other, 0) for other in others]))
        weights = {
            "go": 1.0,
            "go together": 0.7,
            "sing": 0.7,
            "speak": 0.7,
            "discover": 1.0 if len(self.owner) < MOST_THINGS else 0.0,
            "give": 2.0 if mine else 0.0,
            "hide": 0.7 if mine else 0.0,
            "fetch": 2.0 if lying else 0.0,
            "pick": 0.0 if count else 0.7,
            "pick more": 0.5 if 0 < count <= most - 2 else 0.0,
            "eat": 0.7 if count else 0.0,
            "share": 0.5 if shareable else 0.0,
        }
        key, told = self.say_one_of(
            weights, actor=actor, place=hand(self.edition.places, hour, 3), other=others,
            mine=mine, lying=lying, fruit=self.fruit or self.edition.fruits,
            picked=numbers[2 : min(5, most - count) + 1],
            eaten=numbers[1 : count + 1], shared=numbers[1 : shareable + 1],
            lying_place=lambda told: self.owner[told["lying"]],
            more=lambda told: numbers[count + numbers.index(told["picked"])],
            uneaten=lambda told: numbers[count - numbers.index(told["eaten"])],
            unshared=lambda told: numbers[count - numbers.index(told["shared"])],
            others_count=lambda told: numbers[self.count.get(told["other"], 0) + numbers.index(told["shared"])],
            **self.new_thing(),
        )  # fmt: skip
        self.happen(key, actor, told)
        return key

    def happen(self, key: str, actor: Person, told: Mapping[str, Any]) -> None:
        """Let what was told change the world."""
        other, number = told["other"], self.edition.numbers.index
        match key:
            case "discover":
                self.enter(actor, told)
            case "give":
                self.owner[told["mine"]] = other
            case "hide":
                self.owner[told["mine"]] = told["place"]
            case "fetch":
                self.owner[told["lying"]] = actor
            case "pick" | "pick more":
                self.fruit = told["fruit"]
                self.count[actor] = self.count.get(actor, 0) + number(told["picked"])
            case "eat":
                self.count[actor] -= number(told["eaten"])
            case "share":
                self.count[actor] -= number(told["shared"])
                self.count[other] = self.count.get(other, 0) + number(told["shared"])

    def ask_questions(self) -> None:
        """Ask about the story: different questions, in an order that is always the same."""
        things = tuple(self.owner)
        subjects: dict[str, tuple] = {
            "where is": things,
            "how many": tuple(self.count),
            "who had": things,
            "which colour": things,
            "where met": self.cast[:1],
        }
        left = [key for key in subjects if subjects[key]]
        for to_come in reversed(range(min(QUESTIONS, len(left)))):
            key, _ = self.say(
                *left[: len(left) - to_come], kind="question", fruit=self.fruit, meeting=self.meeting, **subjects,
                owner=lambda told: self.owner[told["where is"]],
                had=lambda told: self.first_owner[told["who had"]],
                number=lambda told: self.edition.numbers[self.count[told["how many"]]],
            )  # fmt: skip
            left = left[left.index(key) + 1 :]


class WordGame:
    """A document that invents words, and then asks for them."""

    def __init__(self, edition: Edition, narrator: Narrator):
        self.edition = edition
        self.say = narrator.say
        self.words: dict[Any, str] = {}  # what each invented word stands for, and the word

    def invent(self, key: str, number: int, **slots: Any) -> Mapping[str, Any]:
        """Say the new word of some number, two syllables long."""
        syllables = self.edition.syllables
        _, told = self.say(key, first=hand(syllables, number), second=hand(syllables, number, 2), **slots)
        return told | {"word": told["first"] + told["second"]}

    def dictionary(self) -> None:
        """Words for things and colours: told once, then asked for in both directions."""
        for number in range(MEANINGS):
            meanings = hand(self.edition.colours + self.edition.nouns, number)
            told = self.invent("define", number, meaning=meanings)
            self.words[told["meaning"]] = told["word"]
        meanings = {word: meaning for meaning, word in self.words.items()}
        for _ in range(MEANING_QUESTIONS):
            self.say(
                "what is", "how do you say", kind="question",
                asked_word=tuple(meanings), asked_meaning=tuple(self.words),
                meaning=lambda told: meanings[told["asked_word"]], word=lambda told: self.words[told["asked_meaning"]],
            )  # fmt: skip

    def sorting(self) -> None:
        """One word for every sort of things: which sort it is, only the examples tell."""
        sorts = {word: sort for sort, words in enumerate(self.edition.sorts) for word in words}
        for _ in range(SORTED_WORDS):
            _, told = self.say("sort", item=tuple(sorts))
            sort = sorts[told["item"]]
            if sort in self.words:
                self.say("known sort", word=self.words[sort])
            else:
                self.words[sort] = self.invent("new sort", len(self.words))["word"]
