"""The English edition of the Tales."""

from functools import cache

from minigpt.tales.world import Edition, Person, Place, Thing, Word


def _word(name: str) -> Word:
    return Word(name, name.capitalize())


@cache
def _thing(noun: str, colour: str) -> Thing:
    return Thing(noun, colour, colour.capitalize(), f"{colour} {noun}")


def _place(name: str) -> Place:
    return Place(name, f"At the {name}")


def _person(name: str, she: str, her: str, girl: str) -> Person:
    return Person(name, she, she.capitalize(), her, her.capitalize(), girl, f"With {name}")


GIRLS = "Mara Ida Nell Rosa Wren Petra Tilda Anya Luna Greta Hazel Olive".split()
BOYS = "Tobin Finn Otto Hugo Jasper Emil Bruno Felix Leo Samir Kofi Yusuf".split()

PHRASES = {
    # How a story begins.
    "hero": (
        "Once upon a time there lived {person.name:name}, a {trait:wording} {person.girl} who had a {colour:thing} {noun:thing}.",
        "Long ago, in a house on the hill, lived {person.name:name}, a {trait:wording} {person.girl} with a {colour:thing} {noun:thing}.",
        "Far away, where the sea is warm, {person.name:name} lived with {person.her} grandmother. {person.She} was a"
        " {trait:wording} {person.girl}, and {person.she} had a {colour:thing} {noun:thing}.",
        "This is the tale of {person.name:name}, a {trait:wording} {person.girl}, and of {person.her} {colour:thing} {noun:thing}.",
    ),
    "friend": (
        " {hero.Her} best friend was {person.name:name}, who had a {colour:thing} {noun:thing}.",
        " Next door lived {person.name:name}, a {trait:wording} {person.girl} with a {colour:thing} {noun:thing}.",
        " One day {person.name:name} came to stay, and {person.she} brought a {colour:thing} {noun:thing}.",
    ),
    "neighbour": (
        " Everybody liked {person.name:name}, the [baker|miller|sailor|farmer], and {person.her} {colour:thing} {noun:thing}.",
        " Sometimes {person.name:name} came by with {person.her} {colour:thing} {noun:thing}.",
    ),
    "morning": (
        "\n\nOne [sunny|windy|rainy|cold|quiet] morning they met at the {place.name:place}. [The birds were singing.|Nobody else was awake yet.|The grass was still wet.|There was so much to do.]",
    ),
    # How a sentence begins.
    "she": (" {subject.She}",),
    "next": (" Then {actor.name}", " Soon {actor.name}", " After that {actor.name}"),
    "evening": ("\n\nIn the evening {actor.name}", "\n\nAt dusk {actor.name}"),
    "night": (
        "\n\nThat night {hero.name} dreamed of [the sea|the stars|a dragon|a feast].\n",
        "\n\nWhen the moon rose, they were all [tired|happy|fast asleep].\n",
    ),
    # What people do.
    "go": (" walked to the {place.name}.", " ran to the {place.name}.", " set off for the {place.name}."),
    "go together": (" and {other.name} went to the {place.name} together.",),
    "sing": (" sang a song about [the sea|the stars|the spring].", " told a story about [a dragon|a feast|a thief]."),
    "speak": (' said to {other.name}, "[What a lovely day|I am so hungry|Let us dance|Look at the clouds]!"',),
    "discover": (" found a {colour:thing} {noun:thing} [under a stone|in the grass|behind a door|on the road].",),
    "give": (" gave the {mine.phrase} to {other.name}.",),
    "hide": (" hid the {mine.phrase} at the {place.name}.", " forgot the {mine.phrase} at the {place.name}."),
    "fetch": (" fetched the {lying.phrase} from the {lying_place.name}.",),
    "pick": (" picked {picked.name:plot} {fruit.name}.",),
    "pick more": (" picked {picked.name:plot} more {fruit.name}, which made {more.name:counting}.",),
    "eat": (" ate {eaten.name:plot} of the {fruit.name} and had {uneaten.name:counting} left.",),
    "share": (
        " handed {shared.name:plot} of the {fruit.name} to {other.name} and had {unshared.name:counting} left,"
        " while {other.name} had {others_count.name:counting}.",
    ),
    "ask": (' "Where is the {thing.phrase}?" they wondered. {owner.There:answer}.',),
    # Questions.
    "where is": ("\nWhere is the {where is.phrase:question}? {owner.There:answer}.",),
    "who had": ("\nWho had the {who had.phrase:question} first? {had.name:answer}.",),
    "which colour": ("\nWhat colour is the {which colour.noun:question}? {which colour.Colour:answer}.",),
    "where met": ("\nWhere did they meet in the morning? {meeting.There:answer}.",),
    "how many": ("\nHow many {fruit.name} does {how many.name:question} have? {number.Name:answer}.",),
    # Word games.
    "dictionary": ("A secret language.",),
    "define": ("\nThe word for {meaning:thing} is {first:invention}{second:invention}.",),
    "what is": ("\nWhat is {asked_word:question}? It is {meaning:word game}.",),
    "how do you say": ("\nHow do you say {asked_meaning:question}? You say {word:word game}.",),
    "sorting": ("A sorting game.",),
    "sort": ("\nPut {item:question} with",),
    "known sort": (" {word:word game}.",),
    "new sort": (" {first:invention}{second:invention}.",),
}

ENGLISH = Edition(
    people=tuple(_person(name, "she", "her", "girl") for name in GIRLS)
    + tuple(_person(name, "he", "his", "boy") for name in BOYS),
    nouns=tuple(
        "kite whistle lantern drum ball book hat scarf basket ring key mirror boat flute clock cup blanket map bell"
        " feather coat ribbon compass spoon".split()
    ),
    colours=tuple("red blue green yellow white black purple silver golden pink brown grey".split()),
    places=tuple(
        map(_place, "mill market harbour well bridge lighthouse bakery castle library fountain river school".split())
    ),
    fruits=tuple(map(_word, "pears plums cherries nuts berries figs".split())),
    traits=tuple("brave curious cheerful clever gentle quiet stubborn merry".split()),
    numbers=tuple(map(_word, "none one two three four five six seven eight nine ten eleven twelve".split())),
    syllables=tuple("ba be bo bu da de do du ka ke ko ku ma me mo mu za ze zo zu".split()),
    thing=_thing,
    phrases=PHRASES,
)
