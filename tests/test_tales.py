"""The Tales: their claims are exact, so nearly every test here is an equality."""

import dataclasses
import math
import random
import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minigpt import tales
from minigpt.errors import MinigptError
from minigpt.tales import world
from minigpt.tales.grammar import Choice, Reader, Writer, trace_text
from minigpt.tales.phrases import KINDS, Narrator, Slot, parse

LANGUAGES = ("english", "chinese")
CERTAIN = {"spelling", "agreement", "recall", "counting", "answer", "word game"}
both_languages = pytest.mark.parametrize("language", LANGUAGES)


def some(language, count=40, split="validation"):
    return [tales.document(language, split, index) for index in range(count)]


# Choices


def test_a_prefix_is_refused():
    with pytest.raises(ValueError, match="'ten' is a prefix of 'tent'"):
        Choice("thing", ("tent", "pen", "ten"))


@pytest.mark.parametrize(
    ("strings", "weights"), [((), None), (("a", ""), None), (("a", "b"), (1.0, 0.0)), (("a",), (1, 2))]
)
def test_an_impossible_choice_is_refused(strings, weights):
    with pytest.raises(ValueError):
        Choice("thing", strings, weights)


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.sampled_from(LANGUAGES))
def test_the_reader_finds_what_the_writer_chose(seed, index, language):
    written = tales.trace(language, "train", index, seed)
    reading = tales.read(trace_text(written), language)
    assert reading.complete
    assert reading.trace == written


# Probability


@both_languages
def test_next_character_probabilities_sum_to_one_and_multiply_to_the_documents(language):
    for text in some(language, 20):
        reading = tales.read(text, language)
        distributions = reading.next_characters()
        assert len(distributions) == len(text) + 1
        for distribution in distributions:
            assert math.fsum(distribution.values()) == pytest.approx(1.0, abs=1e-12)
        product = math.fsum(math.log(d[c]) for d, c in zip(distributions, [*text, tales.DOCUMENT_END], strict=True))
        assert product == pytest.approx(reading.log_prob, abs=1e-9)


@both_languages
def test_the_mean_of_minus_log_p_is_the_analytic_entropy(language):
    """Per document both have the entropy of the language as their mean, so the mean of their difference is zero."""
    readings = [tales.read(text, language) for text in some(language, 600)]
    differences = torch.tensor([-reading.log_prob - reading.entropy for reading in readings], dtype=torch.float64)
    standard_error = differences.std() / math.sqrt(len(differences))
    assert abs(differences.mean()) < 4 * standard_error
    assert standard_error < 1.0  # nats, of some 90 a document: the test can fail


class Script:
    """A teller that follows a script and, past its end, takes the first option; it notes every choice."""

    def __init__(self, script):
        self.script, self.trace = script, []

    def choose(self, choice):
        index = self.script[len(self.trace)] if len(self.trace) < len(self.script) else 0
        self.trace.append((choice, index))
        return index


def enumerate_all(program):
    """Every trace of a program, in order, as an odometer counts."""
    script = []
    while script is not None:
        teller = Script(script)
        program(teller)
        yield teller.trace
        indices = [index for _, index in teller.trace]
        script = None
        for place in reversed(range(len(indices))):
            if indices[place] + 1 < len(teller.trace[place][0].strings):
                script = [*indices[:place], indices[place] + 1]
                break


@pytest.mark.parametrize(
    ("game", "documents"), [("dictionary", (2 * 2 * 4) ** 2 * 4**2), ("sorting", 32 * 8 + 32 * 8**2)]
)
def test_a_small_sub_grammar_enumerated_whole_sums_to_one(monkeypatch, game, documents):
    for name, value in {"MEANINGS": 2, "MEANING_QUESTIONS": 2, "SORTED_WORDS": 2}.items():
        monkeypatch.setattr(world, name, value)
    small = dataclasses.replace(
        tales.edition("english"),
        colours=("red", "blue", "green", "white"),
        nouns=("kite", "drum", "ball", "hat"),
        places=(),
        fruits=(),
        syllables=("ba", "be", "bo", "bu", "da", "de", "do", "du"),
    )

    def program(teller):
        getattr(world.WordGame(small, Narrator(small.phrases, teller)), game)()

    probabilities = {}
    for trace in enumerate_all(program):
        text = trace_text(trace)
        assert text not in probabilities, "two ways to tell one text"
        probabilities[text] = math.prod(choice.probabilities[index] for choice, index in trace)
        reader = Reader(text)
        program(reader)
        assert reader.trace == trace
    assert math.fsum(probabilities.values()) == pytest.approx(1.0, abs=1e-12)
    assert len(probabilities) == documents


# Splits


def test_a_document_is_a_function_of_seed_split_and_index():
    first = tales.document("english", "train", 3, seed=5)
    tales.document("english", "validation", 0)
    assert tales.document("english", "train", 3, seed=5) == first
    others = [("train", 3, 6), ("train", 4, 5), ("validation", 3, 5)]
    assert all(tales.document("english", *other) != first for other in others)


def test_splits_share_no_document():
    train, validation = set(some("english", 2000, "train")), some("english", 300)
    assert not train & set(validation)


# Validity


@both_languages
def test_the_position_where_a_text_became_impossible(language):
    positions = random.Random(0)
    for text in some(language, 20):
        position = positions.randrange(len(text))
        reading = tales.read(text[:position] + "\N{SNOWMAN}" + text[position + 1 :], language)
        assert reading.impossible_at == position
        assert not reading.complete
        assert reading.log_prob == -math.inf


@both_languages
def test_the_beginning_of_a_document_is_possible_but_not_complete(language):
    text = some(language, 1)[0]
    for length in range(len(text)):
        reading = tales.read(text[:length], language)
        assert reading.impossible_at is None
        assert not reading.complete
        assert len(reading.next_characters()) == length + 1


def test_nothing_may_follow_the_end():
    text = some("english", 1)[0]
    assert tales.read(text + " And so on.").impossible_at == len(text)


def test_a_wrong_owner_is_noticed():
    matches = (re.search(r"\nWhere is the \w+ \w+\? With (\w+)\.", text) for text in some("english", 20))
    found = next(match for match in matches if match)
    start, end = found.span(1)
    wrong = "Mara" if found[1] != "Mara" else "Otto"
    assert tales.read(found.string[:start] + wrong + found.string[end:]).impossible_at == start


# Kinds


@both_languages
def test_kinds(language):
    seen = set()
    for text in some(language, 60):
        reading = tales.read(text, language)
        assert len(reading.kinds()) == len(text)
        for choice, _ in reading.trace:
            seen.add(choice.kind)
            if choice.kind in CERTAIN:
                assert len(choice.strings) == 1
        questions, answers = reading.spans("question"), reading.spans("answer", "word game")
        assert questions
        assert answers
    assert seen == set(KINDS)


def test_recall_reaches_over_several_hundred_characters():
    """Who had a thing first, which is asked at the end, was told at its entrance."""
    distances = []
    for text in some("english", 200):
        for found in re.finditer(r"\nWho had the (\w+ \w+) first\? (\w+)\.", text):
            distances.append(found.start(2) - text.index(found[1]))
    assert sum(distances) / len(distances) > 300


def test_the_answers_are_what_an_independent_reader_of_the_english_finds():
    checked = 0
    for text in some("english", 400):
        if "\n\n" not in text:
            continue  # a word game
        where = where_everything_is(text)
        for thing, answer in re.findall(r"\nWhere is the (\w+ \w+)\? (.+)\.", text):
            assert where[thing] == answer.lower(), text
            checked += 1
    assert checked > 200


def where_everything_is(text):
    """Follow an English tale by regular expressions alone: who has each thing at the end, or where it lies."""
    where, colours = {}, "|".join(tales.edition("english").colours)
    thing = rf"((?:{colours}) \w+)"
    names = "|".join(person.name for person in tales.edition("english").people)
    introductions, *day, _ = text.split("\n\n")
    for person, what in re.findall(rf"({names})(?:(?!{names}).)*?{thing}", introductions):
        where[what] = f"with {person.lower()}"
    subject = None
    for sentence in re.split(r"(?<=[.!\"]) (?=[A-Z\"])", " ".join(day)):
        if not re.match(r"She |He ", sentence) and (found := re.search(names, sentence)):
            subject = found[0].lower()
        if found := re.search(rf" found a {thing}", sentence):
            where[found[1]] = f"with {subject}"
        elif found := re.search(rf" gave the (\w+ \w+) to ({names})", sentence):
            where[found[1]] = f"with {found[2].lower()}"
        elif found := re.search(r" (?:hid|forgot) the (\w+ \w+) (at the \w+)", sentence):
            where[found[1]] = found[2]
        elif found := re.search(r" fetched the (\w+ \w+) from", sentence):
            where[found[1]] = f"with {subject}"
    return where


# Editions


def test_the_editions_tell_the_same_world():
    english, chinese = (tales.edition(language) for language in LANGUAGES)
    assert english.phrases.keys() == chinese.phrases.keys()

    def slots(edition, key):
        parts = [part for phrase in edition.phrases[key] for part in parse(phrase) if isinstance(part, Slot)]
        return {part.name for part in parts} - {"person", "trait", "subject"}

    assert {key for key in english.phrases if slots(english, key) != slots(chinese, key)} == set()
    for name in ("people", "nouns", "colours", "places", "fruits", "numbers"):
        assert len(getattr(english, name)) == len(getattr(chinese, name)), name


@both_languages
def test_the_vocabulary_is_a_few_hundred_words_all_different(language):
    edition = tales.edition(language)
    for words in (edition.nouns, edition.colours, edition.syllables, edition.traits):
        assert len(set(words)) == len(words)
    for words in (edition.people, edition.places, edition.fruits):
        assert len({word.name for word in words}) == len(words)
    for first, second in pairwise(sorted(edition.syllables)):
        assert not second.startswith(first)


@both_languages
def test_the_alphabet_covers_every_document(language):
    assert set("".join(some(language, 500, "train"))) <= set(tales.alphabet(language))


def test_an_unknown_edition():
    with pytest.raises(MinigptError, match="did you mean english"):
        tales.edition("englisch")


# The Oracle


@both_languages
def test_the_oracle_is_a_language_model(language):
    oracle = tales.Oracle(language)
    end = oracle.tokenizer.end_of_text
    for text in some(language, 5):
        ids = torch.tensor([[end, *oracle.tokenizer.encode(text)]])
        log_probs = oracle.log_probs(ids)
        assert log_probs.shape == (1, len(text) + 1, oracle.vocabulary_size)
        torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(1, len(text) + 1, dtype=torch.float64))
        targets = torch.cat([ids[:, 1:], torch.tensor([[end]])], dim=1)
        total = log_probs.gather(2, targets[..., None]).sum()
        assert total.item() == pytest.approx(tales.read(text, language).log_prob, abs=1e-9)
        log_probs, state = oracle.advance(ids[:, :10])
        torch.testing.assert_close(log_probs, oracle.log_probs(ids[:, :10])[:, -1])
        log_probs, _ = oracle.advance(ids[:, 10:20], state)
        torch.testing.assert_close(log_probs, oracle.log_probs(ids[:, :20])[:, -1])


def test_the_oracle_reads_several_documents_in_a_row():
    oracle = tales.Oracle()
    end = oracle.tokenizer.end_of_text
    first, second = (oracle.tokenizer.encode(text) for text in some("english", 2))
    together = oracle.log_probs(torch.tensor([[end, *first, end, *second]]))
    alone = [oracle.log_probs(torch.tensor([[end, *ids]])) for ids in (first, second)]
    torch.testing.assert_close(together, torch.cat(alone, dim=1))


@pytest.mark.parametrize(
    ("text", "complaint"), [("Once upon a time there lived a king", "character 29"), ("x", "impossible")]
)
def test_the_oracle_refuses_what_is_no_tale(text, complaint):
    oracle = tales.Oracle()
    known = [character for character in text if character in oracle.tokenizer.characters]
    ids = torch.tensor([[oracle.tokenizer.end_of_text, *oracle.tokenizer.encode("".join(known))]])
    with pytest.raises(MinigptError, match=complaint):
        oracle.log_probs(ids)


def test_the_oracle_wants_the_start_of_the_document():
    oracle = tales.Oracle()
    with pytest.raises(MinigptError, match="begin with the end-of-text token"):
        oracle.log_probs(torch.tensor([oracle.tokenizer.encode("Once")]))


def test_a_writer_draws_with_the_given_frequencies():
    writer = Writer(random.Random(0))
    choice = Choice("plot", ("a", "b"), (3.0, 1.0))
    drawn = [writer.choose(choice) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 20_000))
