"""The ladder: what simpler models reach on the same held-out text, from uniform guessing up to n-grams.

All of them work on characters, so that nothing but the model differs from rung to rung.
"""

import math

from minigpt.corpora import Corpus, cache_folder
from minigpt.datasets import prepare
from minigpt.evaluation import bits_per_character
from minigpt.ngram import ModifiedKneserNey
from minigpt.tokenizers import CharacterTokenizer

ORDERS = {1: "unigrams", 2: "bigrams", 3: "trigrams", 4: "4-grams", 5: "5-grams", 6: "6-grams"}
FITTED_CHARACTERS = 4_000_000


def simple_rungs(corpus: Corpus, characters: int) -> dict[str, float]:
    """Bits per character of the models of the first chapters on the held-out text of a corpus.

    Args:
        corpus: the text; of an endless one `FITTED_CHARACTERS` are learned from.
        characters: how much to hold out of an endless one.
    """
    tokenizer = CharacterTokenizer(corpus.alphabet())
    train, validation = prepare(corpus, tokenizer, cache_folder(), FITTED_CHARACTERS, characters)
    V, end = tokenizer.vocabulary_size, tokenizer.end_of_text
    rungs = {"uniform": math.log2(V) * len(validation.ids) / validation.characters}
    for order, name in ORDERS.items():
        model = ModifiedKneserNey(V, order, end).fit(train.ids)
        rungs[name] = bits_per_character(model, validation, end)
    return rungs
