"""The world of the Tales: what can happen in a document, whatever its language.

Two or three people own things, go about, give, swap, hide and find, pick fruit and eat it; at the end come questions
about it all. Some documents are word games instead: they define invented words and then use them. The programs
below are the whole grammar: each `say` is a choice or a certainty, put into words by an edition (`english`, `chinese`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, eq=False, slots=True)
class Thing:
    """A thing: "kite", "red", "Red", "red kite"."""

    noun: str
    colour: str
    Colour: str
    phrase: str


@dataclass(frozen=True, eq=False, slots=True)
class Word:
    """A place, a fruit, a number: as it stands in a sentence, and as it begins one."""

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
    places: tuple[Word, ...]
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


MOST_THINGS = 4
MOST_SENTENCES = 4  # in a paragraph
QUESTIONS = 4
MEANINGS = 4
MEANING_QUESTIONS = 6
SORTED_WORDS = 10


def tell_document(edition: Edition, teller: Writer | Reader) -> None:
    """Tell one document: most often a story, now and then a word game."""
    narrator = Narrator(edition.phrases, teller)
    story = Story(edition, narrator)
    weights = {"hero": 0.8, "dictionary": 0.1, "sorting": 0.1}
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
        place: where each person is.
        fruit: the fruit of this story, once somebody has picked some.
        count: how many of it each person has who ever had any.
    """

    def __init__(self, edition: Edition, narrator: Narrator):
        self.edition = edition
        self.say = narrator.say
        self.cast: tuple[Person, ...] = ()
        self.owner: dict[Thing, Person | Word] = {}
        self.first_owner: dict[Thing, Person] = {}
        self.place: dict[Person, Word] = {}
        self.fruit: Word | None = None
        self.count: dict[Person, int] = {}

    def newcomer(self) -> dict[str, Any]:
        """The slots of an introduction: nobody twice."""
        people = tuple([person for person in self.edition.people if person not in self.cast])
        return {"person": people, "trait": self.edition.traits, **self.new_thing()}

    def new_thing(self) -> dict[str, Any]:
        """The slots of a new thing: no noun twice and no colour, so that either names the thing."""
        nouns = {thing.noun for thing in self.owner}
        colours = {thing.colour for thing in self.owner}
        return {
            "noun": tuple([noun for noun in self.edition.nouns if noun not in nouns]),
            "colour": tuple([colour for colour in self.edition.colours if colour not in colours]),
        }

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
        key, told = self.say("neighbour", "morning", kind="plot", place=self.edition.places, **self.newcomer())
        if key == "neighbour":
            self.enter(told["person"], told)
            _, told = self.say("morning", place=self.edition.places)
        self.place = dict.fromkeys(self.cast, told["place"])
        self.tell_day()
        self.ask_questions()

    def tell_day(self) -> None:
        """Morning, noon and evening: two to four sentences each, until night falls."""
        hours = ["noon", "evening", "night"]
        subject, last, sentences = None, None, 0
        while hours:
            held = tuple([thing for thing, owner in self.owner.items() if type(owner) is Person])
            goes_on = sentences < MOST_SENTENCES
            key, told = self.say_one_of(
                {
                    "next": 1.0 if goes_on else 0.0,
                    "she": 1.5 if goes_on and subject else 0.0,
                    "now": 0.5 if goes_on and last != "now" else 0.0,
                    "ask": 0.5 if goes_on and last != "ask" and held else 0.0,
                    hours[0]: 1.0 if sentences >= 2 else 0.0,
                },
                subject=subject, hero=self.cast[0], actor=self.others(subject), who=self.cast, thing=held,
                owner=lambda told: self.owner[told["thing"]],
                asker=lambda told: self.others(told["owner"]),
            )  # fmt: skip
            last, sentences = key, sentences + 1
            if key == hours[0]:
                hours.pop(0)
                sentences = 1
            if key == "now":
                self.list_things(told["who"])
            actor = {"she": subject, "now": None, "ask": None, "night": None}.get(key, told["actor"])
            subject = actor if actor and self.act(actor) != "go together" else None

    def list_things(self, person: Person) -> None:
        """Say everything that a person has."""
        things = self.owned_by(person)
        slots = dict(zip(("first", "second", "third", "fourth"), things, strict=False))
        self.say(f"list {len(things)}", **slots)

    def act(self, actor: Person) -> str:
        """Let somebody do one of the things that they can do now; say which."""
        mine, others, count = self.owned_by(actor), self.others(actor), self.count.get(actor, 0)
        lying = tuple([thing for thing, owner in self.owner.items() if type(owner) is Word])
        traders = tuple([other for other in others if self.owned_by(other)])
        numbers, most = self.edition.numbers, len(self.edition.numbers) - 1
        shareable = min(count, most - max([self.count.get(other, 0) for other in others]))
        weights = {
            "go": 1.5,
            "go together": 1.0,
            "sing": 0.7,
            "discover": 1.0 if len(self.owner) < MOST_THINGS else 0.0,
            "give": 2.0 if mine else 0.0,
            "hide": 0.7 if mine else 0.0,
            "swap": 1.0 if mine and traders else 0.0,
            "admire": 0.7 if traders else 0.0,
            "fetch": 1.5 if lying else 0.0,
            "pick": 0.0 if count else 1.0,
            "pick more": 0.7 if 0 < count <= most - 2 else 0.0,
            "eat": 1.0 if count else 0.0,
            "share": 0.7 if shareable else 0.0,
        }
        places = tuple([place for place in self.edition.places if place is not self.place[actor]])
        key, told = self.say_one_of(
            weights, actor=actor, here=self.place[actor], place=places, other=others,
            trader=traders, mine=mine, lying=lying, known=tuple(self.owner), fruit=self.fruit or self.edition.fruits,
            picked=numbers[2 : min(6, most - count) + 1], eaten=numbers[1 : count + 1], shared=numbers[1 : shareable + 1],
            theirs=lambda told: self.owned_by(told["trader"]),
            others_place=lambda told: self.place[told["other"]],
            traders_place=lambda told: self.place[told["trader"]],
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
            case "go":
                self.place[actor] = told["place"]
            case "go together":
                self.place[actor] = self.place[other] = told["place"]
            case "discover":
                self.enter(actor, told)
            case "give":
                self.owner[told["mine"]] = other
                self.place[actor] = self.place[other]
            case "hide":
                self.owner[told["mine"]] = self.place[actor]
            case "fetch":
                self.place[actor] = self.owner[told["lying"]]
                self.owner[told["lying"]] = actor
            case "swap":
                self.owner[told["mine"]], self.owner[told["theirs"]] = told["trader"], actor
                self.place[actor] = self.place[told["trader"]]
            case "pick" | "pick more":
                self.fruit = told["fruit"]
                self.count[actor] = self.count.get(actor, 0) + number(told["picked"])
            case "eat":
                self.count[actor] -= number(told["eaten"])
            case "share":
                self.count[actor] -= number(told["shared"])
                self.count[other] = self.count.get(other, 0) + number(told["shared"])

    def ask_questions(self) -> None:
        """Ask about the story, nothing twice."""
        held = [thing for thing, owner in self.owner.items() if type(owner) is Person]
        lying = [thing for thing in self.owner if thing not in held]
        # For each sort of question, what can be asked about.
        subjects: dict[str, list] = {
            "who has": held,
            "where is": lying,
            "who had": list(self.owner),
            "which colour": list(self.owner),
            "whereabouts": list(self.cast),
            "how many": list(self.count),
        }
        frequencies = {
            "who has": 1.5,
            "where is": 1.0,
            "who had": 0.7,
            "which colour": 0.7,
            "whereabouts": 1.0,
            "how many": 1.5,
        }
        for _ in range(QUESTIONS):
            key, told = self.say_one_of(
                {key: frequencies[key] if left else 0.0 for key, left in subjects.items()}, "question", fruit=self.fruit,
                **{key: tuple(left) for key, left in subjects.items()},
                has=lambda told: self.owner[told["who has"]],
                had=lambda told: self.first_owner[told["who had"]],
                lies=lambda told: self.owner[told["where is"]],
                place=lambda told: self.place[told["whereabouts"]],
                number=lambda told: self.edition.numbers[self.count[told["how many"]]],
            )  # fmt: skip
            subjects[key].remove(told[key])


class WordGame:
    """A document that invents words, and then asks for them."""

    def __init__(self, edition: Edition, narrator: Narrator):
        self.edition = edition
        self.say = narrator.say
        self.words: dict[Any, str] = {}  # what each invented word stands for, and the word

    def invent(self, key: str, **slots: Any) -> Mapping[str, Any]:
        """Say a new word, two syllables long."""
        syllables, taken = self.edition.syllables, self.words.values()
        _, told = self.say(
            key,
            first=syllables,
            second=lambda told: tuple([second for second in syllables if told["first"] + second not in taken]),
            **slots,
        )
        return told | {"word": told["first"] + told["second"]}

    def dictionary(self) -> None:
        """Words for things and colours: told once, then asked for in both directions."""
        for _ in range(MEANINGS):
            left = tuple(
                [meaning for meaning in self.edition.colours + self.edition.nouns if meaning not in self.words]
            )
            told = self.invent("define", meaning=left)
            self.words[told["meaning"]] = told["word"]
        meanings = {word: meaning for meaning, word in self.words.items()}
        for _ in range(MEANING_QUESTIONS):
            self.say(
                "what is", "how do you say", kind="question", asked_word=tuple(meanings), asked_meaning=tuple(self.words),
                meaning=lambda told: meanings[told["asked_word"]], word=lambda told: self.words[told["asked_meaning"]],
            )  # fmt: skip

    def sorting(self) -> None:
        """One word for every sort of things: which sort it is, only the examples tell."""
        sorts = {word: sort for sort, words in enumerate(self.edition.sorts) for word in words}
        for _ in range(SORTED_WORDS):
            _, told = self.say("sort", item=tuple(sorts))
            sort = sorts.pop(told["item"])
            if sort in self.words:
                self.say("known sort", word=self.words[sort])
            else:
                self.words[sort] = self.invent("new sort")["word"]
